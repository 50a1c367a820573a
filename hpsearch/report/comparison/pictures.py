"""The numbers of each picture of the scores: prepare_x makes them from a comparison."""

from typing import NamedTuple

from hpsearch.comparing.comparison import Comparison
from hpsearch.report.comparison.rows import ranking


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
        DifferenceLine(pair.a, pair.b, pair.units, pair.differences, pair.shown_difference, pair.ci_adjusted)
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
    chosen = [point for point in comparison.expected_best if point.estimator == "with replacement"]
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
