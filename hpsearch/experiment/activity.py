"""When an experiment was worked on, and whether it still is: from its lock and its log."""

from dataclasses import dataclass
from pathlib import Path

from hpsearch.experiment.events import SessionEvent
from hpsearch.experiment.layout import LOG
from hpsearch.experiment.lock import in_use
from hpsearch.experiment.log import read_state
from hpsearch.experiment.studies import last_session

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
