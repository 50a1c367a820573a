"""Evidence that grows with each pair and may be looked at after each: e-processes of paired differences.

If differences are larger than 0 by chance alone, an e-process ever reaches 1/a with a probability of at most a (Ville
1939), however often one looks and for whatever reason one stops: Ramdas, Grunwald, Vovk and Shafer 2023,
"Game-theoretic statistics and safe anytime-valid inference".

Two assumptions are on offer. NORMAL: the likelihood ratio of what does not depend on the unit of the differences,
averaged over effects in standard deviations (Lai 1976; Perez-Ortiz, Lardy, de Heide and Grunwald 2022; Wang and Ramdas
2025, "Anytime-valid t-tests and confidence sequences for Gaussian means with unknown variance"). Subtracting a number
from all differences lowers it, so that it is valid for every mean up to 0, not for 0 alone. SYMMETRIC: any noise whose
differences are as likely to be d as -d, as those of two equal trainings always are (de la Pena 1999; Ramdas, Ruf,
Larsson and Koolen 2020, "Admissible anytime-valid sequential inference must rely on nonnegative martingales"); it
at most doubles with each pair.
"""

import math
from enum import StrEnum
from functools import lru_cache

import numpy as np
from scipy import special

from hpsearch.comparing.statistics.arrays import Array

EFFECTS = np.array([1.0, 2.0, 4.0])
"""Mean differences in their standard deviations over which the evidence is averaged, each with the same weight."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_REACH = 9.0
"""Standard deviations on each side of the mode of an integrand that are integrated over."""


class Assumption(StrEnum):
    """What evidence takes for granted about the differences of pairs."""

    NORMAL = "normal"
    SYMMETRIC = "symmetric"


def log_t_evidence(ratio: Array, n: int) -> Array:
    """Return the log evidence of n differences whose sum is `ratio` times the root of their sum of squares.

    `ratio` lies between -sqrt(n) and sqrt(n) and rises with Student's t. For an effect e the evidence is I(e) / I(0),
    where I(e) is the integral of w^(n-1) exp(-w^2/2 + e ratio w - n e^2/2) over all w > 0.
    """
    tilt = ratio[..., None] * EFFECTS
    logs = _log_integral(tilt, n) - _log_of_no_effect(n) - n * EFFECTS**2 / 2
    return _log_sum(logs, np.full(len(EFFECTS), 1 / len(EFFECTS)))


def _log_sum(logs: Array, weights: Array) -> Array:
    """Return the log of the weighted sum of exp(logs) along the last axis: SciPy's takes ten times as long for few."""
    peak = logs.max(axis=-1)
    found: Array = np.log(np.exp(logs - peak[..., None]) @ weights) + peak
    return found


@lru_cache(maxsize=1024)
def _log_of_no_effect(n: int) -> float:
    return float(_log_integral(np.zeros(1), n)[0])


def _log_integral(tilt: Array, n: int) -> Array:
    """Return the log of the integral of w^(n-1) exp(-w^2/2 + tilt w) over w > 0."""
    mode = (tilt + np.sqrt(tilt**2 + 4 * (n - 1))) / 2
    low, high = np.maximum(mode - _REACH, 0.0), mode + _REACH
    half = (high - low) / 2
    at = low[..., None] + half[..., None] * (_NODES + 1)
    logs = (n - 1) * np.log(at) - at**2 / 2 + tilt[..., None] * at
    return _log_sum(logs, _WEIGHTS) + np.log(half)


@lru_cache(maxsize=1024)
def critical_ratio(n: int, level: float) -> float:
    """Return the ratio from which on n differences are evidence of 1/level; infinity where none is."""
    from scipy import optimize

    needed, largest = -np.log(level), n**0.5
    if float(log_t_evidence(np.array([largest]), n)[0]) < needed:
        return float("inf")
    return float(
        optimize.brentq(lambda ratio: float(log_t_evidence(np.array([ratio]), n)[0]) - needed, 0.0, largest, xtol=1e-12)
    )


def ratios(differences: Array) -> Array:
    """Return the sum of the first differences over the root of their sum of squares, for each number of them."""
    squares = np.cumsum(differences**2, axis=-1)
    found: Array = np.cumsum(differences, axis=-1) / np.sqrt(np.where(squares > 0, squares, 1.0))
    return found


def log_sign_evidence(differences: Array) -> Array:
    """Return the log evidence of each number of the first differences along the last axis if only signs are chance.

    Pair i bets on its sign by 2 / (1 + exp(-2 e d_i / s_i)), s_i the root mean square of the differences up to i.
    """
    counts = np.arange(1, differences.shape[-1] + 1)
    size = np.sqrt(np.cumsum(differences**2, axis=-1) / counts)
    scaled = differences / np.where(size > 0, size, 1.0)
    bets = np.log(2) - np.logaddexp(0.0, -2 * EFFECTS * scaled[..., None])
    found: Array = special.logsumexp(np.cumsum(bets, axis=-2), axis=-1) - np.log(len(EFFECTS))
    return found


def log_evidence(differences: Array, assumes: Assumption) -> Array:
    """Return the log evidence that the differences' mean is above 0 after each number of pairs, (..., n)."""
    if assumes is Assumption.SYMMETRIC:
        return log_sign_evidence(differences)
    found = ratios(differences)
    return np.stack([log_t_evidence(found[..., n], n + 1) for n in range(found.shape[-1])], axis=-1)


_GRID = 500
"""Means, on each side of the estimate, among which the bound of a symmetric interval is looked for."""
Bounds = tuple[float | None, float | None]


def anytime_interval(differences: Array, *, confidence: float, assumes: Assumption) -> Bounds:
    """Return the bounds of the mean difference that hold at any stopping time; None for one that does not exist yet.

    They are the outermost means of which the differences are less evidence than 2 / (1 - confidence), on each side.
    """
    mean, spread = float(np.mean(differences)), float(np.std(differences, ddof=1))
    n, rate = len(differences), (1 - confidence) / 2
    if assumes is Assumption.NORMAL:
        ratio = critical_ratio(n, rate)
        if not math.isfinite(ratio):
            return None, None
        half = ratio * spread * ((n - 1) / (n * (n - ratio**2))) ** 0.5
        return mean - half, mean + half
    low, high = (_outermost(side, spread, rate) for side in (differences, -differences))
    return low, None if high is None else -high


def _outermost(differences: Array, spread: float, rate: float) -> float | None:
    """Return the smallest mean of a grid for which signs are not evidence enough that it is too small."""
    means = float(np.mean(differences)) - spread * np.geomspace(1e3, 1e-3, _GRID)
    enough = log_sign_evidence(differences - means[:, None])[:, -1] >= -math.log(rate)
    if not enough[0]:
        return None
    return float(means[-1] if enough.all() else means[max(int(enough.argmin()) - 1, 0)])
