"""p values of a family of tests, adjusted for their number, and the intervals that agree with them."""

from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from hpsearch.comparing.statistics.arrays import Array

ADJUSTMENTS = ("holm", "hommel", "bh", "none")


def adjusted(p_values: Sequence[float], *, method: str) -> list[float]:
    """Return the adjusted p of each test in the given order, none above 1: `holm`, `hommel`, `bh` or `none`."""
    if method == "none" or len(p_values) < 2:
        return list(p_values)
    found = _hommel(p_values) if method == "hommel" else _stepwise(p_values, down=method == "holm")
    return [min(1.0, float(p)) for p in found]


def _stepwise(p_values: Sequence[float], *, down: bool) -> Array:
    """Return Holm's (1979) p, stepping down from the smallest, or Benjamini and Hochberg's (1995), stepping up."""
    tests = len(p_values)
    order = np.argsort(p_values)
    small_first, place = np.asarray(p_values)[order], np.arange(tests)
    if down:
        steps = np.maximum.accumulate((tests - place) * small_first)
    else:
        steps = np.minimum.accumulate((tests / (place + 1) * small_first)[::-1])[::-1]
    found = np.empty(tests)
    found[order] = steps
    return found


def _hommel(p_values: Sequence[float]) -> Array:
    """Return Hommel's (1988) p by the algorithm of Wright (1992, "Adjusted p-values for simultaneous inference").

    For each number m of true hypotheses, Simes' p of the m largest is a bound for them, and the smaller of it and m p
    one for the others; the largest bound holds.
    """
    tests = len(p_values)
    order = np.argsort(p_values)
    small_first = np.asarray(p_values, dtype=np.float64)[order]
    bound = small_first.copy()
    for m in range(tests, 1, -1):
        others = tests - m
        simes = float(np.min(m * small_first[others:] / np.arange(1, m + 1)))
        bound[others:] = np.maximum(bound[others:], simes)
        bound[:others] = np.maximum(bound[:others], np.minimum(simes, m * small_first[:others]))
    found = np.empty(tests)
    found[order] = bound
    return found


def strictest_level(alpha: float, adjust: str, tests: int) -> float:
    """Return the level that a raw p must reach when all other tests of the family show nothing."""
    return alpha if adjust == "none" else alpha / max(tests, 1)


class Hold(StrEnum):
    """For what the error rate of intervals holds."""

    ALONE = "alone"
    TOGETHER = "together"
    STEP = "step"
    DECLARED = "declared"


def interval_rates(
    p_values: Sequence[float], p_adjusted: Sequence[float], *, method: str, alpha: float
) -> list[tuple[float, Hold]]:
    """Return the error rate at which each test's interval agrees with the adjusted decision, and for what it holds.

    `alone`: alpha, of each test by itself. `together`: alpha / m for all of m tests (Bonferroni), so that all intervals
    hold at once. `step`: Holm's and Hommel's methods reject some hypotheses that alpha / m would not; intervals that
    are bounded, agree with all steps and hold together do not exist (Strassburger and Bretz 2008), so that such a test
    has one at the level of its own step. `declared`: R alpha / m where `bh` rejects R of m hypotheses, so that in
    expectation at most alpha of the R intervals miss (Benjamini and Yekutieli 2005).
    """
    tests = len(p_values)
    if method == "none" or tests < 2:
        return [(alpha, Hold.ALONE)] * tests
    if method == "bh":
        declared = max(sum(p <= alpha for p in p_adjusted), 1)
        return [(alpha * declared / tests, Hold.DECLARED)] * tests
    each = alpha / tests
    return [
        (alpha * raw / p, Hold.STEP) if each < raw and p <= alpha else (each, Hold.TOGETHER)
        for raw, p in zip(p_values, p_adjusted, strict=True)
    ]
