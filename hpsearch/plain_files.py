"""Opening what should be a file: a pipe, a socket or a device in its place is refused, as its reading may never end."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_plain(path: Path) -> BinaryIO:
    """Open a file for reading.

    Raises:
        OSError: It cannot be read, or is no file; `strerror` says which.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))  # a pipe would wait
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder, not a file", str(path))
    raise OSError(errno.ENXIO, "it is a pipe, a socket or a device, not a file", str(path))


def read_plain(path: Path, *, most: int) -> bytes:
    """Return the bytes of a file of at most `most` bytes.

    Raises:
        OSError: As above, or it is larger.
    """
    with open_plain(path) as file:
        content = file.read(most + 1)
        if len(content) <= most:
            return content
        size = max(os.fstat(file.fileno()).st_size, most + 1)
    raise OSError(errno.EOVERFLOW, f"it has {size:,} bytes, and at most {most:,} are read", str(path))
