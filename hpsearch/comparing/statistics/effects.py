"""Sizes of effects that do not depend on the metric's unit."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from hpsearch.comparing.statistics.arrays import Array


@dataclass(frozen=True)
class Standardised:
    """A difference in standard deviations, with its 95% interval."""

    value: float
    ci95: tuple[float, float]


def noncentral_bounds(statistic: float, df: float) -> tuple[float, float]:
    """Return the noncentralities for which a t as large (as small) has probability 0.025 (Steiger and Fouladi 1997)."""
    return _noncentrality(statistic, df, 0.975), _noncentrality(statistic, df, 0.025)


_LARGE_T = 1e4
"""Beyond it SciPy's noncentral t gives up, and the noncentrality is t times a chi variable to four digits and more."""


def _noncentrality(statistic: float, df: float, probability: float) -> float:
    from scipy import optimize, stats

    if abs(statistic) > _LARGE_T:
        tail = 1 - probability if statistic > 0 else probability
        return float(statistic * math.sqrt(stats.chi2.ppf(tail, df) / df))

    def excess(noncentrality: float) -> float:
        value = float(special.nctdtr(df, noncentrality, statistic))
        if math.isnan(value):  # far from the statistic, where the probability is 1 or 0 to all digits
            value = float(noncentrality < statistic)
        return value - probability

    reach = 5.0 + abs(statistic) / 2
    low, high = statistic - reach, statistic + reach
    while excess(low) < 0:
        low -= reach
    while excess(high) > 0:
        high += reach
    return float(optimize.brentq(excess, low, high, xtol=1e-10))


def hedges_g(a: Array, b: Array) -> Standardised:
    """Return the difference of the means in pooled standard deviations, corrected for its bias (Hedges 1981)."""
    n, m = len(a), len(b)
    df = n + m - 2
    pooled = ((n - 1) * np.var(a, ddof=1) + (m - 1) * np.var(b, ddof=1)) / df
    root = (n * m / (n + m)) ** 0.5
    d = float((np.mean(a) - np.mean(b)) / pooled**0.5)
    correction = (
        float(np.exp(special.gammaln(df / 2) - special.gammaln((df - 1) / 2)) / (df / 2) ** 0.5) if df > 1 else 0.0
    )
    low, high = noncentral_bounds(d * root, df)
    return Standardised(correction * d, (correction * low / root, correction * high / root))


def cliffs_delta(a: Array, b: Array) -> float:
    """Return P(a > b) - P(a < b) over all pairs of an a and a b (Cliff 1993)."""
    from scipy import stats

    ranks = stats.rankdata(np.concatenate([a, b]))
    above = float(np.sum(ranks[: len(a)])) - len(a) * (len(a) + 1) / 2
    return 2 * above / (len(a) * len(b)) - 1


def paired_superiority(differences: Array) -> float:
    """Return the share of differences above 0, ties half."""
    return float(np.mean(differences > 0) + np.mean(differences == 0) / 2)


RESAMPLES = 1_000


def violation_ratio(a: Array, b: Array) -> float:
    """Return the share of the squared distance of the quantiles where a lies below b: 0 if a dominates, 1 if b does.

    The quantile functions of samples are steps, so that the integral is a sum, without a grid.
    """
    steps = np.unique(np.concatenate([np.arange(1, len(a) + 1) / len(a), np.arange(1, len(b) + 1) / len(b)]).round(12))
    middles = steps - np.diff(steps, prepend=0.0) / 2
    widths = np.diff(steps, prepend=0.0)
    at_a = np.sort(a)[np.minimum((middles * len(a)).astype(int), len(a) - 1)]
    at_b = np.sort(b)[np.minimum((middles * len(b)).astype(int), len(b) - 1)]
    squared = widths * (at_a - at_b) ** 2
    total = float(np.sum(squared))
    return float(np.sum(squared[at_a < at_b])) / total if total > 0 else 0.5


def almost_stochastic_order(a: Array, b: Array, *, level: float, seed: int) -> float:
    """Return an upper bound of the violation ratio, at a confidence `level` (del Barrio et al. 2018).

    Below 0.2 a is almost stochastically larger (Ulmer et al. 2022). The bound's error comes from a seeded bootstrap.
    """
    from scipy import stats

    generator, a, b = np.random.default_rng(seed), np.sort(a), np.sort(b)
    ratios = [violation_ratio(generator.choice(a, len(a)), generator.choice(b, len(b))) for _ in range(RESAMPLES)]
    bound = violation_ratio(a, b) + float(stats.norm.ppf(level)) * float(np.std(ratios, ddof=1))
    return min(max(bound, 0.0), 1.0)
