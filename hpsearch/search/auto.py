"""`sampler: auto`: quasi-random starts, then a Gaussian process while it is cheap, then TPE; the ends of both are local.

Everything follows from the trials that it is shown, in the order in which they ended, and from the seed of the ask.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import qmc

from hpsearch.records import Params
from hpsearch.search.coding import Coding
from hpsearch.search.surrogate import Array, Process, fit_kernel, log_expected_improvement
from hpsearch.space import Space

MODELLED = 150
"""The most observations that the Gaussian process gets: beyond, an ask would take too long, and TPE goes on."""
GLOBAL, AROUND, ROUNDS = 512, 256, 4
"""How many configurations are looked at: anywhere, around the best, and in each of the rounds that refine them."""
SCALES = (0.3, 0.1, 0.03, 0.01)
"""How far from the best they are looked for, in units of the ranges."""
SEQUENCE = 7
"""The quasi-random sequence has 2 to this power of points."""


@dataclass(frozen=True)
class Ask:
    """What is asked: trial `number`, with the values of `entry`, and nothing that is `refused`."""

    number: int
    seed: int
    entry: Params
    refused: Callable[[Params], bool]


class AutoProposer:
    """Proposes configurations of a space from the trials that have ended and those that run."""

    def __init__(self, space: Space, *, startup: int, seed: int) -> None:
        self._coding = Coding(space)
        self._goal = space.objective.goal
        self._budget = space.search.trials
        self._startup = startup
        self._seed = seed
        self._encoded: dict[int, Array] = {}
        """The positions of the trials by their numbers in Optuna's study."""

    def propose(self, ask: Ask, trials: Sequence[FrozenTrial]) -> dict[str, Any] | None:
        """Return a configuration, or None where TPE should propose one."""
        if not self._coding.parameters:
            return None
        rng = np.random.default_rng(ask.seed)
        ended = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
        values = losses(ended, sign=-self._goal.sign)
        if ask.number < self._startup or np.isfinite(values).sum() < 3:
            return self._first(self._starts(ask, rng), ask)
        if len(ended) > MODELLED:
            return None
        return self._by_model(ask, ended, values, trials, rng)

    def _starts(self, ask: Ask, rng: np.random.Generator) -> Array:
        """Return the point of the quasi-random sequence for this trial, and others for the case that it is refused."""
        count = len(self._coding.parameters)
        points = qmc.Sobol(count, rng=self._seed).random_base2(SEQUENCE)
        if ask.number == 0:
            points[0] = 0.5
        mine = ask.number % len(points)
        return np.concatenate([points[mine : mine + 1], rng.random((50, count))])

    def _by_model(
        self,
        ask: Ask,
        ended: Sequence[FrozenTrial],
        values: Array,
        trials: Sequence[FrozenTrial],
        rng: np.random.Generator,
    ) -> dict[str, Any] | None:
        positions = np.array([self._position(trial) for trial in ended])
        targets = standardized(values)
        process = self._process(positions, targets)
        running = [self._position(trial) for trial in trials if trial.state is TrialState.RUNNING]
        if running:  # they are believed to come out as expected, so that the same is not asked for again
            beside = np.array(running)
            believed = process.mean(self._coding.features(beside))
            process = self._process(np.concatenate([positions, beside]), np.append(targets, believed))
        best = float(process.mean(self._coding.features(positions)).min())
        return self._first(self._search(process, best, positions, targets, ask, rng), ask)

    def _process(self, positions: Array, targets: Array) -> Process:
        features = self._coding.features(positions)
        kernel = fit_kernel(features, targets, self._coding.owner)
        return Process(kernel, features, targets, self._coding.owner)

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
            params = {**self._coding.decode(point), **ask.entry}
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
    """Return what the trials came to, the smaller the better; infinity for those that are infeasible.

    A pruned trial counts with its last value, but not for better than the best that was trained to its end.
    """
    found = np.full(len(trials), math.inf)
    for index, trial in enumerate(trials):
        infeasible = any(value > 0 for value in trial.constraints.values())
        value = trial.values[0] if trial.values else math.nan
        if not infeasible and math.isfinite(value):
            found[index] = sign * value
    complete = [
        found[i] for i, trial in enumerate(trials) if trial.state is TrialState.COMPLETE and math.isfinite(found[i])
    ]
    if complete:
        pruned = np.array([trial.state is TrialState.PRUNED for trial in trials])
        found = np.where(pruned, np.maximum(found, min(complete)), found)
    return found


def standardized(values: Array) -> Array:
    """Return the values with mean 0 and variance 1; infinite ones become the worst of the others."""
    finite = np.isfinite(values)
    values = np.where(finite, values, values[finite].max())
    sd = values.std()
    return np.asarray((values - values.mean()) / (sd if sd > 0 else 1.0))
