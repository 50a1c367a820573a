"""The test scores of a confirmation, described: how many seeds or folds, their mean and their standard deviation."""

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

from hpsearch.records import BaselineRecord, ExperimentRecord, Goal, Metrics, Outcome, RunRecord


@dataclass(frozen=True)
class Summary:
    """A metric over replicates; `sd` is the sample standard deviation, None for a single one."""

    n: int
    mean: float
    sd: float | None


class Confirmed(NamedTuple):
    """Replicates that may be averaged: of one trial, on seeds or on folds of equally many parts."""

    number: int
    folds: int | None = None

    def __str__(self) -> str:
        return str(self.number) if self.folds is None else f"{self.number} ({self.folds} folds)"


def group_of(replicate: RunRecord) -> Confirmed:
    """Return the group that a replicate belongs to."""
    return Confirmed(replicate.number, None if replicate.fold is None else replicate.fold.folds)


def fold_fields(replicate: RunRecord) -> dict[str, int | None]:
    """Return the extra fields of a replicate on a fold: the fold itself and the sizes of both parts."""
    if replicate.fold is None:
        return {}
    return {**asdict(replicate.fold), "train_size": replicate.train_size, "test_size": replicate.test_size}


def summarise(replicates: Iterable[RunRecord]) -> dict[Confirmed, dict[str, Summary]]:
    """Return the summary of each score by group; replicates without an end do not count."""
    found: dict[Confirmed, dict[str, list[float]]] = {}
    for each in replicates:
        scores = found.setdefault(group_of(each), {})
        if each.outcome is Outcome.COMPLETE:
            _collect(each.scores, scores)
    return {group: _summaries(scores) for group, scores in found.items()}


def summarise_baselines(baselines: Iterable[BaselineRecord]) -> dict[str, dict[str, Summary]]:
    """Return the summary of each score by method; over the folds where it learned in each: `sloreta (5 folds)`."""
    found: dict[str, dict[str, list[float]]] = {}
    for each in baselines:
        name = each.name if each.fold is None else f"{each.name} ({each.fold.folds} folds)"
        _collect(each.scores, found.setdefault(name, {}))
    return {name: _summaries(scores) for name, scores in found.items()}


def _collect(scores: Metrics, into: dict[str, list[float]]) -> None:
    for metric, value in scores.items():
        into.setdefault(metric, []).append(value)


def _summaries(scores: Mapping[str, list[float]]) -> dict[str, Summary]:
    return {metric: _summary(values) for metric, values in scores.items()}


def _summary(values: list[float]) -> Summary:
    mean = statistics.fmean(values)
    if len(values) == 1:
        return Summary(1, mean, None)
    finite = all(map(math.isfinite, values))  # the statistics module has no answer for the others
    return Summary(len(values), mean, statistics.stdev(values) if finite else math.nan)


def test_metrics(record: ExperimentRecord) -> list[str]:
    """Return the names of the test scores that there are, the searched metric's own first."""
    sources = [each.scores for each in record.replicates] + [each.scores for each in record.baselines]
    names = dict.fromkeys(name for scores in sources for name in scores if name.startswith("test/"))
    own = "test/" + record.objective.metric.partition("/")[2]
    return sorted(names, key=lambda name: name != own)


def scored(record: ExperimentRecord) -> tuple[ExperimentRecord, list[str]]:
    """Return the record and the names of the scores that its confirmation shows.

    They are the test scores. Where replicates have come to an end and none has a test score, as of a program that tells
    none, each has its value of the objective as its score.
    """
    names = test_metrics(record)
    metric = record.objective.metric
    values = {each.run: each.value for each in record.replicates if each.outcome is Outcome.COMPLETE}
    own = {run: {metric: value} for run, value in values.items() if value is not None}
    if names or not own:
        return record, names
    shown = tuple(replace(each, scores=own.get(each.run, {})) for each in record.replicates)
    return replace(record, replicates=shown), [metric]


def listed(record: ExperimentRecord) -> tuple[RunRecord, ...]:
    """Return all trials: the complete ones from best to worst, then the others by their numbers."""
    ranked = {trial.run for trial in record.ranked}
    return (*record.ranked, *(trial for trial in record.trials if trial.run not in ranked))


def reached(values: Iterable[float], goal: Goal) -> list[float]:
    """Return the best value so far after each value."""
    best: list[float] = []
    for value in values:
        best.append(value if not best or goal.better(value, best[-1]) else best[-1])
    return best
