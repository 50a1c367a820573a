"""What the best of n trials is worth: the expected best, its band, and by how much the best score overstates."""

import numpy as np
from scipy import special

from hpsearch.comparing.statistics.arrays import Array

WITH_REPLACEMENT, UNBIASED = "with replacement", "unbiased"
ESTIMATORS = (WITH_REPLACEMENT, UNBIASED)
EVERY_N = 50
"""The curve has a point for every n up to here, and then fewer and fewer."""
DRAWS = 2_000_000


def budgets(trials: int) -> list[int]:
    """Return the numbers of trials at which a curve is computed: the last is all of them, never more."""
    further = np.unique(np.geomspace(EVERY_N, max(trials, EVERY_N), 40).round().astype(int))
    return [n for n in (*range(1, EVERY_N), *further.tolist()) if n <= trials]


def best_weights(trials: int, n: int, *, estimator: str) -> Array:
    """Return the probability of each of the sorted scores, the worst first, to be the best of n <= trials draws.

    `with replacement`: (i/N)^n - ((i-1)/N)^n (Dodge et al. 2019), biased low. `unbiased`: C(i-1, n-1) / C(N, n), draws
    without replacement (Tang et al. 2020), which varies more.
    """
    if not 1 <= n <= trials:
        raise ValueError(f"the best of {n} cannot be told from {trials} trials")
    if estimator == WITH_REPLACEMENT:
        weights: Array = np.diff((np.arange(trials + 1) / trials) ** n)
        return weights
    weights = np.zeros(trials)
    worse = np.arange(n - 1, trials, dtype=np.float64)  # scores below the i-th
    weights[n - 1 :] = np.exp(_log_choose(worse, n - 1) - _log_choose(float(trials), n))
    return weights


def _log_choose(n: Array | float, k: float) -> Array:
    found: Array = special.gammaln(np.add(n, 1)) - special.gammaln(k + 1) - special.gammaln(np.add(n, 1 - k))
    return found


def expected_best(scores: Array, ns: list[int], *, estimator: str) -> Array:
    """Return the expected best (largest) of n trials for each n. Trials must be independent draws."""
    return _weights(len(scores), ns, estimator) @ np.sort(scores)


def expected_best_band(scores: Array, ns: list[int], *, estimator: str, seed: int) -> tuple[Array, Array]:
    """Return the 95% percentile band of the curve over bootstrap samples of the trials."""
    trials = len(scores)
    resamples = max(200, min(2_000, DRAWS // trials))
    kind = np.int16 if trials < 2**15 else np.int32
    chosen = np.random.default_rng(seed).integers(0, trials, size=(resamples, trials), dtype=kind)
    samples = np.sort(scores)[np.sort(chosen, axis=1, kind="stable")]
    low, high = np.quantile(samples @ _weights(trials, ns, estimator).T, [0.025, 0.975], axis=0)
    return low, high


def _weights(trials: int, ns: list[int], estimator: str) -> Array:
    return np.array([best_weights(trials, n, estimator=estimator) for n in ns])


def expected_maximum(n: int) -> float:
    """Return the expected largest of n standard normal numbers: 1.965 for 25."""
    from scipy import integrate, stats

    found, _ = integrate.quad(lambda x: x * n * stats.norm.pdf(x) * special.ndtr(x) ** (n - 1), -10, 40, limit=200)
    return float(found)
