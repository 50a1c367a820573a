"""What a job prints, in its output.log: all of it, unless that is much; then its beginning and its end.

Descriptors 1 and 2 are the file itself, so that nothing is lost with a process and nobody waits for a reader. A thread
looks at its size. Where it is too large, the middle is given back to the disk at once, as a hole, and cut out when
nobody writes any more.
"""

import contextlib
import ctypes
import os
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

HEAD = TAIL = 2 << 20
"""Bytes of the beginning and of the end of a run's output that are kept: at most about 4 MiB are on the disk."""
_SLACK = 1 << 20
"""Bytes by which an output may be larger, so that it is not cut again and again."""
_LOOK_SECONDS = 0.25
_NOTE = "\n[hpsearch: {} bytes of the output are left out here; its first and its last {} MiB are kept]\n"
_NOTED = re.compile(re.escape(_NOTE).replace(r"\{\}", r"(\d+)").encode())
_PUNCH = 1 | 2  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE of fallocate(2)


@contextlib.contextmanager
def output_to(path: Path) -> Iterator[None]:
    """Send what this process and its children print (file descriptors 1 and 2) to the end of a file, which is capped.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _flush()
    streams = sys.stdout, sys.stderr
    kept = os.dup(1), os.dup(2)
    with path.open("a+b") as file:
        shorten(file.fileno())
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        over = threading.Event()
        watch = threading.Thread(target=_watch, args=(file.fileno(), over), daemon=True, name="output watch")
        watch.start()
        try:
            yield
        finally:
            try:
                _flush()
            finally:
                sys.stdout, sys.stderr = (_open(stream, place) for place, stream in enumerate(streams, start=1))
                for descriptor, target in zip(kept, (1, 2), strict=True):
                    os.dup2(descriptor, target)
                    os.close(descriptor)
                over.set()
                watch.join()
                shorten(file.fileno())


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, AttributeError):  # it was closed, or is no stream
            stream.flush()


def _open(stream: TextIO, descriptor: int) -> TextIO:
    """Return the stream that was there before, or another one where a training has closed it."""
    return open(descriptor, "w", buffering=1, closefd=False) if stream.closed else stream


def _watch(descriptor: int, over: threading.Event) -> None:
    """Give the middle of a growing file back to the disk."""
    done = HEAD
    while not over.wait(_LOOK_SECONDS):
        end = os.fstat(descriptor).st_size - TAIL
        done = min(done, max(end, HEAD))  # it may have been cut
        if end - done < _SLACK:
            continue
        if not _punch(descriptor, HEAD, end):  # a file system without holes
            shorten(descriptor)
        done = end


def _punch(descriptor: int, begin: int, end: int) -> bool:
    """Make a hole; say whether that is possible."""
    if sys.platform != "linux":
        return False
    fallocate = ctypes.CDLL(None).fallocate64
    fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return bool(fallocate(descriptor, _PUNCH, begin, end - begin) == 0)


def shorten_file(path: Path) -> None:
    """Cut the middle out of the output of a job that has ended, if it is too large."""
    with contextlib.suppress(OSError), path.open("r+b") as file:
        shorten(file.fileno())


def shorten(descriptor: int) -> None:
    """Cut the middle out of a file that is too large, and leave a note there."""
    size = os.fstat(descriptor).st_size
    if size <= HEAD + TAIL + _SLACK:
        return
    head = os.pread(descriptor, HEAD, 0)
    tail = os.pread(descriptor, TAIL, size - TAIL)
    head, tail = head[: head.rfind(b"\n") + 1] or head, tail[tail.find(b"\n") + 1 :]
    left_out = size - len(head) - len(tail)
    if before := _NOTED.search(os.pread(descriptor, HEAD + len(_NOTE) + 40, 0)):
        head = head[: before.start()]
        left_out += int(before[1])
    os.ftruncate(descriptor, len(head))
    os.lseek(descriptor, 0, os.SEEK_END)
    rest = _NOTE.format(left_out, HEAD >> 20).encode() + tail
    while rest:
        rest = rest[os.write(descriptor, rest) :]
