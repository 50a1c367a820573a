"""Who works on an experiment now, and when it was worked on: the lock of its folder, and its log."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hpsearch.errors import ExperimentBusyError
from hpsearch.experiment.events import SessionEvent
from hpsearch.experiment.layout import LOCK, LOG
from hpsearch.experiment.log import read_state
from hpsearch.experiment.studies import last_session

WAIT_SECONDS = 5.0
"""How long a start waits for the workers of a coordinator that was just killed to go away."""


@contextlib.contextmanager
def locked(folder: Path, *, patience: float = WAIT_SECONDS) -> Iterator[int]:
    """Hold the folder's lock; yield its file descriptor. `patience`: seconds to wait for it.

    Workers inherit the descriptor, so that the lock is held until the last of them is gone. The kernel lets go
    of it when the processes end, however they end.

    Raises:
        ExperimentBusyError: if another process holds the lock.
    """
    with (folder / LOCK).open("a+") as file:
        _take(file.fileno(), folder, patience)
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield file.fileno()


def in_use(folder: Path) -> bool:
    """Check whether some process runs the experiment now."""
    if not (folder / LOCK).exists():
        return False
    with (folder / LOCK).open("r") as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _take(descriptor: int, folder: Path, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                holder = (folder / LOCK).read_text(encoding="utf-8").strip() or "unknown"
                message = f"{folder} is being run by another process (process id {holder}); wait for it or stop it"
                raise ExperimentBusyError(message) from None
            time.sleep(0.1)
        else:
            return


RUNNING, NOT_BEGUN, KILLED = "running", "not begun", "killed"
TIME_IS_UP = "finished: time is up"


@dataclass(frozen=True)
class Activity:
    """The state of an experiment (see `state_of`), and the Unix times of its first and last event."""

    state: str
    started: float | None = None
    last: float | None = None


def state_of(folder: Path) -> str:
    """Return `running`, or how the last session ended: finished, interrupted, failed; `killed` if it could not say."""
    if in_use(folder):
        return RUNNING
    last = last_session(folder)
    if last is None:
        return NOT_BEGUN
    if isinstance(last, SessionEvent):
        return KILLED
    return TIME_IS_UP if last.why == "time" else last.why


def read_activity(folder: Path) -> Activity:
    """Return the state of an experiment, and since when it holds."""
    state = read_state(folder / LOG)
    return Activity(state_of(folder), state.started, state.latest)
