"""Looks at what a test assumes. The results are shown; no test is chosen by them (rule 10)."""

import numpy as np
from scipy import stats

from hpsearch.comparing.statistics.arrays import Array, is_constant, size_of

FEWEST, MOST = 3, 5000


def normality_p(values: Array) -> float | None:
    """Return the p of Shapiro and Wilk's test; None for too few or too many values, or ones that do not vary."""
    if not FEWEST <= len(values) <= MOST or is_constant(values, scale=size_of(values)):
        return None
    return float(stats.shapiro((values - values.mean()) / np.ptp(values)).pvalue)  # SciPy gives up on tiny values


def equal_variances_p(a: Array, b: Array) -> float | None:
    """Return the p of Levene's test around medians (Brown and Forsythe 1974); None for too few values."""
    if min(len(a), len(b)) < FEWEST or is_constant(a, scale=size_of(a)) or is_constant(b, scale=size_of(b)):
        return None
    return float(stats.levene(a, b, center="median").pvalue)
