"""What a session writes, operation by operation, and a disk on which any beginning of it can be laid out again.

Python's own doors to the file system are watched (open, and what `os` has for files); the code that writes is the real
one. Reading is not recorded, nor is what C libraries write by themselves.
"""

import builtins
import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Operation:
    """One change of the file system: `place` is the offset of a write or the size after a truncation."""

    kind: str
    path: str
    target: str = ""
    data: bytes = b""
    place: int = 0

    def __str__(self) -> str:
        more = f" -> {Path(self.target).name}" if self.target else f" {len(self.data)} bytes" if self.data else ""
        return f"{self.kind} {'/'.join(Path(self.path).parts[-3:])}{more}"


class _Raw(io.FileIO):
    """A file whose writes are noted as they reach the operating system."""

    note: Callable[[Operation], None]

    def write(self, data: Any) -> int:
        written = super().write(data)
        self.note(Operation("write", str(self.name), data=bytes(data)[:written], place=self.tell() - written))
        return written

    def truncate(self, size: int | None = None) -> int:
        size = super().truncate(size)
        self.note(Operation("truncate", str(self.name), place=size))
        return size


class Recorder:
    """Keeps the operations below a folder."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self.operations: list[Operation] = []

    def note(self, operation: Operation) -> None:
        self.operations.append(operation)

    def _path(self, name: Any, folder: int | None = None) -> str | None:
        """Return the absolute path of a name, or of a descriptor, if it lies below the root."""
        if isinstance(name, int):
            path = _opened(name)
        else:
            path = str((Path.cwd() if folder is None else Path(_opened(folder))) / name)
        return path if path.startswith(f"{self._root}/") else None

    def open(self, file: Any, mode: str = "r", buffering: int = -1, *more: Any, **named: Any) -> Any:
        path = None if isinstance(file, int) or not set(mode) & set("wax+") else self._path(file)
        if path is None:
            return _OPEN(file, mode, buffering, *more, **named)
        names = dict(zip(("encoding", "errors", "newline"), more, strict=False)) | named
        if "w" in mode or not Path(path).exists():
            self.note(Operation("create", path))
        raw = _Raw(path, mode.replace("b", "").replace("t", ""))
        raw.note = self.note  # type: ignore[method-assign] # set on the object, not the class
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return buffered
        return io.TextIOWrapper(buffered, names.get("encoding") or "utf-8", names.get("errors"), names.get("newline"))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note what happens in this process meanwhile."""
        kept = {name: getattr(os, name) for name in _NAMES}
        try:
            for name, real in kept.items():
                setattr(os, name, self._watched(name, real))
            io.open = builtins.open = self.open
            shutil._USE_CP_SENDFILE = False  # type: ignore[attr-defined] # so that copies are written like the rest
            yield
        finally:
            io.open = builtins.open = _OPEN
            shutil._USE_CP_SENDFILE = True  # type: ignore[attr-defined]
            for name, real in kept.items():
                setattr(os, name, real)

    def _watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(first: Any, *more: Any, **named: Any) -> Any:
            path = self._path(first, named.get("dir_fd"))
            result = real(first, *more, **named)
            if path is not None:
                two = name in ("replace", "rename", "link")
                target = str(Path.cwd() / more[0]) if two else ""
                place = more[0] if name in ("truncate", "ftruncate") else 0
                self.note(Operation(_NAMES[name], path, target=target, place=place))
            return result

        return call


_LONG_AGO = 1_000_000_000
_OPEN = io.open
_NAMES = {
    "replace": "rename",
    "rename": "rename",
    "link": "link",
    "unlink": "unlink",
    "remove": "unlink",
    "mkdir": "mkdir",
    "rmdir": "rmdir",
    "truncate": "truncate",
    "ftruncate": "truncate",
    "fsync": "fsync",
}


def _opened(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


@dataclass(eq=False)
class _File:
    data: bytearray = field(default_factory=bytearray)
    durable: bytes = b""


class Disk:
    """A file system in memory. A machine that loses its power keeps names and lengths of nothing but what was synced.

    That is the harshest that journalling file systems do: operations on names survive in their order, and the content
    of a file is what it was when it was brought to the disk last.
    """

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}
        self._folders: list[str] = []

    def apply(self, operation: Operation, *, share: float = 1.0) -> None:
        """Carry an operation out; of a write only a `share` of its bytes."""
        path = operation.path
        if operation.kind == "create":
            self._files[path] = _File()
        elif operation.kind == "write":
            data = operation.data[: int(share * len(operation.data))]
            file = self._files[path].data
            file.extend(bytes(max(0, operation.place - len(file))))
            file[operation.place : operation.place + len(data)] = data
        elif operation.kind == "truncate":
            del self._files[path].data[operation.place :]
        elif operation.kind == "rename" and path in self._files:
            self._files[operation.target] = self._files.pop(path)
        elif operation.kind == "rename":
            self._move(path, operation.target)
        elif operation.kind == "link":
            self._files[operation.target] = self._files[path]
        elif operation.kind == "unlink":
            self._files.pop(path, None)
        elif operation.kind == "mkdir":
            self._folders.append(path)
        elif operation.kind == "rmdir":
            self._folders.remove(path)
        elif operation.kind == "fsync":
            self._files[path].durable = bytes(self._files[path].data)

    def _move(self, folder: str, target: str) -> None:
        def moved(path: str) -> str:
            return target + path[len(folder) :] if path == folder or path.startswith(f"{folder}/") else path

        self._files = {moved(path): file for path, file in self._files.items()}
        self._folders = [moved(path) for path in self._folders]

    def lay_out(self, root: Path, *, power: bool = True) -> None:
        """Write all of it below a folder that is emptied first; without `power` only what it keeps."""
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        for path in self._folders:
            Path(path).mkdir(parents=True, exist_ok=True)
        for path, file in self._files.items():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_bytes(bytes(file.data) if power else file.durable)
            os.utime(path, (_LONG_AGO, _LONG_AGO))  # nobody waits for a sign of life of who was writing then
