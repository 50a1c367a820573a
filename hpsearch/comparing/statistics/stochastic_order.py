"""The almost stochastic order: how much of one distribution of scores lies on the wrong side of another."""

import numpy as np
from scipy import stats

from hpsearch.comparing.statistics.arrays import Array

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
    generator, a, b = np.random.default_rng(seed), np.sort(a), np.sort(b)
    ratios = [violation_ratio(generator.choice(a, len(a)), generator.choice(b, len(b))) for _ in range(RESAMPLES)]
    bound = violation_ratio(a, b) + float(stats.norm.ppf(level)) * float(np.std(ratios, ddof=1))
    return min(max(bound, 0.0), 1.0)
