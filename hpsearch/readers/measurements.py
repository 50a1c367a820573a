"""From logged values to measurements and series: the last value of a metric represents a run."""

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from hpsearch.readers import Wanted
from hpsearch.readers.numerals import parse_number
from hpsearch.records import Measurement, Series

FARTHEST_STEP = 2.0**63


class Logged:
    """Collects the values that a run logged, step by step.

    `in_time` says that they come in the order in which they were logged. Then a metric whose steps go back was begun
    again at that step, and what had been logged from there on belongs to an attempt that is over: it is left out.
    """

    def __init__(self, *, in_time: bool = False) -> None:
        self._in_time = in_time
        self._steps: dict[str, array[int]] = defaultdict(lambda: array("q"))
        self._values: dict[str, array[float]] = defaultdict(lambda: array("d"))

    def add(self, name: str, step: int, value: Any) -> None:
        """Add a value; non-numeric values are ignored. NaN is kept, because it shows that the run went wrong."""
        value = as_number(value)
        if value is not None:
            self._steps[name].append(step)
            self._values[name].append(value)

    def add_row(self, step: int, row: Mapping[str, Any]) -> None:
        """Take in all metrics of a step."""
        for name, value in row.items():
            self.add(name, step, value)

    def metrics(self) -> dict[str, Measurement]:
        """Return the value of each metric's highest step; of equal steps the later one."""
        return {name: _last(series) for name, series in self._series().items()}

    def histories(self, wanted: Wanted) -> dict[str, Series]:
        """Return the series that are asked for and hold more than one value."""
        return {name: each for name, each in self._series().items() if len(each.values) > 1 and name in wanted}

    @property
    def steps(self) -> int | None:
        """The highest step of all."""
        return max((max(series.steps) for series in self._series().values()), default=None)

    def restart_warning(self, place: object, wanted: Wanted) -> tuple[str, ...]:
        """Return a line for a run whose steps go back: what of it counts."""
        for name, steps in self._steps.items() if self._in_time else ():
            backs = [after for before, after in pairwise(steps) if after < before]
            if backs and name in wanted and not _is_backwards(steps, len(backs)):
                return (
                    f"{place}: the steps of {name} go back to {backs[-1]}: the newest attempt counts, from there on",
                )
        return ()

    def _series(self) -> dict[str, Series]:
        whole = {name: Series(self._steps[name], values) for name, values in self._values.items()}
        return {name: _newest_attempt(series) for name, series in whole.items()} if self._in_time else whole


def as_number(value: Any) -> float | None:
    """Return the number that a value is; text such as `nan` and `0.5` counts, `1_0`, true and false do not."""
    if isinstance(value, str):
        value = parse_number(value)
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def as_step(value: Any) -> int | None:
    """Return the step that a value is; what has no place in 64 bits is none."""
    found = as_number(value)
    return int(found) if found is not None and abs(found) < FARTHEST_STEP else None


def _is_backwards(steps: Sequence[int], falls: int) -> bool:
    """Check whether a series was written from its end to its begin."""
    return falls == len(steps) - 1 > 1


def _newest_attempt(series: Series) -> Series:
    """Return a series without the steps that a later attempt went through again.

    A series in which every step is lower than the one before it was written from its end to its begin.
    """
    steps, values = series.steps, series.values
    falls = sum(after < before for before, after in pairwise(steps))
    if not falls:
        return series
    if _is_backwards(steps, falls):
        return Series(steps[::-1], values[::-1])
    kept, own = array("q"), array("d")
    for index, step in enumerate(steps):
        if kept and step < kept[-1]:
            place = bisect_left(kept, step)
            del kept[place:], own[place:]
        kept.append(step)
        own.append(values[index])
    return Series(kept, own)


def _last(series: Series) -> Measurement:
    best = max(range(len(series.steps)), key=lambda index: (series.steps[index], index))
    return Measurement(series.values[best], series.steps[best])
