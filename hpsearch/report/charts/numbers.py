"""The numbers of each picture of a comparison: prepare_x makes them from the comparison and the runs behind it."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hpsearch.comparing.comparison import Comparison
from hpsearch.comparing.statistics.expected_best import WITH_REPLACEMENT
from hpsearch.records import FinishedRun, Goal, Series, is_number
from hpsearch.report.charts.limits import Limits, are_whole, log_ticks, robust_limits, whole_step
from hpsearch.report.comparison.rows import ranking
from hpsearch.report.comparison.trials import ranked, searched_metric, trials_of, value_of
from hpsearch.report.replicates import reached
from hpsearch.report.wording import number, plain


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
    """Several curves over one axis; `band` says what the bands are, `limits` what of the values is shown."""

    x_title: str
    y_title: str
    band: str
    lines: tuple[Band, ...]
    limits: Limits | None = None

    @property
    def whole(self) -> bool:
        """Whether the axis counts whole things, such as epochs or trials."""
        return all(are_whole(line.x) for line in self.lines)


def prepare_expected_best(comparison: Comparison) -> Curves | None:
    """Return the expected best of n trials by experiment, with replacement; None when no search is compared."""
    chosen = [point for point in comparison.expected_best if point.estimator == WITH_REPLACEMENT]
    lines = []
    by_rank = {each.name: place for place, each in enumerate(ranking(comparison))}
    for name in sorted({point.name for point in chosen}, key=lambda name: (by_rank.get(name, len(by_rank)), name)):
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
"""Trials that it shows at most: the complete ones first, the best of them."""


def prepare_learning_curves(comparison: Comparison, runs: Sequence[FinishedRun]) -> Curves | None:
    """Return by rank each experiment's median curve, with the quartiles around it, at steps that several runs have.

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
    if not kept:
        return None
    limits = robust_limits((value for line in kept for value in (*line.low, *line.high)), comparison.goal)
    return Curves(" or ".join(units) or "step", title, "between the quartiles of the runs", kept, limits)


def _by_experiment(comparison: Comparison, runs: Iterable[FinishedRun]) -> dict[str, list[FinishedRun]]:
    owner = {run: each.name for each in comparison.experiments for run in each.runs}
    found: dict[str, list[FinishedRun]] = defaultdict(list)
    for run in runs:
        if run.run in owner:
            found[owner[run.run]].append(run)
    return {each.name: found[each.name] for each in ranking(comparison) if each.name in found}


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


FEWEST_VALUES = 5
"""With fewer complete trials in every search there is no history to look at."""


class Searches(NamedTuple):
    """The histories of all searches."""

    metric: str
    lines: tuple[SearchValues, ...]
    limits: Limits | None = None


def prepare_searches(runs: Sequence[FinishedRun], goal: Goal, metric: str) -> Searches | None:
    """Return the optimisation history of each experiment that has trials; values are of the metric they chose by.

    None where no search has at least FEWEST_VALUES complete trials.
    """
    lines = []
    shown = metric
    for name, trials in trials_of(runs).items():
        shown = searched_metric(trials, metric)
        values = [value for run in trials if (value := value_of(run, shown)) is not None]
        if values:
            numbers = tuple(range(1, len(values) + 1))
            lines.append(SearchValues(name, numbers, tuple(values), tuple(reached(values, goal))))
    if max((len(line.values) for line in lines), default=0) < FEWEST_VALUES:
        return None
    return Searches(shown, tuple(lines), robust_limits((v for line in lines for v in line.values), goal))


class Axis(NamedTuple):
    """One parameter: numbers as they are; texts as their places in `labels`, None if a trial does not have it.

    `log`, `low` and `high` are those of the space, where it is known; `whole` says that all numbers are whole.
    """

    name: str
    values: tuple[float | None, ...]
    labels: tuple[str, ...] = ()
    log: bool = False
    whole: bool = False
    low: float = 0.0
    high: float = 1.0


class Parallel(NamedTuple):
    """The trials of one search as lines over their parameters, coloured by the value.

    Complete trials come first, from best to worst. The others have no value that could be compared, but an outcome.
    """

    name: str
    metric: str
    axes: tuple[Axis, ...]
    values: tuple[float | None, ...]
    outcomes: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    goal: Goal = Goal.MAXIMIZE

    @property
    def complete(self) -> int:
        """How many trials have a value."""
        return sum(value is not None for value in self.values)


def prepare_parallel(
    runs: Sequence[FinishedRun], goal: Goal, metric: str, importance: Mapping[str, Mapping[str, float]]
) -> tuple[Parallel, ...]:
    """Return the coordinates of each search; the most important parameters, where that is known, come first."""
    pictures = []
    for name, trials in trials_of(runs).items():
        shown = searched_metric(trials, metric)
        kept = ranked(trials, shown, goal)[:MOST_LINES]
        shares = importance.get(name, {})
        varying = [path for path in dict.fromkeys(path for run in kept for path in run.params) if _varies(path, kept)]
        ordered = sorted(varying, key=lambda path: -shares.get(path, 0.0))[:MOST_AXES]
        values = tuple(value_of(run, shown) for run in kept)
        if len(kept) > 1 and ordered and any(value is not None for value in values):
            ranges = trials[0].search.ranges if trials[0].search else {}
            given = {path: [run.params.get(path) for run in kept] for path in ordered}
            axes = tuple(_axis(path, given[path], ranges.get(path, {})) for path in ordered)
            ended = tuple((run.outcome or "").replace("_", " ") for run in kept)
            pictures.append(Parallel(name, shown, axes, values, ended, tuple(str(run.trial) for run in kept), goal))
    return tuple(pictures)


def _varies(path: str, runs: Sequence[FinishedRun]) -> bool:
    return len({str(run.params.get(path)) for run in runs}) > 1


def _axis(name: str, values: Sequence[Any], written: Mapping[str, Any]) -> Axis:
    """Return an axis by the range that the space has written, and where that is unknown by the values."""
    present = [value for value in values if value is not None]
    if "choice" in written or not all(map(is_number, present)):
        options = [plain(option) for option in written.get("choice", ())]
        unknown = sorted({plain(value) for value in present} - set(options))
        labels = (*options, *unknown)
        places = tuple(None if value is None else float(labels.index(plain(value))) for value in values)
        return Axis(name, places, labels, low=0.0, high=float(max(1, len(labels) - 1)))
    bounds = next((written[kind] for kind in ("int", "log", "float") if kind in written), present)
    low, high = float(min([*bounds, *present])), float(max([*bounds, *present]))
    log = bool(written.get("log")) if written else high / low > GUESSED_LOG if low > 0 else False
    whole = are_whole([*present, low, high]) and ("int" in written or not written)
    return Axis(name, tuple(None if value is None else float(value) for value in values), (), log, whole, low, high)


def short_label(path: str) -> str:
    """Return the last word of a parameter's path: there is no room for more above an axis."""
    return path.rpartition(".")[2]


def axis_ticks(axis: Axis) -> list[tuple[float, str]]:
    """Return the ticks of an axis by their places: options, whole numbers, powers of ten (at their logarithm)."""
    if axis.labels:
        return [(float(place), text) for place, text in enumerate(axis.labels)]
    if axis.log:
        return log_ticks(axis.low, axis.high)
    if not axis.whole:
        places = [axis.low + (axis.high - axis.low) * part / 4 for part in range(5)]
        return [(place, number(place)) for place in places]
    step = whole_step(axis.low, axis.high)
    return [(float(at), str(at)) for at in range(math.ceil(axis.low / step) * step, int(axis.high) + 1, step)]


GUESSED_LOG = 30.0
"""Where no space says how a parameter was searched: positive values of a larger ratio are drawn on a log scale."""


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
