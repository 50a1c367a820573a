"""The parameters of a search as the page's axes: their names, and the scale that the space declares for each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hpsearch.cleaning import one_line
from hpsearch.experiment.reading import written_range
from hpsearch.records import Params, is_number
from hpsearch.report.wording import plain, short_names, shorten
from hpsearch.search.importance import Numbers, range_of

LONGEST_VALUE = 200
"""Characters of a text that is a value."""
MOST_OPTIONS = 256
"""Different values of a parameter that are kept; a number needs only its ends."""


@dataclass
class _Tried:
    """The values of a parameter that trials had: each of few, and the ends of the numbers among them."""

    values: dict[str, Any] = field(default_factory=dict)
    low: float | None = None
    high: float | None = None

    def take(self, value: Any) -> None:
        if is_number(value):
            self.low = value if self.low is None else min(self.low, value)
            self.high = value if self.high is None else max(self.high, value)
        if len(self.values) < MOST_OPTIONS:
            self.values.setdefault(plain(value), value)

    @property
    def spanning(self) -> list[Any]:
        """Values that have the range of all."""
        return [*self.values.values(), *(end for end in (self.low, self.high) if end is not None)]


class Axes:
    """The parameters in the order in which trials had them first.

    A row of the table has a value for each of them, in this order: no name that somebody chose is a key.
    """

    def __init__(self, space: Mapping[str, Any]) -> None:
        self._space = space
        self._tried: dict[str, _Tried] = {}

    def declare(self, space: Mapping[str, Any]) -> None:
        """Take the ranges of a space that has changed."""
        self._space = space

    def note(self, params: Params) -> None:
        """Take in the values of a trial."""
        for path, value in params.items():
            self._tried.setdefault(path, _Tried()).take(value)

    def note_again(self, tried: Iterable[Params]) -> None:
        """Forget the values of before; the parameters stay, each in its place."""
        self._tried = {path: _Tried() for path in self._tried}
        for params in tried:
            self.note(params)

    def values(self, params: Params) -> list[Any]:
        """Return the values of a trial on all axes; None where it has none."""
        return [None if path not in params else _cell(params[path]) for path in self._tried]

    def told(self) -> list[dict[str, Any]]:
        """Return name, short name and scale of each axis: the ends of its numbers, or its options."""
        names = short_names(self._tried)
        return [
            {"path": one_line(path), "name": names[path], **_scale(path, tried.spanning, self._space)}
            for path, tried in self._tried.items()
        ]


def _cell(value: Any) -> Any:
    return value if is_number(value) else shorten(plain(value), LONGEST_VALUE)


def _scale(path: str, tried: list[Any], space: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scale that the space declares, widened to the values that were tried."""
    found = range_of(path, tried, space)
    if isinstance(found, Numbers):
        return {"low": found.low, "high": found.high, "log": found.log, "whole": found.whole}
    declared = written_range(path, space).get("choice", ())
    return {"options": list(dict.fromkeys(_cell(value) for value in [*declared, *tried]))}
