"""The pruners, a named row each, and the percentile rule that compares like with like."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import optuna
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from hpsearch.errors import UnknownNameError


class PercentileAtStep(optuna.pruners.BasePruner):
    """Prune a trial whose value lies outside the best `percent` of all values reported at the same step.

    Optuna's own rule compares the trial's best value so far with the other trials' values at the step, and looks at
    complete trials only, so that a trial which was good once is never pruned and the bar rises with every pruned trial.
    Here every trial that reached the step counts, with the value that the space's objective rule gave it there.
    """

    def __init__(self, percent: float, *, startup: int, warmup: int, every: int) -> None:
        self._percent = percent
        self._startup = startup
        self._warmup = warmup
        self._every = every

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Say whether the trial should stop at its last reported step."""
        step = trial.last_step
        if step is None or step < self._warmup or (step - self._warmup) % self._every:
            return False
        value = trial.intermediate_values[step]
        others = [
            other.intermediate_values[step]
            for other in study.get_trials(deepcopy=False)
            if other.number != trial.number and step in other.intermediate_values
        ]
        others = [other for other in others if math.isfinite(other)]
        if len(others) < self._startup:
            return False
        if not math.isfinite(value):
            return True
        if study.direction == StudyDirection.MAXIMIZE:
            return bool(value < np.percentile(others, 100 - self._percent))
        return bool(value > np.percentile(others, self._percent))


MakePruner = Callable[[Any, int | None], optuna.pruners.BasePruner]
"""From the options in the space file and the longest training in steps, when that is known."""


def _none(_: Any, __: int | None) -> optuna.pruners.BasePruner:
    return optuna.pruners.NopPruner()


def _median(options: Any, _: int | None) -> optuna.pruners.BasePruner:
    return PercentileAtStep(50.0, startup=options.startup, warmup=options.warmup, every=options.every)


def _percentile(options: Any, _: int | None) -> optuna.pruners.BasePruner:
    return PercentileAtStep(options.percent, startup=options.startup, warmup=options.warmup, every=options.every)


def _asha(options: Any, _: int | None) -> optuna.pruners.BasePruner:
    return optuna.pruners.SuccessiveHalvingPruner(min_resource=options.minimum, reduction_factor=options.reduction)


def _hyperband(options: Any, longest: int | None) -> optuna.pruners.BasePruner:
    return optuna.pruners.HyperbandPruner(
        min_resource=options.minimum,
        max_resource=max(longest, options.minimum) if longest else "auto",
        reduction_factor=options.reduction,
    )


def _patient(options: Any, _: int | None) -> optuna.pruners.BasePruner:
    return optuna.pruners.PatientPruner(None, patience=options.patience, min_delta=options.minimum_gain)


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
    """Return a pruner by its name in the space file. Errors: UnknownNameError."""
    if name not in PRUNERS:
        raise UnknownNameError("pruner", name, PRUNERS)
    return PRUNERS[name](options, longest)
