"""What samplers are shown of trials that were stopped or paused: the values that these would have come to.

A value at an early evaluation is no final one. Taken for one it makes everything that went further look better than it
is, and where curves cross it draws the search to what begins well. So `tpe` and `auto`, which model values, are shown
complete trials as they are, and of any other a forecast, by a chain of linear regressions: from its last evaluation e
to 2e, 4e, ..., and from there to the end, each over all trials that came as far. That these were the better ones at e
does not bias a regression by the value at e. Its slope is expected to be 1 (weight of an observation or less, `PRIOR`),
and the variance of the forecasts adds up along the chain (Bayesian linear regression; Gelman et al. 2013, section
14.2). Where early values say nothing about the end, it is large. Of a trial with a variance of more than `HOPELESS`
times the spread of all, or from where fewer than `LEAST` went on, no value is shown: it counts as one that still runs,
which `tpe` passes over, and `auto` does not ask for again. To the values of the others `auto` gives so much noise.

`Chances` says by the same forecasts how likely a trial is to become the best; promotion.py asks that.

All of it follows from the trials that the log tells of, so that a resumed search sees the same.
"""

import math
from array import array
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEAST = 3
"""How many trials a regression needs."""
PRIOR = 0.2
"""The weight of a slope of 1, in observations that are as far from the mean as those of all trials are."""
DOUBT = 0.1
"""The variance that is expected around a regression, in units of the spread; it counts as one observation."""
HOPELESS = 3.0
"""The variance from which on nothing is shown, in units of the spread."""
FAR = 4.0
"""A forecast is not worse than the median by more than this many times the distance of the best from it."""

KEPT = 300
"""How many trials that have ended the chances follow from: the best and the latest."""


@np.errstate(over="ignore", invalid="ignore")  # of what diverged the squares are infinite, and nothing is shown
def outlook(curves: Sequence[Array], finals: Array) -> tuple[Array, Array]:
    """Return what trials come to, and the variance of that: 0 for those that have ended, infinite if unknown.

    Args:
        curves: The costs of each trial at its evaluations, from the first.
        finals: What they came to, shape (trials,); NaN for those that were stopped.

    """
    means, variances = finals.copy(), np.where(np.isnan(finals), np.inf, 0.0)
    ended = np.isfinite(finals)
    if ended.sum() < LEAST:
        return means, variances
    lengths = np.array([len(curve) for curve in curves])
    lasts = np.array([curve[-1] if len(curve) else np.nan for curve in curves])
    firsts = np.unique(lengths[np.isnan(finals) & (lengths > 0)])
    if not len(firsts):
        return means, variances
    ladder = _Ladder(curves, finals, whole=int(np.median(lengths[ended])), firsts=firsts)
    for first in firsts:
        here = np.isnan(finals) & (lengths == first)
        means[here], variances[here] = ladder.climb(int(first), lasts[here])
    variances[np.isnan(finals) & ~np.isfinite(means)] = np.inf
    known = np.isfinite(means) & np.isfinite(variances)
    stopped = known & ~ended
    best, median = means[known].min(), float(np.median(means[known]))
    means[stopped] = np.minimum(means[stopped], median + FAR * (median - best))
    hidden = stopped & (variances > HOPELESS * _spread(means[known]))
    variances[hidden] = np.inf
    return means, variances


class Chances:
    """How likely trials are to beat the best that has come to its end, by their curves so far."""

    def __init__(self) -> None:
        self._curves: dict[int, array[float]] = {}
        self._finals: dict[int, float] = {}
        self._over: deque[int] = deque()
        """Who has ended, the latest last."""
        self._found: dict[int, float] | None = None
        """The chances, while nothing changes."""

    def note(self, trial: int, cost: float) -> None:
        """Enter the cost at the next evaluation of a trial."""
        self._curves.setdefault(trial, array("d")).append(cost)
        self._found = None

    def ended(self, trial: int, final: float | None) -> None:
        """Enter what a trial came to; None if it was stopped."""
        self._over.append(trial)
        if final is not None:
            self._finals[trial] = final
        if len(self._over) > KEPT:
            place = int(self._finals.get(self._over[0]) == self._best)
            self.forget(self._over[place])
            del self._over[place]
        self._found = None

    def forget(self, trial: int) -> None:
        """Leave a trial out: it failed, or is one of too many."""
        self._curves.pop(trial, None)
        self._finals.pop(trial, None)
        self._found = None

    @property
    def _best(self) -> float:
        return min(self._finals.values(), default=math.inf)

    def of(self, trial: int) -> float:
        """Return the chance of a trial that has reported; 1 while there is no forecast."""
        if len(self._finals) < LEAST:
            return 1.0
        if self._found is None:
            finals = np.array([self._finals.get(each, math.nan) for each in self._curves])
            means, variances = outlook([np.frombuffer(curve) for curve in self._curves.values()], finals)
            best = self._best
            self._found = {
                each: _chance(float(mean), float(variance), best)
                for each, mean, variance in zip(self._curves, means, variances, strict=True)
            }
        return self._found[trial]


def _chance(mean: float, variance: float, best: float) -> float:
    """Return the chance that a normal variable is below `best`; 1 if nothing is known of it."""
    if not (math.isfinite(mean) and 0 < variance < math.inf):
        return 1.0
    return 0.5 * math.erfc((mean - best) / math.sqrt(2 * variance))


class _Ladder:
    """Regressions from evaluation to evaluation, each made when it is first asked for."""

    def __init__(self, curves: Sequence[Array], finals: Array, *, whole: int, firsts: NDArray[np.intp]) -> None:
        self._whole = whole
        self._rungs = np.unique([rung for first in firsts for rung in self._chain(int(first))])
        self._costs = np.full((len(curves), len(self._rungs) + 1), np.nan)
        for row, curve in zip(self._costs, curves, strict=True):
            count = int(np.searchsorted(self._rungs, len(curve), side="right"))
            row[:count] = curve[self._rungs[:count] - 1]
        self._costs[:, -1] = finals
        self._steps: dict[int, _Regression] = {}

    def _chain(self, first: int) -> list[int]:
        """Return the evaluations of a chain, without the end."""
        chain = [first]
        while 2 * chain[-1] < self._whole:
            chain.append(2 * chain[-1])
        return chain

    def climb(self, evaluation: int, costs: Array) -> tuple[Array, Array]:
        """Return the forecasts of costs at an evaluation and their variances, two arrays as long."""
        variances, chain = np.zeros(len(costs)), self._chain(evaluation)
        for rung, following in zip(chain, [*chain[1:], None], strict=True):
            if rung not in self._steps:
                here, there = int(np.searchsorted(self._rungs, rung)), -1
                if following is not None:
                    there = int(np.searchsorted(self._rungs, following))
                self._steps[rung] = _Regression(self._costs[:, here], self._costs[:, there])
            costs, variances = self._steps[rung].predict(costs, variances)
        return costs, variances


class _Regression:
    """Of costs on earlier costs, over the trials that have both; the prior of the slope is 1."""

    def __init__(self, earlier: Array, later: Array) -> None:
        both = np.isfinite(earlier) & np.isfinite(later)
        x, y = earlier[both], later[both]
        self._count = len(x)
        if self._count < LEAST:
            return
        spread = _spread(earlier[np.isfinite(earlier)])
        self._x, self._y = x.mean(), y.mean()
        self._weight = float(((x - self._x) ** 2).sum()) + PRIOR * spread or 1.0
        self._slope = (float(((x - self._x) * (y - self._y)).sum()) + PRIOR * spread) / self._weight
        residuals = y - self._y - self._slope * (x - self._x)
        self._noise = (float((residuals**2).sum()) + DOUBT * spread) / (self._count + 1)

    def predict(self, costs: Array, variances: Array) -> tuple[Array, Array]:
        """Return the later costs, and their variances given those of the earlier ones; infinite if nothing is known."""
        if self._count < LEAST:
            return costs, np.full(len(costs), np.inf)
        off = np.where(np.isfinite(costs), costs - self._x, np.nan)
        own = self._noise * (1 + 1 / self._count + off**2 / self._weight)
        found = np.square(self._slope) * variances + own
        return self._y + self._slope * off, np.where(np.isfinite(found), found, np.inf)


def _spread(costs: Array) -> float:
    """Return the square of how much better the best tenth is than the median: what is bad has no bound."""
    tenth, median = np.quantile(costs, [0.1, 0.5])
    return float((median - tenth) ** 2)
