"""The pruners, a named row each, and two rules of our own: one that compares like with like, and one for patience.

All of them count evaluations: Optuna's steps are the numbers of a trial's reports here, from 1, whatever the reported
steps count. What they judge is the metric at the evaluation, not the best so far.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import optuna
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from hpsearch.errors import UnknownNameError


class PercentileAtEvaluation(optuna.pruners.BasePruner):
    """Prune a trial whose value is worse than the best `percent` of the others' values at the same evaluation.

    Optuna's own rule compares the trial's best value so far with the other trials' values at the step, and looks at
    complete trials only, so that a trial which was good once is never pruned and the bar rises with every pruned trial.
    Here every trial that reached the evaluation counts, with its metric there.
    """

    def __init__(self, percent: float, *, startup: int, warmup: int, every: int) -> None:
        self._percent = percent
        self._startup = startup
        self._warmup = warmup
        self._every = every

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Check whether the trial should stop at its last evaluation."""
        evaluation = trial.last_step
        if evaluation is None or evaluation < self._warmup or (evaluation - self._warmup) % self._every:
            return False
        value = trial.intermediate_values[evaluation]
        others = [
            other.intermediate_values[evaluation]
            for other in study.get_trials(deepcopy=False)
            if other.number != trial.number and evaluation in other.intermediate_values
        ]
        others = [other for other in others if math.isfinite(other)]
        if len(others) < self._startup:
            return False
        if not math.isfinite(value):
            return True
        if study.direction == StudyDirection.MAXIMIZE:
            return bool(value < np.percentile(others, 100 - self._percent))
        return bool(value > np.percentile(others, self._percent))


class PatienceAtEvaluation(optuna.pruners.BasePruner):
    """Prune a trial that has brought no sufficient gain in more than `patience` evaluations.

    That is, its best value in the last `patience` + 1 evaluations must be better by `minimum_gain` than its best value
    before; with a `minimum_gain` of 0 it must be better at all. The `min_delta` of Optuna's own rule is a tolerance
    for losses: it prunes neither a flat curve nor one that gains too little.
    """

    def __init__(self, patience: int, *, minimum_gain: float) -> None:
        self._patience = patience
        self._minimum_gain = minimum_gain

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Check whether the trial should stop at its last evaluation."""
        sign = 1.0 if study.direction == StudyDirection.MAXIMIZE else -1.0
        values = [sign * value for _, value in sorted(trial.intermediate_values.items())]
        before = [value for value in values[: -self._patience - 1] if math.isfinite(value)]
        recent = [value for value in values[-self._patience - 1 :] if math.isfinite(value)]
        if not before:
            return False
        gain = max(recent, default=-math.inf) - max(before)
        return gain <= 0 or (gain < self._minimum_gain and not math.isclose(gain, self._minimum_gain, rel_tol=1e-9))


class HyperbandBeforeTheEnd(optuna.pruners.HyperbandPruner):
    """Hyperband that stops nobody at the last of the `longest` evaluations, where there is nothing left to save."""

    def __init__(self, options: Any, longest: int) -> None:
        super().__init__(
            min_resource=options.minimum,
            max_resource=_largest(options, longest),
            reduction_factor=options.reduction,
        )
        self._longest = longest

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Check whether the trial should stop at its last evaluation."""
        ended = trial.last_step is not None and trial.last_step >= self._longest
        return super().prune(study, trial) and not ended


MakePruner = Callable[[Any, int | None], optuna.pruners.BasePruner]
"""From the options in the space file and the evaluations of the longest training, when they are known."""


def _none(_: Any, __: int | None) -> optuna.pruners.BasePruner:
    return optuna.pruners.NopPruner()


def _median(options: Any, _: int | None) -> optuna.pruners.BasePruner:
    return PercentileAtEvaluation(50.0, startup=options.startup, warmup=options.warmup, every=options.every)


def _percentile(options: Any, _: int | None) -> optuna.pruners.BasePruner:
    return PercentileAtEvaluation(options.percent, startup=options.startup, warmup=options.warmup, every=options.every)


def _asha(options: Any, _: int | None) -> optuna.pruners.BasePruner:
    return optuna.pruners.SuccessiveHalvingPruner(min_resource=options.minimum, reduction_factor=options.reduction)


def _hyperband(options: Any, longest: int | None) -> optuna.pruners.BasePruner:
    """Return Hyperband, or a pruner that never prunes while the largest budget is unknown."""
    if longest is None:
        return optuna.pruners.HyperbandPruner(min_resource=options.minimum, reduction_factor=options.reduction)
    return HyperbandBeforeTheEnd(options, longest)


def _largest(options: Any, longest: int) -> int:
    """Return a largest budget from which Optuna concludes the right number of brackets.

    It takes the floor of a logarithm in floats, and finds 4 where 3^5 evaluations are 5 times 3. The budget has no
    other use there, so it is put in the middle between the powers.
    """
    rung = options.minimum
    while rung * options.reduction <= longest:
        rung *= options.reduction
    return int(rung + rung * options.reduction - 1) // 2


def _patient(options: Any, _: int | None) -> optuna.pruners.BasePruner:
    return PatienceAtEvaluation(options.patience, minimum_gain=options.minimum_gain)


def _threshold(options: Any, _: int | None) -> optuna.pruners.BasePruner:
    return optuna.pruners.ThresholdPruner(lower=options.lower, upper=options.upper)


def _population(_: Any, __: int | None) -> optuna.pruners.BasePruner:
    """Prune nothing: a population keeps its members, and population.py decides which of them change."""
    return optuna.pruners.NopPruner()


PRUNERS: Mapping[str, MakePruner] = MappingProxyType(
    {
        "none": _none,
        "median": _median,
        "percentile": _percentile,
        "asha": _asha,
        "hyperband": _hyperband,
        "patient": _patient,
        "threshold": _threshold,
        "pbt": _population,
        "pb2": _population,
    }
)


def make_pruner(name: str, options: Any, *, longest: int | None) -> optuna.pruners.BasePruner:
    """Return a pruner by its name in the space file.

    Raises:
        UnknownNameError: the name is not known.
    """
    if name not in PRUNERS:
        raise UnknownNameError("pruner", name, PRUNERS)
    return PRUNERS[name](options, longest)
