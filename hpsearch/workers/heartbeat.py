"""A job's sign of life: a file in its folder whose time says when it was last seen to compute or to print.

A training that is slow touches it; one that waits for ever for a lock, a network or its own other processes does not,
and neither does a process that is stopped. The file is there only while the job runs.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from hpsearch.experiment.layout import ALIVE, OUTPUT

BEAT_SECONDS = 10.0
_LEAST_WORK = 0.01
"""The part of a core that counts as computing."""


@contextlib.contextmanager
def beating(folder: Path, *, every: float = BEAT_SECONDS) -> Iterator[None]:
    """Show in a run's folder that its job lives, while the block runs; of several processes rank 0 does."""
    if os.environ.get("RANK", "0") != "0":
        yield
        return
    over = threading.Event()
    thread = threading.Thread(
        target=_beat, args=(folder, _size(folder / OUTPUT), over, every), daemon=True, name="heartbeat"
    )
    with contextlib.suppress(OSError):
        (folder / ALIVE).touch()
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        with contextlib.suppress(OSError):
            (folder / ALIVE).unlink(missing_ok=True)


def _beat(folder: Path, printed: int, over: threading.Event, every: float) -> None:
    worked: float | None = None  # to look costs milliseconds, which a short job does not have
    while not over.wait(every):
        before, size = worked, printed
        worked, printed = _seconds_of_work(), _size(folder / OUTPUT)
        works = before is not None and abs(worked - before) >= _LEAST_WORK * every  # less, when a busy child has ended
        if works or printed != size:
            with contextlib.suppress(OSError):
                os.utime(folder / ALIVE)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _seconds_of_work() -> float:
    """Return the processor time of this process, but for this thread, and its descendants, as far as it is known."""
    ended = os.times()
    total = time.process_time() - time.thread_time() + ended.children_user + ended.children_system
    if sys.platform != "linux":
        return total
    known: dict[int, tuple[int, float]] = {}
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):  # it ends meanwhile
            fields = (place / "stat").read_bytes().rpartition(b")")[2].split()
            known[int(place.name)] = int(fields[1]), sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    below: set[int] = set()
    wave = {os.getpid()}
    while wave:
        wave = {process for process, (parent, _) in known.items() if parent in wave} - below
        below |= wave
    return total + sum(known[process][1] for process in below - {os.getpid()})
