"""How likely a design is to show a difference, how many runs would do, and what it can see before it has any value.

Before there are values, differences are in their own standard deviations. `test_to_train` is n_test / n_train of
overlapping folds, as in `two_samples.corrected_t`; 0 for independent replicates.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy import special

from hpsearch.comparing.statistics.arrays import Array

MOST_RUNS = 100_000
"""More than anybody would train: beyond, no number is given."""


def paired_power(effect: float, n: float, *, alpha: float, test_to_train: float = 0.0) -> float:
    """Return the power of the two-sided paired t for a d_z of `effect` (noncentral t).

    With `test_to_train` it is that of the corrected resampled t of n folds, see `two_samples.corrected_t`.
    """
    return _power(effect / (1 / n + test_to_train) ** 0.5, n - 1, alpha)


def unpaired_power(difference: float, spreads: tuple[float, float], sizes: tuple[int, int], *, alpha: float) -> float:
    """Return the power of Welch's two-sided t for a difference of two methods with these standard deviations.

    The noncentral t has Welch's degrees of freedom, so that it is Student's power where variances and sizes are equal.
    """
    largest = max(spreads)
    parts = [(spread / largest) ** 2 / size for spread, size in zip(spreads, sizes, strict=True)]
    df = sum(parts) ** 2 / sum(part**2 / (size - 1) for part, size in zip(parts, sizes, strict=True))
    return _power(difference / largest / sum(parts) ** 0.5, df, alpha)


def _power(noncentrality: float, df: float, alpha: float) -> float:
    """Return P(|t| beyond its critical value); the far tail counts too, though it is mostly nothing.

    SciPy 1.17 gives NaN for some far tails, all of them below Phi(-3.2).
    """
    critical = float(special.stdtrit(df, 1 - alpha / 2))
    shift = abs(noncentrality)
    far = float(special.nctdtr(df, shift, -critical))
    return float(special.nctdtr(df, -shift, -critical)) + (0.0 if math.isnan(far) else far)


def pairs_needed(effect: float, *, alpha: float, power: float) -> int | None:
    """Return the smallest number of pairs with so much power; None beyond 100,000."""
    return _smallest(lambda n: paired_power(effect, n, alpha=alpha), power)


def runs_needed(difference: float, spreads: tuple[float, float], *, alpha: float, power: float) -> int | None:
    """Return the smallest number of runs of each of two unpaired methods with so much power; None beyond 100,000."""
    return _smallest(lambda n: unpaired_power(difference, spreads, (n, n), alpha=alpha), power)


WILCOXON_EFFICIENCY = 3 / math.pi
"""Of the signed ranks against the t test, for normal differences (Lehmann 1975)."""
MOST_COUNTED = 50
"""Pairs beyond which the signed ranks reach any level closely enough."""


def signed_rank_power(effect: float, n: int, *, alpha: float) -> float:
    """Return the power of Wilcoxon's signed ranks for normal differences: that of a t of 3/pi as many pairs.

    The t is at the largest level up to alpha that the ranks of n pairs can reach, and the power at most the chance that
    no more signs are against the effect than the critical sum of ranks has room for.
    """
    from scipy import stats

    level, pairs, most_against = alpha, n * WILCOXON_EFFICIENCY, n
    if n <= MOST_COUNTED:
        possible = _signed_rank_levels(n)
        critical = int(np.searchsorted(possible, alpha, side="right")) - 1
        if critical < 0 or pairs <= 1:
            return 0.0
        level, most_against = float(possible[critical]), (math.isqrt(8 * critical + 1) - 1) // 2
    by_signs = float(stats.binom.cdf(most_against, n, special.ndtr(-abs(effect))))
    return min(paired_power(effect, pairs, alpha=level), by_signs)


def data_sets_needed(effect: float, *, alpha: float, power: float) -> int | None:
    """Return the number of pairs from which on signed ranks have so much power; None beyond 100,000."""
    pairs = pairs_needed(effect, alpha=alpha, power=power)
    if pairs is None:
        return None
    needed = math.ceil(pairs / WILCOXON_EFFICIENCY)
    while signed_rank_power(effect, needed, alpha=alpha) < power:
        needed += 1
    return needed


@lru_cache(maxsize=MOST_COUNTED)
def _signed_rank_levels(n: int) -> Array:
    """Return the two-sided p of each smaller sum of ranks, from 0 on, of n pairs without ties."""
    ways = np.zeros(n * (n + 1) // 2 + 1)  # in which the negative ranks have each sum
    ways[0] = 1
    for rank in range(1, n + 1):
        ways[rank:] += ways[:-rank].copy()
    levels: Array = np.cumsum(ways) * 2.0 ** (1 - n)
    levels.flags.writeable = False
    return levels


def _smallest(power_of: Callable[[int], float], wanted: float) -> int | None:
    low, high = 1, 2
    while power_of(high) < wanted:
        if high >= MOST_RUNS:
            return None
        low, high = high, min(2 * high, MOST_RUNS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(middle) >= wanted else (middle, high)
    return high


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(100)
"""A quadrature over the estimated standard deviation."""
_TAIL = 1e-15
"""Beyond these quantiles of the estimated standard deviation nothing is added up."""


def smallest_effect(n: int, *, alpha: float, power: float, test_to_train: float = 0.0) -> float:
    """Return the smallest d_z that the two-sided paired t of n >= 2 pairs sees with so much power."""
    return _root(lambda effect: paired_power(effect, n, alpha=alpha, test_to_train=test_to_train), power)


def equivalence_power(margin: float, n: int, *, alpha: float, true: float = 0.0, test_to_train: float = 0.0) -> float:
    """Return the power of two one-sided paired t tests to show that a `true` difference lies within the margin.

    Exact: the chance that the mean lies inside both limits, over the distribution of the estimated standard deviation
    (Phillips 1990), which is the difference of two of Owen's Q functions.
    """
    from scipy import stats

    df, error = n - 1, (1 / n + test_to_train) ** 0.5
    critical = float(special.stdtrit(df, 1 - alpha))
    spread = stats.chi(df, scale=df**-0.5)  # of the estimated standard deviation, in true ones
    low, high = float(spread.ppf(_TAIL)), float(spread.isf(_TAIL))
    high = min(high, margin / (error * critical))  # from there on the limits have crossed: nothing is equivalent
    if high <= low:
        return 0.0
    estimated = low + (high - low) * (_NODES + 1) / 2
    reach = margin / error - critical * estimated
    inside = special.ndtr(reach - true / error) - special.ndtr(-reach - true / error)
    return float((high - low) / 2 * np.sum(_WEIGHTS * inside * spread.pdf(estimated)))


def smallest_margin(n: int, *, alpha: float, power: float, test_to_train: float = 0.0) -> float:
    """Return the smallest margin within which equal methods are shown to be equivalent with so much power."""
    return _root(lambda margin: equivalence_power(margin, n, alpha=alpha, test_to_train=test_to_train), power)


def _root(power_of: Callable[[float], float], wanted: float) -> float:
    """Find where an increasing power reaches the wanted power."""
    low, high = 0.0, 1.0
    while power_of(high) < wanted:
        low, high = high, 2 * high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if power_of(middle) >= wanted else (middle, high)
    return high
