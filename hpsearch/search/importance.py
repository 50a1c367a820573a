"""Which hyperparameters mattered: PED-ANOVA (Watanabe et al. 2023), in Optuna's form for conditional parameters."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator

from hpsearch.records import ExperimentRecord, Outcome, Params, RunRecord
from hpsearch.search.silence import silent_optuna
from hpsearch.space.ranges import is_number, label

FEWEST_TRIALS = 10
"""With fewer complete trials the answer would be noise."""
TOP_TRIALS = 5
"""Optuna advises at least this many trials in the better part that is separated from the rest."""
LOG_RATIO = 30.0
"""Positive floats that span a larger ratio are taken to be searched on a log scale, where the space is not known."""


def importance(record: ExperimentRecord, space: Mapping[str, Any] | None = None) -> dict[str, float]:
    """Return each searched parameter's share (they sum to 1) in what tells the best tenth of the trials from the rest.

    The best tenth, but at least 5 trials, of the complete ones: values of pruned trials are of another budget. A pruner
    therefore narrows what can be seen. `space` is the `space` section of resolved.json; without it the ranges are those
    of the values that were tried. A parameter that exists only under an option counts where it exists. The result is
    ordered, and empty with fewer than 10 complete trials, or when nothing tells good trials from bad ones.
    """
    trials = [trial for trial in record.ranked if trial.value is not None and math.isfinite(trial.value)]
    if len(trials) < FEWEST_TRIALS:
        return {}
    paths = list(dict.fromkeys(path for trial in trials for path in trial.params))
    distributions = {path: distribution_of(path, trials, space) for path in paths}
    with silent_optuna():
        study = optuna.create_study(direction=record.objective.goal.value)
        study.add_trials([_frozen(trial, distributions) for trial in sorted(trials, key=lambda trial: trial.number)])
        evaluator = PedAnovaImportanceEvaluator(target_quantile=min(0.5, max(0.1, TOP_TRIALS / len(trials))))
        found = evaluator.evaluate(study)
    total = sum(found.values())
    ordered = sorted(found.items(), key=lambda item: -item[1])
    return {path: float(value / total) for path, value in ordered} if total > 0 else {}


def _frozen(trial: RunRecord, distributions: Mapping[str, BaseDistribution]) -> optuna.trial.FrozenTrial:
    assert trial.outcome is Outcome.COMPLETE  # noqa: S101 -- ours: asked for with complete trials only
    params = {path: _categorical(distributions[path], value) for path, value in trial.params.items()}
    existing = {path: distributions[path] for path in params}
    return optuna.trial.create_trial(params=params, distributions=existing, value=trial.value)


def _categorical(distribution: BaseDistribution, value: Any) -> Any:
    """Options go in as text: Optuna compares them with ==, and takes no lists."""
    return label(value) if isinstance(distribution, CategoricalDistribution) else value


def distribution_of(path: str, trials: Iterable[RunRecord], space: Mapping[str, Any] | None) -> BaseDistribution:
    """Return the range of a parameter as the space has it, widened to what was tried, or else from what was tried."""
    values = [trial.params[path] for trial in trials if path in trial.params]
    written = {} if space is None else _written(path, space)
    if not all(map(is_number, values)) or "choice" in written:
        return CategoricalDistribution(sorted({label(value) for value in values}))
    bounds: list[Any] = next((written[kind] for kind in ("int", "log", "float") if kind in written), [])
    low, high = min([*values, *bounds]), max([*values, *bounds])
    if all(isinstance(value, int) for value in values) and ("int" in written or not written):
        return IntDistribution(low, high, log=bool(written.get("log", False)) and low > 0)
    guessed = low > 0 and high / low > LOG_RATIO
    return FloatDistribution(low, high, log=low > 0 and ("log" in written if written else guessed))


def _written(path: str, space: Params) -> Mapping[str, Any]:
    """Return the range at a dotted path of a resolved space, or an empty one if there is none any longer."""
    node: Any = space
    for word in path.split("."):
        if isinstance(node, Mapping) and "choice" in node and isinstance(node["choice"], Mapping):
            node = node["choice"]
        if isinstance(node, list):
            node = node[int(word)] if word.isdigit() and int(word) < len(node) else None
        else:
            node = node.get(word) if isinstance(node, Mapping) else None
    return node if isinstance(node, Mapping) else {}
