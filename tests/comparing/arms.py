"""Finished runs made by hand, for the tests of the comparison."""

from collections.abc import Sequence
from typing import Any

from hpsearch.comparing import Question, compare_runs
from hpsearch.comparing.comparison import Comparison
from hpsearch.comparing.question import unit_named
from hpsearch.records import FinishedRun, Goal, Measurement, SearchOrigin

METRIC = "test/accuracy"


def run(experiment: str, value: float | None, **keys: Any) -> FinishedRun:
    """Return a run whose name says its keys."""
    shown = " ".join(f"{name}{keys[name]}" for name in ("dataset", "repeat", "fold", "seed", "trial") if name in keys)
    metrics = {} if value is None else {METRIC: Measurement(value, 10)}
    keys = {"run": f"{experiment} {shown}".strip(), "metrics": metrics} | keys
    return FinishedRun(experiment=experiment, **keys)


def seeds(experiment: str, values: Sequence[float], *, start: int = 0, **keys: Any) -> list[FinishedRun]:
    """Return a run for each value, with seeds from `start` on."""
    return [run(experiment, float(value), seed=start + index, **keys) for index, value in enumerate(values)]


def trials(
    experiment: str, values: Sequence[float], *, sampler: str = "random", pruner: str = "none"
) -> list[FinishedRun]:
    """Return the trials of a search that was after the tested metric."""
    search = SearchOrigin(METRIC, sampler, pruner)
    return [run(experiment, float(value), trial=index, search=search) for index, value in enumerate(values)]


def compare(runs: Sequence[FinishedRun], *, unit: str = "auto", **options: Any) -> Comparison:
    """Compare on accuracy, where larger is better."""
    return compare_runs(runs, Question(METRIC, Goal.MAXIMIZE, unit_named(unit), **options))
