"""Several methods on several data sets: ranks, Friedman's test and what belongs to it (Demsar 2006)."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from hpsearch.comparing.statistics.arrays import SAME, Array, Tested, snapped

SAMPLES = 20_000


def ranks_of(scores: Array) -> Array:
    """Return the ranks within each row of (data sets, methods); the largest score has rank 1, ties share theirs."""
    from scipy import stats

    ranks: Array = stats.rankdata(-scores, axis=1)
    return ranks


def friedman(ranks: Array, *, tie_corrected: bool = True) -> Tested:
    """Return Friedman's chi-square of ranks (N data sets, k methods), k - 1 df; statistic 0 if all are tied."""
    from scipy import stats

    n, k = ranks.shape
    between = 12 * n / (k * (k + 1)) * float(np.sum((np.mean(ranks, axis=0) - (k + 1) / 2) ** 2))
    if tie_corrected:
        groups = [np.unique(row, return_counts=True)[1] for row in ranks]
        ties = sum(float(np.sum(counts**3 - counts)) for counts in groups)
        share = 1 - ties / (n * k * (k * k - 1))
        between = between / share if share > 0 else 0.0
    return Tested(between, float(k - 1), float(stats.chi2.sf(between, k - 1)))


def iman_davenport(chi_square: float, n: int, k: int) -> Tested | None:
    """Return Iman and Davenport's (1980) F of Friedman's statistic; None if it is infinite (equal rankings)."""
    from scipy import stats

    rest = n * (k - 1) - chi_square
    if n < 2 or rest <= 1e-9 * n * k:
        return None
    statistic = (n - 1) * chi_square / rest
    df = float(k - 1), float((k - 1) * (n - 1))
    return Tested(statistic, df, float(stats.f.sf(statistic, *df)))


def nemenyi_distance(n: int, k: int, *, alpha: float) -> float:
    """Return Nemenyi's critical difference of average ranks of k methods on n data sets."""
    from scipy import stats

    quantile = float(stats.studentized_range.ppf(1 - alpha, k, np.inf))
    return quantile * math.sqrt(k * (k + 1) / (12 * n))


def cliques(average_ranks: Sequence[float], distance: float) -> list[tuple[int, ...]]:
    """Return the largest groups of methods, by index, whose average ranks lie within the critical difference."""
    order = sorted(range(len(average_ranks)), key=lambda index: average_ranks[index])
    found: list[tuple[int, ...]] = []
    behind = 0
    for start, first in enumerate(order):
        end = start
        while end < len(order) and average_ranks[order[end]] - average_ranks[first] <= distance:
            end += 1
        if end - start > 1 and end > behind:
            found.append(tuple(order[start:end]))
            behind = end
    return found


def signed_rank_rope(differences: Array, *, rope: float, seed: int, scale: float = 0.0) -> tuple[float, float, float]:
    """Return P(worse), P(within the rope), P(better) of the Bayesian signed-rank test (Benavoli et al. 2014).

    Weights of the differences and of one pseudo-difference 0 (strength 0.5) are drawn from a Dirichlet distribution;
    each draw goes to the side on which most means of two differences lie. baycomp's test, without its Python loop.
    Means within rounding of values of size `scale` from the rope's end lie on it.
    """
    ordered, mirrored = np.sort(differences), np.sort(-differences)  # so that neither order nor sign changes the draws
    one, other = (tuple(snapped(each, scale=scale)) for each in (ordered, mirrored))
    if other > one:
        better, within, worse = signed_rank_rope(mirrored, rope=rope, seed=seed, scale=scale)
        return worse, within, better
    worse, within, better = _signed_rank_rope(ordered, rope, seed, scale)
    return (worse, within, better) if one != other else ((1 - within) / 2, within, (1 - within) / 2)


def _signed_rank_rope(ordered: Array, rope: float, seed: int, scale: float) -> tuple[float, float, float]:
    padded = np.concatenate([[0.0], ordered])
    sums = np.add.outer(padded, padded)
    weights = _dirichlet(len(padded), seed)
    above, below = (_share(weights, side * sums - 2 * rope, 4 * SAME * scale) for side in (1, -1))
    winners = np.argmax(np.stack([below, 1 - above - below, above]), axis=0)
    if rope == 0:  # nothing lies within; ties count half
        better = float(np.mean(above > 0.5 + SAME) + np.mean(np.abs(above - 0.5) <= SAME) / 2)
        return 1 - better, 0.0, better
    worse, within, better = (np.bincount(winners, minlength=3) / SAMPLES).tolist()
    return worse, within, better


@lru_cache(maxsize=2)
def _dirichlet(n: int, seed: int) -> Array:
    """Return draws of the weights of n numbers, the first of strength 0.5; kept, as pairs are mostly of one length."""
    strengths = np.ones(n)
    strengths[0] = 0.5
    weights: Array = np.random.RandomState(seed).dirichlet(strengths, SAMPLES)
    weights.flags.writeable = False
    return weights


def _share(weights: Array, beyond: Array, rounding: float) -> Array:
    beyond = (beyond > rounding) + 0.5 * (np.abs(beyond) <= rounding)
    share: Array = np.einsum("si,si->s", weights @ beyond, weights)
    return share


def interquartile_mean(values: Array) -> float:
    """Return the mean of the middle half (Agarwal et al. 2021)."""
    cut = len(values) // 4
    return float(np.mean(np.partition(values, (cut, len(values) - cut - 1))[cut : len(values) - cut]))


def profile(scores: Array, thresholds: Array) -> Array:
    """Return for each threshold the share of scores at or above it (Dolan and More 2002)."""
    shares: Array = np.mean(scores[None, :] >= thresholds[:, None], axis=1)
    return shares
