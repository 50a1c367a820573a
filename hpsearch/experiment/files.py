"""Writing files so that a crash leaves the old one or the new one, and JSON that keeps non-finite numbers legal.

Each line of a JSON-lines file ends with the CRC-32 of what stands before: `..., "crc":"1c291ca3"}`. A damaged line is
left out, with its number; what stands behind it is read. Lines of earlier versions have none.
"""

import errno
import gc
import json
import math
import os
import re
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from hpsearch.plain_files import open_plain

_DISKS = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EFBIG: "make room",
    errno.EROFS: "make it writable",
}
_PLACES = (
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ESTALE,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ENAMETOOLONG,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.ENXIO,
)
_NO_TEMPORARY = "No usable temporary directory"
"""What Python says where TMPDIR cannot be written, nor anything instead of it."""
_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_LONE = re.compile(rb"\\u[dD][89a-fA-F]")
_SEAL = b',"crc":"'
_SEALED = len(_SEAL) + 8 + len(b'"}\n')
"""Bytes at the end of a line from its checksum on."""
_SEALED_PART = re.compile(rb'.*?,"crc":"[0-9a-f]{8}"\}', re.DOTALL)
_SUM = re.compile("[0-9a-f]{8}")
_GLUED, _LONGEST_GLUED, _BEGINNINGS = 2 * _SEALED, 1 << 20, 100
"""Bytes of a line that may be several which have lost their newlines, and how many beginnings are tried in each."""


@dataclass(frozen=True)
class DamagedLine:
    """A line that was left out: its number, and what is wrong with it."""

    number: int
    why: str


@dataclass
class LinesRead:
    """How far a file of lines has been read.

    `number` is that of the last line that was given out, the first one where reading began being 1; `end` is the offset
    behind all whole lines; of the `damaged` ones others follow.
    """

    number: int = 0
    end: int = 0
    damaged: list[DamagedLine] = field(default_factory=list)


def write_atomically(
    path: Path, content: str | bytes | memoryview, *, durable: bool = True, former: Path | None = None
) -> None:
    """Write a temporary file and rename it to `path`; if `durable`, the content is on the disk before the rename.

    What was at `path` is `former` afterwards, if that is named. A crash in between may leave `former` alone.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        if former is not None and path.exists():
            path.replace(former)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def copy_atomically(source: Path, target: Path) -> None:
    """Make `target` the same as `source` in one piece; where there is no source, there is no target afterwards."""
    if source.exists():
        write_atomically(target, source.read_bytes())
    else:
        target.unlink(missing_ok=True)


def no_room(error: BaseException) -> str | None:
    """Return a message if a disk, a quota or a limit on files is exhausted, or a disk cannot be written, else None."""
    if not isinstance(error, OSError) or error.errno not in _DISKS:
        return None
    return f"{_said(error)}; {_DISKS[error.errno]}, and the same command goes on"


def fault_of_the_machine(error: OSError) -> str | None:
    """Return a message if a place cannot be used, or the machine has run out of something, else None."""
    if told := no_room(error):
        return told
    if error.errno in _PLACES:
        return _said(error)
    return str(error) if _NO_TEMPORARY in str(error) else None


def _said(error: OSError) -> str:
    names = " -> ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    return f"{error.strerror}{f': {names}' if names else ''}"


def remove_leftovers(folder: Path, *names: str) -> None:
    """Remove what crashes in the midst of write_atomically left of these files, or of all; nobody writes them now."""
    for name in names or ["*"]:
        for path in folder.glob(f".{name}.*.tmp"):
            path.unlink(missing_ok=True)


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Write a JSON document atomically, indented for people."""
    write_atomically(path, json.dumps(value, indent=2, allow_nan=False) + "\n", durable=durable)


def bring_to_disk(path: Path) -> None:
    """Wait until what was written to a file is on the disk; one that is gone needs no disk."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        os.fsync(file.fileno())


def read_json(path: Path) -> Any:
    """Return the value that a JSON file holds.

    Raises:
        ValueError: It is not JSON.
        OSError: It cannot be read.
    """
    with open_plain(path) as file:
        content = file.read()
    # orjson refuses half a surrogate pair, as in a path of other bytes than UTF-8
    return json.loads(content) if _LONE.search(content) else orjson.loads(content)


def write_compact_json(path: Path, value: Any) -> None:
    """Write a JSON document atomically, for programs; dataclasses are objects in it, non-finite numbers null."""
    write_atomically(path, orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))


def printable(text: str) -> str:
    """Return a text that can be written as UTF-8: a lone surrogate, as in a name of other bytes, becomes its escape."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace").decode()
    return text


def encode_number(value: float) -> float | str:
    """Return the number, or its name when JSON has no word for it."""
    if math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def decode_number(value: Any) -> Any:
    """Undo encode_number; other values pass through."""
    return _NON_FINITE.get(value, value) if isinstance(value, str) else value


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn nested settings into one level with dotted names; lists and empty mappings are values."""
    flat: dict[str, Any] = {}
    for name, item in settings.items():
        flat |= flatten(item, f"{prefix}{name}.") if isinstance(item, Mapping) and item else {f"{prefix}{name}": item}
    return flat


def json_line(value: dict[str, Any]) -> bytes:
    """Return one line of a JSON-lines file with its checksum; floats may be non-finite, texts any, nested ones too."""
    line = json.dumps(_encode(value), separators=(",", ":"), allow_nan=False).encode()
    return b'%s%s%08x"}\n' % (line[:-1], _SEAL, zlib.crc32(line[:-1])) if value else line + b"\n"


def append_json_line(path: Path, value: dict[str, Any]) -> None:
    """Append one line to a JSON-lines file; a torn last line that a crash left is cut off first."""
    with path.open("a+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read(1) != b"\n":
                file.truncate(_end_of_last_line(file, size))
        file.write(json_line(value))


def _end_of_last_line(file: BinaryIO, size: int) -> int:
    """Return the offset behind the last newline before `size`, 0 when there is none."""
    file.seek(0)
    return file.read(size).rfind(b"\n") + 1


def _encode(value: Any) -> Any:
    if isinstance(value, float):
        return encode_number(value)
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable(key) if isinstance(key, str) else key: _encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(item) for item in value]
    return value


@contextmanager
def collector_resting() -> Iterator[None]:
    """Let Python's garbage collector rest while much plain data is read: again and again it would look at all of it."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def read_lines(path: Path, *, offset: int = 0, read: LinesRead | None = None) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield each whole line of a JSON-lines file as (object, offset behind it), from a byte offset on.

    A last line without its newline, or one that is damaged, was torn by a crash: reading stops before it. A damaged
    line in the middle is left out, and noted in `read`. Of two lines that have lost the newline between them, both are
    given out; the end of a line and the mark at the beginning of a file may be those of an editor on Windows.
    """
    read = read or LinesRead()
    read.end = offset
    try:
        file = open_plain(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    with file:
        file.seek(offset)
        doubtful: DamagedLine | None = None
        for number, line in enumerate(file, start=1):
            if doubtful is not None:
                read.damaged.append(doubtful)
            if not line.endswith(b"\n"):
                return
            values, why = _values(line if offset else line.removeprefix(BOM_UTF8))
            offset += len(line)
            if not values:
                doubtful = DamagedLine(number, why)
                continue
            if why:
                read.damaged.append(DamagedLine(number, why))
            doubtful, read.number, read.end = None, number, offset
            for value in values:
                yield value, offset


def _values(line: bytes) -> tuple[list[dict[str, Any]], str]:
    """Return the objects of a line, mostly one, and what is wrong with the rest of it, or an empty text."""
    value, why = _read(line)
    if value is None and line.endswith(b"\r\n"):
        value, why = _read(line[:-2] + b"\n")
    if value is not None:
        return [value], ""
    parts = _SEALED_PART.findall(line) if _GLUED <= len(line) < _LONGEST_GLUED else []
    found = [_within(part) for part in parts]
    whole = [value for value, _ in found if value is not None]
    lost = not whole or sum(size for _, size in found) < len(line.rstrip(b"\r\n"))
    return whole, why if lost else ""


def _within(part: bytes) -> tuple[dict[str, Any] | None, int]:
    """Return the object at the end of some bytes that end with a checksum, and how many of them it takes."""
    for begin in islice(re.finditer(rb'\{"', part), _BEGINNINGS):
        value, _ = _read(part[begin.start() :] + b"\n")
        if value is not None:
            return value, len(part) - begin.start()
    return None, 0


def _read(line: bytes) -> tuple[dict[str, Any] | None, str]:
    """Return the object of a line without its checksum; or None and what is wrong."""
    sealed = line.startswith(_SEAL, max(len(line) - _SEALED, 0))
    if sealed and line[-11:] != b'%08x"}\n' % zlib.crc32(line[:-_SEALED]):
        return None, "its checksum does not fit"
    try:
        value = orjson.loads(line)
    except ValueError:
        return None, "it is not JSON"
    if not isinstance(value, dict):
        return None, "it is no JSON object"
    if sealed or _SUM.fullmatch(str(value.get("crc"))):  # one that another program has written anew says nothing
        del value["crc"]
    return value, ""
