"""What all statistics share: the kind of their arrays, what a test returns, and when numbers count as equal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]
LEVEL = 0.95
"""The confidence of an interval, if nothing else is asked for."""
SAME = 1e-10
"""Numbers that differ by less than this share of their size differ by rounding only."""
NEXT_TO_ZERO = 1e-8
"""An end of an interval that is smaller than this share of the other end represents 0, which is not in the interval."""
LARGEST, TINIEST = 1e75, 1e-75
"""Values beyond, and spreads below, cannot be computed with: their fourth powers have no place in a double."""


@dataclass(frozen=True)
class Tested:
    """A test's statistic, degrees of freedom (None for a test without any) and two-sided p.

    `error` is the standard error of the estimate that a t test divides by.
    """

    statistic: float
    df: float | tuple[float, float] | None
    p: float
    error: float | None = None


def two_sided_p(t: float, df: float) -> float:
    """Return the two-sided p of Student's t."""
    return float(2 * special.stdtr(df, -abs(t)))


def as_array(values: Sequence[float] | Array) -> Array:
    """Return the values as one array of doubles."""
    return np.asarray(values, dtype=np.float64)


def is_constant(values: Array, *, scale: float) -> bool:
    """Check whether values of a quantity of size `scale` vary by no more than rounding does."""
    return bool(np.ptp(values) <= max(SAME * scale, TINIEST)) if len(values) else True


def snapped(differences: Array, *, scale: float) -> Array:
    """Return differences without their rounding noise, so that ties and zeros are seen: 0.93 - 0.9 is 0.83 - 0.8."""
    grid = SAME * scale
    return differences if grid == 0 else np.round(differences / grid) * grid


def without_rounding(value: float, *, scale: float) -> float:
    """Return a difference of quantities of size `scale`, or 0 where it is what rounding left of equal ones."""
    return value if abs(value) > SAME * scale else 0.0


def size_of(*arrays: Any) -> float:
    """Return the largest absolute value in any of the arrays."""
    return max((float(np.max(np.abs(array))) for array in arrays if len(array)), default=0.0)
