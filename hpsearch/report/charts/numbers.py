"""The numbers of each picture of a comparison: prepare_x makes them from the comparison and the runs behind it."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hpsearch.comparing.comparison import Comparison
from hpsearch.comparing.statistics.expected_best import WITH_REPLACEMENT
from hpsearch.records import FinishedRun, Goal, Outcome, Series
from hpsearch.report.comparison.rows import ranking
from hpsearch.report.replicates import reached


class ScoreLine(NamedTuple):
    """One experiment's values, named by their units, with the mean and its interval."""

    name: str
    units: tuple[str, ...]
    values: tuple[float, ...]
    mean: float | None
    interval: tuple[float, float] | None


class Scores(NamedTuple):
    """Scores by run, the best experiment first."""

    metric: str
    lines: tuple[ScoreLine, ...]


def prepare_scores(comparison: Comparison) -> Scores:
    """Take every experiment that has a value."""
    kept = [each for each in ranking(comparison) if each.values]
    lines = [ScoreLine(each.name, each.units, each.values, each.mean, each.ci95) for each in kept]
    return Scores(comparison.metric, tuple(lines))


class DifferenceLine(NamedTuple):
    """One pair's differences by unit, a minus b; without pairs of units there are only their mean and its interval.

    Over data sets `mean` is Hodges and Lehmann's difference, to which the interval of signed ranks belongs.
    """

    a: str
    b: str
    units: tuple[str, ...]
    differences: tuple[float, ...]
    mean: float
    interval: tuple[float, float] | None

    @property
    def name(self) -> str:
        """The pair in one line."""
        return f"{self.a} − {self.b}"


class Differences(NamedTuple):
    """Differences of all pairs; within `margin` of 0 they do not matter, if a margin was given."""

    metric: str
    margin: float | None
    lines: tuple[DifferenceLine, ...]


def prepare_differences(comparison: Comparison) -> Differences:
    """Take every pair that has a mean difference."""
    lines = [
        DifferenceLine(
            pair.a, pair.b, pair.values.units, pair.values.differences, pair.shown_difference, pair.ci_adjusted
        )
        for pair in comparison.pairs
        if pair.shown_difference is not None
    ]
    return Differences(comparison.metric, comparison.margin, tuple(lines))


class CriticalDifference(NamedTuple):
    """Average ranks over data sets, the best first, and the groups that Nemenyi's test does not tell apart."""

    distance: float | None
    datasets: int
    ranks: tuple[tuple[str, float], ...]
    groups: tuple[tuple[str, ...], ...]


def prepare_critical_difference(comparison: Comparison) -> CriticalDifference | None:
    """Return None unless experiments were compared over data sets."""
    across = comparison.across_datasets
    if across is None or not across.average_ranks:
        return None
    ranks = tuple(sorted(across.average_ranks.items(), key=lambda item: (item[1], item[0])))
    return CriticalDifference(across.nemenyi_cd, len(across.datasets), ranks, across.cliques)


class Band(NamedTuple):
    """A curve with a band around it; `best` is the index of its best point, where that means something."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    best: int | None = None


class Curves(NamedTuple):
    """Several curves over one axis; `band` says what the bands are."""

    x_title: str
    y_title: str
    band: str
    lines: tuple[Band, ...]


def prepare_expected_best(comparison: Comparison) -> Curves | None:
    """Return the expected best of n trials by experiment, with replacement; None when no search is compared."""
    chosen = [point for point in comparison.expected_best if point.estimator == WITH_REPLACEMENT]
    lines = []
    for name in dict.fromkeys(point.name for point in chosen):
        points = sorted((point for point in chosen if point.name == name), key=lambda point: point.n)
        bands = [point.band or (point.mean, point.mean) for point in points]
        lines.append(
            Band(
                name,
                tuple(float(point.n) for point in points),
                tuple(point.mean for point in points),
                tuple(low for low, _ in bands),
                tuple(high for _, high in bands),
            )
        )
    metric = next((point.metric for point in chosen if point.metric), comparison.metric)
    title = f"expected best {metric}"
    return Curves("trials", title, "95% bootstrap interval", tuple(lines)) if lines else None


def prepare_profiles(comparison: Comparison) -> Curves | None:
    """Return for each method the share of data sets on which it is at least as good as each threshold."""
    across = comparison.across_datasets
    if across is None or not across.profiles:
        return None
    lines = [Band(name, across.thresholds, shares, shares, shares) for name, shares in across.profiles.items()]
    return Curves(comparison.metric, "share of data sets at least as good", "", tuple(lines))


MOST_AXES = 10
"""Parameters that a picture of parallel coordinates shows at most."""
MOST_LINES = 500
"""Trials that it shows at most: the best ones."""


def prepare_learning_curves(comparison: Comparison, runs: Sequence[FinishedRun]) -> Curves | None:
    """Return each experiment's median curve, with the quartiles around it, at the steps that several runs have.

    The curve is of the metric itself, or of its validation counterpart where it was scored only once. Replicates count
    before trials: where there are some, the trials of the search are left out.
    """
    lines = []
    title = ""
    units = dict.fromkeys(run.unit for run in runs if run.unit is not None and run.histories)
    for name, members in _by_experiment(comparison, runs).items():
        fresh = [run for run in members if run.search is None] or members
        metric = _curve_metric(fresh, comparison.metric)
        if metric is not None:
            title = title or metric
            series = [run.histories[metric] for run in fresh if metric in run.histories]
            lines.append(_median_band(name, series, comparison.goal))
    kept = tuple(line for line in lines if line.x)
    return Curves(" or ".join(units) or "step", title, "between the quartiles of the runs", kept) if kept else None


def _by_experiment(comparison: Comparison, runs: Iterable[FinishedRun]) -> dict[str, list[FinishedRun]]:
    owner = {run: each.name for each in comparison.experiments for run in each.runs}
    found: dict[str, list[FinishedRun]] = defaultdict(list)
    for run in runs:
        if run.run in owner:
            found[owner[run.run]].append(run)
    return {each.name: found[each.name] for each in comparison.experiments if each.name in found}


def _curve_metric(runs: Sequence[FinishedRun], metric: str) -> str | None:
    known = dict.fromkeys(name for run in runs for name in run.histories)
    ending = metric.rpartition("/")[2]
    return metric if metric in known else next((name for name in known if name.rpartition("/")[2] == ending), None)


def _median_band(name: str, series: Sequence[Series], goal: Goal) -> Band:
    at: dict[int, list[float]] = defaultdict(list)
    for each in series:
        for step, value in zip(each.steps, each.values, strict=True):
            if math.isfinite(value):
                at[step].append(value)
    steps = sorted(step for step, values in at.items() if len(values) >= min(2, len(series)))
    quartiles = [_quartiles(at[step]) for step in steps]
    low, middle, high = zip(*quartiles, strict=True) if quartiles else ((), (), ())
    best = None
    for place, value in enumerate(middle):
        if best is None or goal.better(value, middle[best]):
            best = place
    return Band(name, tuple(map(float, steps)), middle, low, high, best)


def _quartiles(values: list[float]) -> tuple[float, float, float]:
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


class SearchValues(NamedTuple):
    """The complete trials of one search in their order: numbers, values, the best so far."""

    name: str
    numbers: tuple[int, ...]
    values: tuple[float, ...]
    best: tuple[float, ...]


class Searches(NamedTuple):
    """The histories of all searches."""

    metric: str
    lines: tuple[SearchValues, ...]


def prepare_searches(runs: Sequence[FinishedRun], goal: Goal, metric: str) -> Searches | None:
    """Return the optimisation history of each experiment that has trials; values are of the metric they chose by."""
    lines = []
    shown = metric
    for name, trials in _trials(runs).items():
        shown = _searched_metric(trials, metric)
        values = [run.metrics[shown].value for run in trials if shown in run.metrics]
        finite = tuple(value for value in values if math.isfinite(value))
        if finite:
            lines.append(SearchValues(name, tuple(range(1, len(finite) + 1)), finite, tuple(reached(finite, goal))))
    return Searches(shown, tuple(lines)) if lines else None


def _trials(runs: Iterable[FinishedRun]) -> dict[str, list[FinishedRun]]:
    found: dict[str, list[FinishedRun]] = defaultdict(list)
    for run in runs:
        if run.search is not None and run.outcome is Outcome.COMPLETE and run.dropped is None:
            found[run.experiment].append(run)
    return found


def _searched_metric(trials: Sequence[FinishedRun], metric: str) -> str:
    origin = trials[0].search
    return metric if metric in trials[0].metrics or origin is None or not origin.metric else origin.metric


class Axis(NamedTuple):
    """One parameter: numbers as they are; texts as their places in `labels`, None if a trial does not have it."""

    name: str
    values: tuple[float | None, ...]
    labels: tuple[str, ...] = ()
    log: bool = False


class Parallel(NamedTuple):
    """The trials of one search as lines over their parameters, coloured by the value."""

    name: str
    metric: str
    axes: tuple[Axis, ...]
    values: tuple[float, ...]


def prepare_parallel(
    runs: Sequence[FinishedRun], goal: Goal, metric: str, importance: Mapping[str, Mapping[str, float]]
) -> tuple[Parallel, ...]:
    """Return the coordinates of each search; the most important parameters, where that is known, come first."""
    pictures = []
    for name, trials in _trials(runs).items():
        shown = _searched_metric(trials, metric)
        scored = [run for run in trials if shown in run.metrics and math.isfinite(run.metrics[shown].value)]
        scored = sorted(scored, key=lambda run: -goal.sign * run.metrics[shown].value)[:MOST_LINES]
        shares = importance.get(name, {})
        varying = [
            path for path in dict.fromkeys(path for run in scored for path in run.params) if _varies(path, scored)
        ]
        ordered = sorted(varying, key=lambda path: -shares.get(path, 0.0))[:MOST_AXES]
        if len(scored) > 1 and ordered:
            axes = tuple(_axis(path, [run.params.get(path) for run in scored]) for path in ordered)
            pictures.append(Parallel(name, shown, axes, tuple(run.metrics[shown].value for run in scored)))
    return tuple(pictures)


def _varies(path: str, runs: Sequence[FinishedRun]) -> bool:
    return len({str(run.params.get(path)) for run in runs}) > 1


def _axis(name: str, values: Sequence[Any]) -> Axis:
    present = [value for value in values if value is not None]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in present):
        positive = min(present) > 0 and max(present) / min(present) > 30
        return Axis(name, tuple(None if value is None else float(value) for value in values), log=positive)
    labels = tuple(sorted({str(value) for value in present}))
    return Axis(name, tuple(None if value is None else float(labels.index(str(value))) for value in values), labels)


class Cost(NamedTuple):
    """What an experiment took: runs, training time in all and by the run, in seconds."""

    name: str
    runs: int
    seconds: float
    per_run: float


def prepare_costs(runs: Sequence[FinishedRun]) -> tuple[Cost, ...]:
    """Return the time of every experiment whose runs tell it, all runs included, also those that do not count."""
    found: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        if run.seconds is not None and math.isfinite(run.seconds):
            found[run.experiment].append(run.seconds)
    return tuple(
        Cost(name, len(times), math.fsum(times), math.fsum(times) / len(times)) for name, times in found.items()
    )
