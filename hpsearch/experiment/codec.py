"""The one codec between the events of a log and its JSON."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, asdict, fields
from typing import Any, Final, get_type_hints

from hpsearch.experiment.events import KINDS, OMITTED, AskEvent, Event, UnknownEvent, Untold
from hpsearch.experiment.files import decode_number
from hpsearch.records import Fold, Metrics, Outcome, Params


class MalformedEventError(ValueError):
    """An object of the log is no event: a field is missing, or its value of another type."""


_NAMES: Final = {kind: name for name, kind in KINDS.items()}


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


_STAMPS: Final = ("time", "elapsed")
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
    for kind in (*KINDS.values(), UnknownEvent)
}
"""The fields of each kind, except for the fold: name, type as it is, reader, and whether it is required."""
_WRITES: Final = {
    kind: tuple((each.name, each.metadata.get(OMITTED, _ALWAYS)) for each in _in_order(kind)) for kind in KINDS.values()
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
    kind = KINDS.get(name, UnknownEvent)
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


def kind_of(event: Event) -> str:
    """Return the name of an event's kind in the log."""
    return _NAMES[type(event)]


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
