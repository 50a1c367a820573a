"""What part of an axis a picture shows, and where its ticks are."""

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hpsearch.records import Goal
from hpsearch.report.wording import number

FENCE = 10.0
"""Values farther from the quartiles than so many of their distances may be cut off, where they flatten all others."""
FLATTENED = 5.0
"""They flatten the others where all values span so many times what the others do."""
FEWEST = 8
"""Of fewer values nobody can say which of them are extraordinary."""


class Limits(NamedTuple):
    """The part of an axis that is shown, and how many values lie beyond it."""

    low: float
    high: float
    cut: int
    farthest: float
    """The value that is the farthest beyond."""

    @property
    def says(self) -> str:
        """A sentence about what is cut off."""
        cut = "1 value is" if self.cut == 1 else f"{self.cut} values are"
        return f"{cut} cut off, as far as {number(self.farthest)}."


def robust_limits(values: Iterable[float], goal: Goal) -> Limits | None:
    """Return the part without extraordinarily bad values, or None if all can be shown.

    The fences are John Tukey's, farther out. Good values are never cut off: they are what a picture is looked at for.
    """
    found = sorted(value for value in values if math.isfinite(value))
    if len(found) < FEWEST:
        return None
    first, _, third = statistics.quantiles(found, n=4, method="inclusive")
    reach = FENCE * (third - first)
    low, high = (first - reach, math.inf) if goal is Goal.MAXIMIZE else (-math.inf, third + reach)
    kept = [value for value in found if low <= value <= high]
    if reach <= 0 or found[-1] - found[0] <= FLATTENED * (kept[-1] - kept[0]):
        return None
    margin = 0.05 * (kept[-1] - kept[0])
    farthest = found[0] if goal is Goal.MAXIMIZE else found[-1]
    return Limits(kept[0] - margin, kept[-1] + margin, len(found) - len(kept), farthest)


def whole_step(low: float, high: float, *, ticks: int = 8) -> int:
    """Return the distance of ticks that are whole numbers: 1, 2 or 5 times a power of ten."""
    wanted = max((high - low) / ticks, 1.0)
    scale = 10 ** math.floor(math.log10(wanted))
    return int(next(factor * scale for factor in (1, 2, 5, 10) if factor * scale >= wanted))


def log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return ticks of a log axis, as (logarithm, text): powers of ten, and 2 and 5 times them where those are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    inside = [power for power in powers if low <= 10.0**power * (1 + 1e-9) and 10.0**power <= high * (1 + 1e-9)]
    factors = (1,) if len(inside) > 2 else (1, 2, 5)
    found = [factor * 10.0**power for power in powers for factor in factors]
    return [(math.log10(value), number(value)) for value in found if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]


def are_whole(values: Sequence[float | None]) -> bool:
    """Check whether all values that are there are whole numbers."""
    return all(value is None or float(value).is_integer() for value in values)
