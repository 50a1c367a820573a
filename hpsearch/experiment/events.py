"""The events of an experiment: what its log tells, typed, and the one codec between them and the log's JSON.

The order of a class's fields is their order in the file. Behind them stand `time`, in Unix seconds, and `elapsed`, the
seconds for which the experiment has been running, over all its sessions. `run` is the run's folder in the experiment,
see layout.py. Non-finite numbers are the strings "nan", "inf" and "-inf" in the file.

An event of a kind that a newer version has added is an UnknownEvent; fields that it has added are passed over.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from enum import Enum
from typing import Any, Final, get_type_hints

from hpsearch.experiment.files import decode_number
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
    """A coordinator took the experiment up."""

    version: Any = None
    host: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataEvent(_Event):
    """The digest of the data on which the session trains; see data.json."""

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskEvent(_Event):
    """A configuration was decided on.

    `rejected` counts the sampler's answers before this one that the space forbids. `start` is the entry of the space's
    list that it begins with, or None. `fold` is what a replicate or a baseline is tested on, if that is a fold: the
    fields `folds`, `repeat` and `fold` in the file.
    """

    run: str
    number: int
    replicate: int | None = field(default=None, metadata={OMITTED: None})
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

Event = RunEvent | SessionEvent | DataEvent | EndEvent | UnknownEvent
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


class MalformedEventError(ValueError):
    """An object of the log is no event: a field is missing, or its value of another type."""


_KINDS: Final[Mapping[str, type[Event]]] = {
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
}
_NAMES: Final = {kind: name for name, kind in _KINDS.items()}


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError("a text")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("a whole number")
    return value


def _number(value: Any) -> float:
    number = decode_number(value) if type(value) is str else value
    if type(number) is not float and type(number) is not int:
        raise TypeError("a number")
    return number


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise TypeError("true or false")
    return value


def _mapping(value: Any) -> Params:
    if type(value) is not dict:
        raise TypeError("an object")
    return value


def _scores(value: Any) -> Metrics:
    return {name: _number(score) for name, score in _mapping(value).items()}


def _outcome(value: Any) -> Outcome:
    try:
        return _OUTCOMES[value]
    except (KeyError, TypeError):
        raise TypeError(f"one of {', '.join(Outcome)}") from None


def _anything(value: Any) -> Any:
    return value


def _or_none(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


_OUTCOMES: Final = {outcome.value: outcome for outcome in Outcome}
_READERS: Final[Mapping[Any, Callable[[Any], Any]]] = {
    Any: _anything,
    str: _text,
    int: _whole,
    float: _number,
    bool: _flag,
    Outcome: _outcome,
    Params: _mapping,
    Metrics: _scores,
    str | None: _or_none(_text),
    int | None: _or_none(_whole),
    float | None: _or_none(_number),
    Params | Untold | None: _or_none(_mapping),
}
"""How the value of a field is checked and read, by the field's type."""


def _in_order(kind: type[Event]) -> "list[Field[Any]]":
    """List the fields of a kind as they are in the file: when it happened comes last."""
    return sorted(fields(kind), key=lambda each: each.name in _STAMPS)


_STAMPS: Final = tuple(each.name for each in fields(_Event))
_FOLD: Final = tuple(each.name for each in fields(Fold))
_ALWAYS: Final = object()
"""No value of any field."""
_AS_IT_IS: Final[Mapping[Any, type]] = {str: str, int: int, float: float, bool: bool, Params: dict}
"""The fields whose value needs no reading if it has this very type: most values of most lines."""
_READS: Final = {
    kind: tuple(
        (
            each.name,
            _AS_IT_IS.get(hint),
            _READERS[hint],
            each.name in _STAMPS or each.default is each.default_factory is MISSING,
        )
        for each, hint in ((each, get_type_hints(kind)[each.name]) for each in _in_order(kind))
        if hint in _READERS
    )
    for kind in (*_KINDS.values(), UnknownEvent)
}
"""The fields of each kind, except for the fold: name, type as it is, reader, and whether it is required."""
_WRITES: Final = {
    kind: tuple((each.name, each.metadata.get(OMITTED, _ALWAYS)) for each in _in_order(kind))
    for kind in _KINDS.values()
}
"""The fields of each kind: name, and with which value it is left out."""


def decode(content: Mapping[str, Any]) -> Event:
    """Make an event of an object of the log.

    Raises:
        MalformedEventError: It has no kind, or a field of its kind is missing or of another type.

    """
    name = content.get("event")
    if not isinstance(name, str):
        raise MalformedEventError("it does not say which event it is")
    kind = _KINDS.get(name, UnknownEvent)
    values: dict[str, Any] = {"content": content} if kind is UnknownEvent else {}
    for each, as_it_is, read, required in _READS[kind]:
        value = content.get(each, _ALWAYS)
        if type(value) is as_it_is:
            values[each] = value
        elif value is not _ALWAYS:
            try:
                values[each] = read(value)
            except (TypeError, ValueError) as error:
                raise MalformedEventError(f"{name}: {each} is {value!r}, not {error}") from None
        elif required:
            raise MalformedEventError(f"{name}: {each} is missing")
    if kind is AskEvent and "fold" in content:
        values["fold"] = _fold(content)
    return kind(**values)


def encode(event: Event) -> dict[str, Any]:
    """Make an object of the log of an event; `decode` undoes it."""
    if isinstance(event, UnknownEvent):
        return dict(event.content)
    kind = type(event)
    content: dict[str, Any] = {"event": _NAMES[kind]}
    for name, default in _WRITES[kind]:
        value = getattr(event, name)
        if isinstance(value, Fold):
            content |= asdict(value)
        elif value != default:
            content[name] = dict(value) if isinstance(value, Mapping) else value
    return content


def _fold(content: Mapping[str, Any]) -> Fold:
    """Read the three fields that say which fold it is."""
    try:
        return Fold(*(_whole(content[each]) for each in _FOLD))
    except KeyError as missing:
        raise MalformedEventError(f"ask: {missing.args[0]} is missing") from None
    except TypeError as error:
        raise MalformedEventError(f"ask: a field of its fold is not {error}") from None
