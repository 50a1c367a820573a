"""Processes that trainings have left behind are ended, also those that have made themselves independent.

On Linux an orphan becomes the child of the nearest ancestor that is a subreaper (prctl(2)), even after setsid. A worker
is one, and so is what it was forked from: whatever that finds among its children besides workers was left by a worker
that is gone. Where even that is gone, what it has started is known by an environment variable.

`python -m hpsearch.workers.leftovers MARK` ends orphans with this mark until its input ends, and then all that has it:
for workers that somebody else starts, as Ray does. Ray could be such a parent itself, but then its workers would hear
nothing of how their children ended.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path

MARK = "HPSEARCH_WORKERS"
"""The environment variable that all have which were started, through any number of others, by one server of workers."""
_GUARD = b"HPSEARCH_GUARD=1"
"""What a program's guard has (families/command/program.py): it ends by itself, once it has saved the output."""
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)
_LOOK_SECONDS = 3.0
_SECONDS = 10.0
"""How long processes may take to end."""


def adopt_orphans() -> None:
    """Become the parent of all orphans among this process's descendants, where the system can do that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1)


def adopt_marked_orphans() -> None:
    """Become their parent where somebody else looks after those that this process leaves behind."""
    if MARK in os.environ:
        adopt_orphans()


def children() -> list[int]:
    """Return the process ids of this process's children, those that have ended and were not waited for included."""
    own = os.getpid()
    return [process for process, parent in _processes() if parent == own]


def _processes() -> Iterator[tuple[int, int]]:
    """Yield the process id and the parent's of each process."""
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):  # it ends meanwhile
            stat = (place / "stat").read_bytes()
            yield int(place.name), int(stat.rpartition(b")")[2].split()[1])


def end_children(*, but: Collection[int] = (), wait_for_guards: bool = False) -> None:
    """End all children but some, and their orphans in turn; guards end by themselves.

    Those that end are waited for, at most some seconds: one that hangs in a driver cannot even be killed.
    """
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        left = [child for child in children() if child not in but]
        ended = [child for child in left if not _is_guard(child)]
        if not (left if wait_for_guards else ended):
            return
        _kill(ended)
        gone = 0
        for child in left:
            with contextlib.suppress(OSError):
                gone += os.waitpid(child, os.WNOHANG)[0] != 0
        if not gone:
            time.sleep(0.01)


def end_marked(mark: str) -> None:
    """End all processes that were started with this mark, but for guards."""
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        found = [process for process, _ in _processes() if _is_marked(process, f"{MARK}={mark}".encode())]
        if not found:
            return
        _kill(found)
        time.sleep(0.01)


@contextlib.contextmanager
def guarded() -> Iterator[dict[str, str]]:
    """Yield environment variables of processes that are started in the block and end with it, or with this process.

    An orphan among what they start ends within seconds.
    """
    mark = uuid.uuid4().hex
    line = [sys.executable, "-m", "hpsearch.workers.leftovers", mark]
    with subprocess.Popen(line, stdin=subprocess.PIPE, start_new_session=True):  # which waits for it at the end
        yield {MARK: mark} if sys.platform == "linux" else {}


def _kill(processes: list[int]) -> None:
    for process in processes:
        with contextlib.suppress(OSError):
            os.kill(process, signal.SIGKILL)


def _is_marked(process: int, mark: bytes) -> bool:
    environment = _environment(process)
    return process != os.getpid() and mark in environment and _GUARD not in environment


def _is_guard(process: int) -> bool:
    return _GUARD in _environment(process)


def _environment(process: int) -> list[bytes]:
    """Return the variables that a process was started with; none of one that has ended, or is somebody else's."""
    try:
        return Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _guard(mark: str) -> None:
    """End what a worker that is gone has left, until the input ends; then end all.

    A worker adopts orphans, so that nobody whose parent is neither marked nor this process's own has one that lives.
    """
    own, words = os.getppid(), f"{MARK}={mark}".encode()
    before: set[int] = set()
    while not select.select([sys.stdin], [], [], _LOOK_SECONDS)[0]:
        marked = {process: parent for process, parent in _processes() if _is_marked(process, words)}
        orphans = {process for process, parent in marked.items() if parent not in marked and parent != own}
        _kill(sorted(orphans & before))  # twice: a parent may have ended between two looks at the list
        before = orphans
    end_marked(mark)


if __name__ == "__main__":
    _guard(sys.argv[1])
