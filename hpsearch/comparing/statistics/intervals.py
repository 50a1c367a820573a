"""Intervals: of a mean, and those that belong to a test, at any level: the differences that it does not reject."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

from hpsearch.comparing.statistics.arrays import LEVEL, Array, Tested, as_array
from hpsearch.comparing.statistics.two_samples import five_by_two_interval, signed_rank_interval

FEWEST_FOR_BCA, MOST_FOR_BCA = 100, 500
"""Below, BCa intervals are too short: of ten normal values they hold 90%; above, they and t's have the same digits."""
_EXAMPLE_RESAMPLES = 2_000
"""Of a bootstrap over examples."""
RESAMPLES, DRAWS = 9_999, 1_000_000
"""Resamples of a bootstrap: fewer of longer samples, for at most `DRAWS` numbers, but never less than 2,000."""


def t_interval(estimate: float, error: float, df: float, *, level: float = LEVEL) -> tuple[float, float]:
    """Return the interval of an estimate with a standard error."""
    half = float(special.stdtrit(df, 0.5 + level / 2)) * error
    return estimate - half, estimate + half


def mean_interval(values: Array, *, seed: int) -> tuple[tuple[float, float], str]:
    """Return the interval of the mean of n >= 2 values that vary, and its name: `t` or `bca`."""
    if FEWEST_FOR_BCA <= len(values) <= MOST_FOR_BCA:
        return bca_interval(values, seed=seed), "bca"
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5
    return t_interval(float(np.mean(values)), error, len(values) - 1), "t"


def bca_interval(values: Array, *, seed: int) -> tuple[float, float]:
    """Return the BCa interval of the mean (Efron 1987): its ends are moved for bias and for skewness."""
    n, values = len(values), np.sort(values)  # the order of the values must not matter to what is drawn
    centre = float(np.mean(values))
    means = centre + _resampling_weights(n, max(2_000, min(RESAMPLES, DRAWS // n)), seed) @ (values - centre)
    below = (np.count_nonzero(means < centre) + np.count_nonzero(means == centre) / 2) / len(means)
    bias = special.ndtri(below)
    influence = values - centre  # the jackknife's, which for a mean is in proportion to the distances from it
    acceleration = float(np.sum(influence**3) / (6 * np.sum(influence**2) ** 1.5))
    ends = special.ndtri(np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    moved = special.ndtr(bias + (bias + ends) / (1 - acceleration * (bias + ends)))
    low, high = np.quantile(means, moved)
    return float(low), float(high)


def wilson_interval(share: float, n: int, *, level: float = LEVEL) -> tuple[float, float]:
    """Return the interval of a proportion of n independent examples (Wilson 1927)."""
    z = float(special.ndtri(0.5 + level / 2))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


def resampled_intervals(
    scores: Callable[[Array], Mapping[str, float]], n: int, *, seed: int, level: float = LEVEL
) -> dict[str, tuple[float, float]]:
    """Return the percentile bootstrap interval of each score of n examples (Efron 1979).

    `scores` takes how often each example was drawn, (n,). Resamples in which a score is not a number are left out.
    """
    draws, found = np.random.default_rng(seed), defaultdict[str, list[float]](list)
    for _ in range(_EXAMPLE_RESAMPLES):
        for name, value in scores(draws.multinomial(n, np.full(n, 1 / n)).astype(np.float64)).items():
            found[name].append(value)
    ends = ((1 - level) / 2, (1 + level) / 2)
    finite = {name: as_array(values)[np.isfinite(values)] for name, values in found.items()}
    return {
        name: (float(np.quantile(values, ends[0])), float(np.quantile(values, ends[1])))
        for name, values in finite.items()
        if len(values)
    }


@lru_cache(maxsize=4)
def _resampling_weights(n: int, resamples: int, seed: int) -> Array:
    """Return, a row for each resample, how often each of n values was drawn, divided by n.

    Kept, because the pairs of one comparison are mostly of one length.
    """
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    weights: Array = counts / n
    weights.flags.writeable = False
    return weights


Interval = tuple[float, float]


@dataclass(frozen=True)
class ByStudent:
    """That of a t test: of an estimate with its standard error and degrees of freedom."""

    estimate: float
    error: float
    df: float

    def at(self, level: float) -> Interval:
        """Return the interval that holds with a probability of `level`."""
        return t_interval(self.estimate, self.error, self.df, level=level)


@dataclass(frozen=True)
class BySignedRanks:
    """That of Wilcoxon's test, of differences of values whose size is `scale`."""

    differences: tuple[float, ...]
    scale: float

    def at(self, level: float) -> Interval | None:
        """Return the interval, or None if the test rejects no difference or all."""
        return signed_rank_interval(as_array(self.differences), scale=self.scale, level=level)


@dataclass(frozen=True)
class ByFiveByTwo:
    """That of Alpaydin's F, of the ten differences in the order of repeats and folds."""

    differences: tuple[float, ...]

    def at(self, level: float) -> Interval | None:
        """Return the interval, or None if the test rejects all differences."""
        return five_by_two_interval(as_array(self.differences).reshape(5, 2), level=level)


Inversion = ByStudent | BySignedRanks | ByFiveByTwo


def by_student(tested: Tested, estimate: float) -> ByStudent:
    """Return the intervals of a t test."""
    if tested.error is None or not isinstance(tested.df, float):
        raise ValueError("only a t test with one number of degrees of freedom has an interval")
    return ByStudent(estimate, tested.error, tested.df)
