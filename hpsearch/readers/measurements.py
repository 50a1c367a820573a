"""From logged values to measurements and series: the last value of a metric stands for a run."""

from array import array
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from hpsearch.readers import Wanted
from hpsearch.readers.numerals import parse_number
from hpsearch.records import Measurement, Series

FARTHEST_STEP = 2.0**63


class Logged:
    """Collects the values that a run logged, step by step."""

    def __init__(self) -> None:
        self._steps: dict[str, array[int]] = defaultdict(lambda: array("q"))
        self._values: dict[str, array[float]] = defaultdict(lambda: array("d"))

    def add(self, name: str, step: int, value: Any) -> None:
        """Take in a value; what is no number is left out. NaN stays: it says that the run went wrong."""
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
        return {name: _last(self._steps[name], values) for name, values in self._values.items()}

    def histories(self, wanted: Wanted) -> dict[str, Series]:
        """Return the series that are asked for and hold more than one value."""
        return {
            name: Series(self._steps[name], values)
            for name, values in self._values.items()
            if len(values) > 1 and name in wanted
        }

    @property
    def steps(self) -> int | None:
        """The highest step of all."""
        return max((max(steps) for steps in self._steps.values()), default=None)


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


def _last(steps: "array[int]", values: "array[float]") -> Measurement:
    best = max(range(len(steps)), key=lambda index: (steps[index], index))
    return Measurement(values[best], steps[best])
