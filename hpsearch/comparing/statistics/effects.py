"""Sizes of effects that do not depend on the metric's unit."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

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
    ranks = stats.rankdata(np.concatenate([a, b]))
    above = float(np.sum(ranks[: len(a)])) - len(a) * (len(a) + 1) / 2
    return 2 * above / (len(a) * len(b)) - 1


def paired_superiority(differences: Array) -> float:
    """Return the share of differences above 0, ties half."""
    return float(np.mean(differences > 0) + np.mean(differences == 0) / 2)
