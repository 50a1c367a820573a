"""Where the output of a program goes: on to this process's own output, and into a file until it was read."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

from hpsearch.families.command.printed import Lines

_CHUNK = 1 << 16


class Echo:
    """Writes what one of the program's streams says to a descriptor of this process, whole lines if they are short."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._held = b""

    def write(self, chunk: bytes) -> None:
        """Add a piece; an empty one is the end."""
        self._held += chunk
        end = self._held.rfind(b"\n") + 1
        if not chunk and self._held:
            self._held += b"\n"
            end = len(self._held)
        elif len(self._held) - end > _CHUNK:
            end = len(self._held)
        write_all(self.descriptor, self._held[:end])
        self._held = self._held[end:]


class Capture:
    """A file with the output of a program that was not read to its end; held by one process and its guard at a time."""

    def __init__(self, path: Path) -> None:
        """Open the file, once whoever held it before has let go of it or after a few seconds."""
        self._path = path
        self._file: IO[bytes] = path.open("a+b")
        for _ in range(100):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.05)
            except OSError:  # a file system without locks
                return
            else:
                return

    @property
    def descriptor(self) -> int:
        """The open file."""
        return self._file.fileno()

    def write(self, chunk: bytes) -> None:
        """Add a piece."""
        write_all(self.descriptor, chunk)

    def left(self, offset: int) -> Iterator[tuple[str, int]]:
        """Yield the whole lines from an offset on, with the offset behind each."""
        lines = Lines()
        while chunk := os.pread(self.descriptor, _CHUNK, offset + lines.fed):
            for line in lines.feed(chunk):
                yield line, offset + lines.read

    def clear(self) -> None:
        """Empty the file."""
        with contextlib.suppress(OSError):
            os.ftruncate(self.descriptor, 0)

    def remove(self) -> None:
        """Remove the file: all of it was read, and nobody adds to it."""
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it; a full disk is noticed where it matters."""
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(descriptor, data) :]
