"""Tests of two samples whose values belong to different runs, without partners."""

import math

import numpy as np
from scipy import stats

from hpsearch.comparing.statistics.arrays import Array, Tested, two_sided_p

EXACT_MANN_WHITNEY = 30
"""Values of the smaller sample up to which the distribution of U is counted if there are no ties."""
EXACT_WITH_TIES = 20_000
"""Ways to deal the values out up to which all are counted when some are tied."""


def welch(a: Array, b: Array) -> Tested:
    """Return Welch's t for variances that may differ; each sample has two values or more, and one of them varies."""
    parts = np.var(a, ddof=1) / len(a), np.var(b, ddof=1) / len(b)
    error = float(sum(parts)) ** 0.5
    df = float(sum(parts) ** 2 / (parts[0] ** 2 / (len(a) - 1) + parts[1] ** 2 / (len(b) - 1)))
    statistic = float(np.mean(a) - np.mean(b)) / error
    return Tested(statistic, df, two_sided_p(statistic, df), error)


def mann_whitney(a: Array, b: Array) -> Tested:
    """Return Mann and Whitney's U of a; exact where that is feasible, ties or not, and normal beyond."""
    n, m = len(a), len(b)
    tied = len(np.unique(np.concatenate([a, b]))) < n + m
    if tied and math.comb(n + m, n) <= EXACT_WITH_TIES:
        found = stats.mannwhitneyu(a, b, method=stats.PermutationMethod(n_resamples=EXACT_WITH_TIES))
    elif not tied and min(n, m) <= EXACT_MANN_WHITNEY and max(n, m) <= 200:
        found = stats.mannwhitneyu(a, b, method="exact")
    else:
        found = stats.mannwhitneyu(a, b, method="asymptotic")
    return Tested(float(found.statistic), None, float(found.pvalue))


def smallest_rank_p(n: int, m: int) -> float:
    """Return the smallest two-sided p that n and m values can give to a rank or permutation test: 0.1 for 3 and 3."""
    return min(1.0, 2 / math.comb(n + m, n))
