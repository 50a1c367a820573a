"""The events of an experiment: what its log tells, typed; codec.py has their JSON.

The order of a class's fields is their order in the file. Behind them stand `time`, in Unix seconds, and `elapsed`, the
seconds for which the experiment has been running, over all its sessions. `run` is the run's folder in the experiment,
see layout.py. Non-finite numbers are the strings "nan", "inf" and "-inf" in the file.

An event of a kind that a newer version has added is an UnknownEvent; fields that it has added are passed over.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from hpsearch.records import Fold, Metrics, Moment, Outcome, Params

OMITTED: Final = "omitted"
"""Marks a field that is left out of the file while it has this value."""


class Untold(Enum):
    """The value of what the logs of earlier versions do not tell, where None says something else."""

    UNTOLD = "untold"


UNTOLD: Final = Untold.UNTOLD


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    """What all events have; the log sets it when it writes one."""

    time: float = 0.0
    elapsed: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEvent(_Event):
    """A coordinator took the experiment up.

    `given` are the budgets that the space and the command said: `trials`, and `seconds`.
    """

    version: Any = None
    host: Any = None
    given: Any = field(default=None, metadata={OMITTED: None})


@dataclass(frozen=True, slots=True, kw_only=True)
class DataEvent(_Event):
    """The digest of the data on which the session trains; see data.json."""

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskEvent(_Event):
    """A configuration was decided on.

    `rejected` counts the sampler's answers before this one that the space forbids. `start` is the entry of the space's
    list that it begins with, or None. A `rerun` trains the trial of this number on a further seed, from 1 on. `fold` is
    what a replicate or a baseline is tested on, if that is a fold: the fields `folds`, `repeat` and `fold` in the file.
    """

    run: str
    number: int
    replicate: int | None = field(default=None, metadata={OMITTED: None})
    rerun: int | None = field(default=None, metadata={OMITTED: None})
    fold: Fold | None = field(default=None, metadata={OMITTED: None})
    params: Params
    seed: int
    rejected: int = 0
    start: Params | Untold | None = field(default=UNTOLD, metadata={OMITTED: UNTOLD})


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginEvent(_Event):
    """A worker takes a run up, from its checkpoint if there is one; or the program `asker` does, see askers.py."""

    run: str
    attempt: int
    asker: str | None = field(default=None, metadata={OMITTED: None})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportEvent(_Event):
    """An evaluation: the objective's metric at a step.

    `value` is the objective by the space's rule so far, taken at the step `at`; `seconds` of training so far. `final`
    when no other report follows.
    """

    run: str
    step: int
    metric: float
    value: float
    at: int
    seconds: float
    final: bool = field(default=False, metadata={OMITTED: False})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExploitEvent(_Event):
    """A run goes on as a copy of the run `donor`, with these params.

    Its files were copied and its configuration was rewritten before.
    """

    run: str
    number: int
    step: int
    donor: str
    params: Params


@dataclass(frozen=True, slots=True, kw_only=True)
class LostEvent(_Event):
    """A run's process died; it will be taken up again."""

    run: str
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeEvent(_Event):
    """A run ended.

    `scores` are a replicate's or a baseline's, and `train_size` and `test_size` the examples behind them. `data` is
    what was noted of the data (families/data_watch.py). With a `mistake` the run could not begin, because of its data
    or its program, and is tried again once it can.
    """

    run: str
    outcome: Outcome
    seconds: float
    value: float | None = None
    step: int | None = None
    reason: str | None = None
    scores: Metrics = field(default_factory=dict)
    train_size: int | None = field(default=None, metadata={OMITTED: None})
    test_size: int | None = field(default=None, metadata={OMITTED: None})
    data: Mapping[str, Any] = field(default_factory=dict, metadata={OMITTED: {}})
    mistake: str | None = field(default=None, metadata={OMITTED: None})


@dataclass(frozen=True, slots=True, kw_only=True)
class DropEvent(_Event):
    """A changed space has no place for this trial."""

    run: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptEvent(_Event):
    """A changed space keeps this trial; its parameters as they are there."""

    run: str
    params: Params


# Orders of a person; obeyed when they stand in the log. `order` is the order's own id, so that none is obeyed twice.


@dataclass(frozen=True, slots=True, kw_only=True)
class AddEvent(_Event):
    """A configuration, or a part of one, is to be tried next, on top of the budget."""

    order: str
    params: Params


@dataclass(frozen=True, slots=True, kw_only=True)
class StopEvent(_Event):
    """A trial is to end where it is; without a `run` the whole session, as after a Ctrl-C."""

    order: str
    run: str | None = field(default=None, metadata={OMITTED: None})


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseEvent(_Event):
    """Nothing is to be trained, until a ResumeEvent or the next session."""

    order: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeEvent(_Event):
    """The search is to go on after a pause."""

    order: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetEvent(_Event):
    """The search may have other `trials`, or take other `seconds`; None for what stays as it is.

    `instead` are those that the space said then: the order holds until the space says something else.
    """

    order: str
    trials: int | None = field(default=None, metadata={OMITTED: None})
    seconds: float | None = field(default=None, metadata={OMITTED: None})
    instead: Params = field(default_factory=dict, metadata={OMITTED: {}})


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteEvent(_Event):
    """Something that a person wants to remember of a run or, without one, of the experiment."""

    order: str
    run: str | None = field(default=None, metadata={OMITTED: None})
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseEvent(_Event):
    """An order, of the `kind` that its event would have, was not obeyed."""

    order: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndEvent(_Event):
    """The session ended: finished, interrupted, time or failed."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownEvent(_Event):
    """An event that this version does not know; `content` is all that the file has."""

    content: Mapping[str, Any] = field(default_factory=dict, metadata={OMITTED: {}})


RunEvent = AskEvent | BeginEvent | ReportEvent | ExploitEvent | LostEvent | OutcomeEvent | DropEvent | AdoptEvent
"""An event of one run."""

OrderEvent = AddEvent | StopEvent | PauseEvent | ResumeEvent | BudgetEvent | NoteEvent
"""What a person orders."""

Event = RunEvent | OrderEvent | RefuseEvent | SessionEvent | DataEvent | EndEvent | UnknownEvent
"""An event of the log."""


@dataclass(frozen=True, slots=True)
class PauseNotice:
    """A run was paused and can go on from its checkpoint. Like every notice it is shown, but not in the log."""

    run: str


@dataclass(frozen=True, slots=True)
class InterruptNotice:
    """Somebody pressed Ctrl-C: running trials end at their next step, or at their next report."""


@dataclass(frozen=True, slots=True)
class TextNotice:
    """Something for the user to read; of a `problem` also who wants to read little."""

    text: str
    problem: bool = False


@dataclass(frozen=True, slots=True)
class HealthNotice:
    """A finding that is seriously wrong with a training, and what to do."""

    text: str


@dataclass(frozen=True, slots=True)
class MomentNotice:
    """How far a run is between two reports."""

    run: str
    moment: Moment


Notice = PauseNotice | InterruptNotice | TextNotice | HealthNotice | MomentNotice
"""What observers are shown besides the events of the log."""


def runs_of(event: Event) -> tuple[str, ...]:
    """Return the runs that must be known before an event."""
    if isinstance(event, ExploitEvent):
        return event.run, event.donor
    if isinstance(event, BeginEvent | ReportEvent | LostEvent | OutcomeEvent | DropEvent | AdoptEvent):
        return (event.run,)
    if isinstance(event, StopEvent | NoteEvent) and event.run is not None:
        return (event.run,)
    return ()


KINDS: Final[Mapping[str, type[Event]]] = {
    "session": SessionEvent,
    "data": DataEvent,
    "ask": AskEvent,
    "begin": BeginEvent,
    "report": ReportEvent,
    "exploit": ExploitEvent,
    "lost": LostEvent,
    "outcome": OutcomeEvent,
    "drop": DropEvent,
    "adopt": AdoptEvent,
    "end": EndEvent,
    "add": AddEvent,
    "stop": StopEvent,
    "pause": PauseEvent,
    "resume": ResumeEvent,
    "budget": BudgetEvent,
    "note": NoteEvent,
    "refuse": RefuseEvent,
}
"""Their names in the file."""
