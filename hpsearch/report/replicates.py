"""The test scores of a confirmation, described: how many seeds, their mean and their standard deviation."""

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from hpsearch.records import ExperimentRecord, Goal, Outcome, RunRecord


@dataclass(frozen=True)
class Summary:
    """A metric over replicates; `sd` is the sample standard deviation, None for a single one."""

    n: int
    mean: float
    sd: float | None


def summarise(replicates: Iterable[RunRecord]) -> dict[int, dict[str, Summary]]:
    """Return the summary of each score by the number of the confirmed trial; replicates without an end do not count."""
    found: dict[int, dict[str, list[float]]] = {}
    for each in replicates:
        scores = found.setdefault(each.number, {})
        if each.outcome is Outcome.COMPLETE:
            for metric, value in each.scores.items():
                scores.setdefault(metric, []).append(value)
    return {number: {metric: _summary(values) for metric, values in scores.items()} for number, scores in found.items()}


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


def listed(record: ExperimentRecord) -> tuple[RunRecord, ...]:
    """Return all trials: the complete ones from best to worst, then the others by their numbers."""
    rest = [trial for trial in record.trials if trial not in record.ranked]
    return (*record.ranked, *rest)


def reached(values: Iterable[float], goal: Goal) -> list[float]:
    """Return the best value so far after each value."""
    best: list[float] = []
    for value in values:
        best.append(value if not best or goal.better(value, best[-1]) else best[-1])
    return best
