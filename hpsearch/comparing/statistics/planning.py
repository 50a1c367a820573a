"""What a design will be able to see, before it has any value. Differences are in standard deviations of their own.

`test_to_train` is n_test / n_train of overlapping folds, as in `folds.corrected_t`; 0 for independent replicates.
"""

from collections.abc import Callable

import numpy as np
from scipy import special, stats

from hpsearch.comparing.statistics.power import paired_power

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
    """Return where an increasing power reaches what is wanted."""
    low, high = 0.0, 1.0
    while power_of(high) < wanted:
        low, high = high, 2 * high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if power_of(middle) >= wanted else (middle, high)
    return high
