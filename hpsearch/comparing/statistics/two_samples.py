"""Tests of two methods: of the differences of pairs, of samples without partners, of folds, of equivalence.

The training sets of cross-validation's folds overlap, so that their differences are not independent.
"""

import math
from bisect import bisect_left
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import special

from hpsearch.comparing.statistics.arrays import LEVEL, SAME, Array, Tested, is_constant, size_of, two_sided_p
from hpsearch.comparing.statistics.effects import Standardised, noncentral_bounds

MOST_EXACT = 15
"""Pairs up to which all 2^n patterns of signs are counted."""
PATTERNS, DRAWS = 19_999, 2_000_000
"""Random patterns of signs, fewer for more pairs: at most `DRAWS` signs, but never less than 1,999 patterns."""
EXACT_WILCOXON = 50
"""Pairs up to which Wilcoxon's distribution is counted if there are no ties."""


def paired_t(differences: Array) -> Tested:
    """Return Student's paired t of n >= 2 differences that vary."""
    n = len(differences)
    error = float(np.std(differences, ddof=1)) / n**0.5
    statistic = float(np.mean(differences)) / error
    return Tested(statistic, float(n - 1), two_sided_p(statistic, n - 1), error)


def sign_flip(differences: Array, *, seed: int, scale: float = 0.0) -> float:
    """Return the two-sided p of the sum of the differences when each sign is as likely as the other (Fisher 1935).

    Sums that differ by no more than rounding of values of size `scale` are equal.
    Up to 15 pairs all patterns are counted; beyond, seeded random ones and the observed (Phipson and Smyth 2010):
    p is never 0.
    """
    sizes = np.sort(np.abs(differences))  # so that random patterns do not depend on the pairs' order
    observed = abs(float(np.sum(differences))) - SAME * scale - 1e-12 * float(np.sum(sizes))
    if len(sizes) <= MOST_EXACT:
        return float(np.mean(np.abs(_all_sums(sizes)) >= observed))
    sums = _random_signs(len(sizes), seed) @ sizes
    return float((1 + np.count_nonzero(np.abs(sums) >= observed)) / (len(sums) + 1))


@lru_cache(maxsize=2)
def _random_signs(n: int, seed: int) -> Array:
    """Return random patterns of n signs, a row each; kept, because a comparison's pairs are mostly of one length."""
    patterns = max(1_999, min(PATTERNS, DRAWS // n))
    signs: Array = np.random.default_rng(seed).integers(0, 2, size=(patterns, n), dtype=np.int8).astype(np.float64)
    signs = 2 * signs - 1
    signs.flags.writeable = False
    return signs


def _all_sums(sizes: Array) -> Array:
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums + size, sums - size])
    return sums


def smallest_sign_p(n: int) -> float:
    """Return the smallest two-sided p that n pairs can give to a sign-flip or signed-rank test: 0.0625 for five."""
    return min(1.0, 2.0 ** (1 - n))


def wilcoxon(differences: Array) -> Tested:
    """Return Wilcoxon's signed ranks: the smaller sum of ranks, the ranks of zeros shared out (Demsar 2006).

    Exact up to 15 pairs, with ties and zeros too (the signs of the ranks are flipped); without ties up to 50.
    """
    from scipy import stats

    n, signed = len(differences), _signed_ranks(differences)
    statistic = (n * (n + 1) / 2 - abs(float(np.sum(signed)))) / 2
    if n <= MOST_EXACT:
        return Tested(statistic, None, sign_flip(signed, seed=0))
    tied = len(np.unique(np.abs(signed))) < n or bool(np.any(differences == 0))
    method: Literal["exact", "approx"] = "exact" if n <= EXACT_WILCOXON and not tied else "approx"
    found = stats.wilcoxon(differences, zero_method="zsplit", method=method)
    return Tested(statistic, None, float(found.pvalue))


def rank_balance(differences: Array) -> float:
    """Return the sum of the signed ranks, ties with their average rank: its sign is the side that Wilcoxon's test sees.

    It falls as a number is taken from all differences.
    """
    return float(np.sum(_signed_ranks(differences)))


def _signed_ranks(differences: Array) -> Array:
    from scipy import stats

    signed: Array = np.sign(differences) * stats.rankdata(np.abs(differences))
    return signed


def hodges_lehmann(differences: Array) -> float:
    """Return the median of the means of all two differences, the same twice included (Hodges and Lehmann 1963)."""
    return float(np.median(_pairwise_means(differences)))


def _pairwise_means(differences: Array) -> Array:
    first, second = np.triu_indices(len(differences))
    means: Array = (differences[first] + differences[second]) / 2
    return means


def signed_rank_interval(differences: Array, *, scale: float, level: float) -> tuple[float, float] | None:
    """Return the interval of Hodges and Lehmann's difference: those d that `wilcoxon(differences - d)` does not reject.

    The values were of size `scale`. p changes only at means of two differences, and between them it falls with the
    distance of the signed ranks' sum from 0, so that the ends are found by halving; they are counted in whole steps of
    rounding noise, for ties to be exact. Where ties let the test reject just 0 between differences that it does not
    reject, the interval ends next to it. None if the test rejects no difference, as with five pairs, or all.
    """
    steps = np.round(differences / (SAME * scale))
    doubled = (2 * _pairwise_means(steps)).astype(np.int64)
    places, first = np.unique(doubled, return_index=True)
    ends = np.where(places == 0, 0.0, _pairwise_means(differences)[first])  # 0 exactly: a noisy 0 lies on one side
    rate = round(1 - level, 12)  # 1 - 0.95 is a little more than 0.05

    def side(place: float) -> int:
        """Return 1 where a difference, in half steps, is rejected as too small, -1 as too large, else 0."""
        rest = 2 * steps - place
        return int(np.sign(rank_balance(rest))) if wilcoxon(rest).p <= rate else 0

    def between(index: int) -> int:
        edges = places[max(index - 1, 0)] - (index == 0), places[min(index, len(places) - 1)] + (index == len(places))
        return side(float(sum(edges)) / 2)

    if between(0) == 0:
        return None
    gaps = range(len(places) + 1)
    low = bisect_left(gaps, True, key=lambda index: between(index) <= 0) - 1
    high = bisect_left(gaps, True, key=lambda index: between(index) < 0) - 1
    bounds = [float(ends[low]), float(ends[high])]
    if low == high and side(float(places[low])):
        return None
    if places[low] <= 0 <= places[high] and (zero := side(0.0)):
        bounds[zero < 0] = zero * SAME * scale / 2
    return bounds[0], bounds[1]


def d_z(differences: Array) -> Standardised:
    """Return the mean difference in standard deviations of the differences, with its noncentral-t interval."""
    n = len(differences)
    value = float(np.mean(differences) / np.std(differences, ddof=1))
    low, high = noncentral_bounds(value * n**0.5, n - 1)
    return Standardised(value, (low / n**0.5, high / n**0.5))


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
    from scipy import stats

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


def equivalence_p(estimate: float, error: float, df: float, *, margin: float) -> float:
    """Return the larger p of the tests that the difference lies above -margin and below margin (Schuirmann 1987)."""
    from scipy import stats

    above = stats.t.sf((estimate + margin) / error, df)
    below = stats.t.cdf((estimate - margin) / error, df)
    return float(max(above, below))


FEWEST, MOST = 3, 5000


def normality_p(values: Array) -> float | None:
    """Return the p of Shapiro and Wilk's test; None for too few or too many values, or ones that do not vary."""
    from scipy import stats

    if not FEWEST <= len(values) <= MOST or is_constant(values, scale=size_of(values)):
        return None
    return float(stats.shapiro((values - values.mean()) / np.ptp(values)).pvalue)  # SciPy gives up on tiny values


def equal_variances_p(a: Array, b: Array) -> float | None:
    """Return the p of Levene's test around medians (Brown and Forsythe 1974); None for too few values."""
    from scipy import stats

    if min(len(a), len(b)) < FEWEST or is_constant(a, scale=size_of(a)) or is_constant(b, scale=size_of(b)):
        return None
    return float(stats.levene(a, b, center="median").pvalue)


def corrected_t(differences: Array, *, test_to_train: float) -> Tested:
    """Return the corrected resampled t (Nadeau and Bengio 2003) of k folds times r repeats, with kr - 1 df.

    `test_to_train` is the number of test examples divided by that of training examples: 1/(k - 1) in k-fold
    cross-validation. The variance of the mean is s^2 (1/(kr) + test_to_train) instead of s^2/(kr).
    """
    n = len(differences)
    error = float(np.var(differences, ddof=1) * (1 / n + test_to_train)) ** 0.5
    statistic = float(np.mean(differences)) / error
    return Tested(statistic, float(n - 1), two_sided_p(statistic, n - 1), error)


def five_by_two_t(differences: Array) -> Tested:
    """Return Dietterich's (1998) 5x2cv t of an array (5 repeats, 2 folds): the first difference leads, 5 df."""
    error = float(np.mean(_variances(differences))) ** 0.5
    statistic = float(differences[0, 0]) / error
    return Tested(statistic, 5.0, two_sided_p(statistic, 5), error)


def five_by_two_f(differences: Array) -> Tested:
    """Return Alpaydin's (1999) combined 5x2cv F of an array (5 repeats, 2 folds), with 10 and 5 df."""
    from scipy import stats

    statistic = float(np.sum(differences**2) / (2 * np.sum(_variances(differences))))
    return Tested(statistic, (10.0, 5.0), float(stats.f.sf(statistic, 10, 5)))


def five_by_two_interval(differences: Array, *, level: float = LEVEL) -> tuple[float, float] | None:
    """Return the interval of the mean difference by Alpaydin's F, of an array (5 repeats, 2 folds).

    It holds every difference d that the F of `differences - d` does not reject, so that it excludes 0 exactly if p is
    below 1 - `level`. With S the sum of squares about the mean and V that about the repeats' means, F(d) is
    (S + 10 (mean - d)^2) / (2 V). None if the F rejects every d: the repeats differ by more than their folds do.
    """
    from scipy import stats

    mean = float(np.mean(differences))
    limit = 2 * float(np.sum(_variances(differences))) * float(stats.f.isf(1 - level, 10, 5))
    square = (limit - float(np.sum((differences - mean) ** 2))) / differences.size
    return (mean - square**0.5, mean + square**0.5) if square >= 0 else None


def _variances(differences: Array) -> Array:
    centred = differences - differences.mean(axis=1, keepdims=True)
    variances: Array = np.sum(centred**2, axis=1)
    return variances


def correlated_rope(differences: Array, *, test_to_train: float, rope: float) -> tuple[float, float, float]:
    """Return P(difference < -rope), P(within), P(> rope) by the Bayesian correlated t (Corani and Benavoli 2015).

    The posterior of the mean is Student's t with the mean, the error and the n - 1 df of `corrected_t`; the differences
    vary. `rope` is in the unit of the differences. With a rope of 0 nothing lies within.
    """
    n, mean = len(differences), float(np.mean(differences))
    error = float(np.var(differences, ddof=1) * (1 / n + test_to_train)) ** 0.5
    above = 1 - float(special.stdtr(n - 1, (rope - mean) / error))
    below = float(special.stdtr(n - 1, (-rope - mean) / error)) if rope else 1 - above
    return below, max(0.0, 1 - below - above), above
