"""`sampler: auto`: evenly spread starts, then a Gaussian process while that is cheap; later trials are left to TPE.

Everything follows from the trials that it is shown, in the order in which they ended, and from the seed of the ask.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from hpsearch.search.coding import Coding
from hpsearch.search.history import VARIANCE, Ask
from hpsearch.search.surrogate import Array, Process, fit_kernel, log_expected_improvement
from hpsearch.space import Space

MODELLED = 100
"""The most observations that the Gaussian process gets: with more an ask would take longer than 30 ms."""
LEAST = 8
"""The fewest values that it is fitted to, or those of all starts if these are fewer."""
GLOBAL, AROUND, ROUNDS = 512, 256, 4
"""How many configurations are looked at: anywhere, around the best, and in each of the rounds that refine them."""
SCALES = (0.3, 0.1, 0.03, 0.01)
"""How far from the best they are looked for, in units of the ranges."""


class AutoProposer:
    """Proposes configurations of a space from the trials that have ended and those that run."""

    def __init__(self, space: Space, *, startup: int, seed: int) -> None:
        self._coding = Coding(space)
        self._goal = space.objective.goal
        self._startup = startup
        self._seed = seed
        self._encoded: dict[int, Array] = {}
        """The positions of the trials by their numbers in Optuna's study."""

    def propose(self, ask: Ask, trials: Sequence[FrozenTrial]) -> dict[str, Any] | None:
        """Return a configuration, or None if TPE should propose it: there are too many trials for the model."""
        if not self._coding.parameters:
            return None
        rng = np.random.default_rng(ask.seed)
        ended = [trial for trial in trials if trial.state is TrialState.COMPLETE]
        values = losses(ended, sign=-self._goal.sign)
        if ask.number < self._startup or np.isfinite(values).sum() < min(LEAST, self._startup):
            return self._first(self._starts(ask, rng), ask)
        if len(ended) > MODELLED:
            return None
        running = [trial for trial in trials if trial.state is TrialState.RUNNING]
        return self._by_model(ask, ended, values, running, rng)

    def _starts(self, ask: Ask, rng: np.random.Generator) -> Array:
        """Return a point for an early trial, and others for the case that it is refused.

        The first is the middle of all ranges, the next are a Latin hypercube (McKay et al. 1979).
        """
        count = len(self._coding.parameters)
        spread = np.random.default_rng(self._seed)
        rows = np.column_stack([spread.permutation(self._startup) for _ in range(count)])
        points = (rows + spread.random(rows.shape)) / self._startup
        points[0] = 0.5
        return np.concatenate([points[ask.number : ask.number + 1], rng.random((50, count))])

    def _by_model(
        self,
        ask: Ask,
        ended: Sequence[FrozenTrial],
        values: Array,
        running: Sequence[FrozenTrial],
        rng: np.random.Generator,
    ) -> dict[str, Any] | None:
        positions = np.array([self._position(trial) for trial in ended])
        targets, unit = standardized(values)
        unsure = np.array([trial.user_attrs.get(VARIANCE, 0.0) for trial in ended]) / unit**2
        known, owner = self._coding.features(positions), self._coding.owner
        kernel = fit_kernel(known, targets, owner, unsure)
        process = Process(kernel, known, targets, owner, unsure)
        best = float(process.mean(known).min())
        if running:  # they are believed to come out as expected, so that the same is not asked for again
            beside = self._coding.features(np.array([self._position(trial) for trial in running]))
            believed = np.append(targets, process.mean(beside))
            unsure = np.append(unsure, np.zeros(len(running)))
            process = Process(kernel, np.concatenate([known, beside]), believed, owner, unsure)
        return self._first(self._search(process, best, positions, targets, ask, rng), ask)

    def _position(self, trial: FrozenTrial) -> Array:
        found = self._encoded.get(trial.number)
        if found is None:
            found = self._encoded[trial.number] = self._coding.snapped(self._coding.encode(trial.params)[None])[0]
        return found

    def _search(
        self, process: Process, best: float, positions: Array, targets: Array, ask: Ask, rng: np.random.Generator
    ) -> Array:
        """Return the configurations from which the most is expected, the best first."""
        count = positions.shape[1]
        top = positions[np.argsort(targets, kind="stable")[:5]]
        fixed = self._coding.encode(ask.entry)
        given = np.array([parameter.path in ask.entry for parameter in self._coding.parameters])

        def judged(points: Array) -> tuple[Array, Array]:
            points = self._coding.snapped(np.where(given, fixed, points))
            mean, sd = process.predict(self._coding.features(points))
            return points, log_expected_improvement(mean, sd, best)

        points, scores = judged(np.concatenate([rng.random((GLOBAL, count)), varied(top, AROUND, SCALES, rng)]))
        for round_ in range(ROUNDS):
            order = np.argsort(-scores, kind="stable")[:8]
            more, gains = judged(varied(points[order], AROUND // 2, [0.1 / 4**round_, 0.03 / 4**round_], rng))
            points, scores = np.concatenate([points[order], more]), np.concatenate([scores[order], gains])
        return points[np.argsort(-scores, kind="stable")]

    def _first(self, points: Array, ask: Ask) -> dict[str, Any] | None:
        """Return the first configuration that is not refused."""
        for point in points:
            params = self._coding.decode(point, ask.entry)
            if not ask.refused(params):
                return params
        return None


def varied(points: Array, count: int, scales: Sequence[float], rng: np.random.Generator) -> Array:
    """Return points near some: each with a few of its positions moved, reflected at the bounds."""
    chosen = points[rng.integers(len(points), size=count)]
    width = chosen.shape[1]
    moved = rng.random((count, width)) < rng.choice([1.0, 0.5, min(1.0, 2.0 / width)], size=(count, 1))
    moved[np.arange(count), rng.integers(width, size=count)] = True
    steps = rng.normal(size=(count, width)) * rng.choice(np.asarray(scales), size=(count, 1))
    new = np.abs(chosen + np.where(moved, steps, 0.0))
    return np.clip(1.0 - np.abs(1.0 - new), 0.0, 1.0)


def losses(trials: Sequence[FrozenTrial], *, sign: float) -> Array:
    """Return what the trials came to, the smaller the better; infinity for those that are infeasible."""
    found = np.array([math.inf if trial.value is None else sign * trial.value for trial in trials])
    found[[any(value > 0 for value in trial.constraints.values()) for trial in trials]] = math.inf
    return found


def standardized(values: Array) -> tuple[Array, float]:
    """Return the values with mean 0 and variance 1, and their unit; infinite ones become the worst of the others."""
    finite = np.isfinite(values)
    values = np.where(finite, values, values[finite].max())
    unit = float(values.std()) or 1.0
    return np.asarray((values - values.mean()) / unit), unit
