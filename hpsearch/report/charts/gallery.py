"""Which pictures a comparison has: each with its title, its sentence, and both of its forms."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpsearch.comparing.comparison import Comparison
from hpsearch.report.charts import numbers, page, paper
from hpsearch.report.charts.style import Palette
from hpsearch.report.comparison.contents import ReportContents

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """A picture, as it is drawn for a paper; `plot` is its form for the page, None if the page shows the drawing."""

    name: str
    title: str
    says: str
    draw: "Callable[[], Figure]"
    plot: Callable[[], page.Plot] | None
    wide: bool = False
    """Whether it can be read in a certain width only: on a narrow page it is scrolled."""


def palette_of(*evidence: ReportContents) -> Palette:
    """Return the colours of all experiments on one page."""
    compared = [each.name for one in evidence for each in one.comparison.experiments]
    return Palette([*compared, *(run.experiment for one in evidence for run in one.runs)])


def gallery(evidence: ReportContents, palette: Palette | None = None) -> list[Picture]:
    """Return the pictures for which there is something to see; `palette` is the page's, if it has more than these."""
    palette = palette or palette_of(evidence)
    return [*_of_scores(evidence.comparison, palette), *_of_runs(evidence, palette)]


def _of_scores(comparison: Comparison, palette: Palette) -> Iterator[Picture]:
    scores, differences = numbers.prepare_scores(comparison), numbers.prepare_differences(comparison)
    if scores.lines:
        says = "A point is one unit; the bar is the mean with its 95% interval."
        draw, plot = (lambda: paper.draw_scores(scores, palette)), (lambda: page.plot_scores(scores, palette))
        yield Picture("scores", "Scores", says, draw, plot)
    if differences.lines:
        yield Picture(
            "differences",
            "Differences",
            "A point is a unit that both have; the bar is the difference of the table, with the interval that agrees "
            "with the verdict; within the grey margin a difference does not matter.",
            lambda: paper.draw_differences(differences),
            lambda: page.plot_differences(differences),
        )
    if diagram := numbers.prepare_critical_difference(comparison):
        says = "Bars join methods whose average ranks Nemenyi's test does not tell apart; the pairs' own tests decide."
        title = "Critical differences"
        yield Picture(
            "critical-difference", title, says, lambda: paper.draw_critical_difference(diagram, palette), None
        )
    if profiles := numbers.prepare_profiles(comparison):
        yield _curves("profiles", "Performance profiles", "Higher is better everywhere on the axis.", profiles, palette)
    if expected := numbers.prepare_expected_best(comparison):
        says = (
            "What a search of n trials would have found on average, resampled from the trials that were run; "
            "it takes them as independent, which proposals of TPE and pruned trials are not."
        )
        yield _curves("expected-best", "Expected best", says, expected, palette)


def _of_runs(evidence: ReportContents, palette: Palette) -> Iterator[Picture]:
    comparison, runs = evidence.comparison, evidence.runs
    if curves := numbers.prepare_learning_curves(comparison, runs):
        says = "The median run and the quartiles around it; a ring marks the best step of the median."
        says += f" {curves.limits.says}" if curves.limits else ""
        yield _curves("learning-curves", "Learning curves", says, curves, palette)
    if searches := numbers.prepare_searches(runs, comparison.goal, comparison.metric):
        yield Picture(
            "search",
            "Optimisation history",
            "Complete trials in their order, and the best so far."
            + (f" {searches.limits.says}" if searches.limits else ""),
            lambda: paper.draw_searches(searches, palette),
            lambda: page.plot_searches(searches, palette),
        )
    for place, (name, shares) in enumerate(evidence.importance.items()):
        if shares:
            yield _importance(place, name, shares, palette.colour(name))
    parallels = numbers.prepare_parallel(runs, comparison.goal, comparison.metric, evidence.importance)
    for place, parallel in enumerate(parallels):
        yield _slices(place, parallel, palette.colour(parallel.name))
        yield _parallel(place, parallel)
    if costs := numbers.prepare_costs(runs):
        says = "Training time of all runs, those that do not count included."
        draw, plot = (lambda: paper.draw_costs(costs, palette)), (lambda: page.plot_costs(costs, palette))
        yield Picture("cost", "Time", says, draw, plot)


def _curves(name: str, title: str, says: str, curves: numbers.Curves, palette: Palette) -> Picture:
    draw, plot = (lambda: paper.draw_curves(curves, palette)), (lambda: page.plot_curves(curves, palette))
    return Picture(name, title, says, draw, plot)


def _importance(place: int, name: str, shares: Mapping[str, float], ink: str) -> Picture:
    return Picture(
        f"importance-{place}",
        f"Importance of parameters: {name}",
        "Shares in what tells the best tenth of the complete trials from the rest (PED-ANOVA).",
        lambda: paper.draw_importance(shares, ink),
        lambda: page.plot_importance(shares, ink),
    )


def _slices(place: int, parallel: numbers.Parallel, ink: str) -> Picture:
    says = "A point is a complete trial, on the scale that its parameter was searched on."
    draw, plot = (lambda: paper.draw_slices(parallel, ink)), (lambda: page.plot_slices(parallel, ink))
    return Picture(f"slices-{place}", f"Slices: {parallel.name}", says, draw, plot, wide=True)


def _parallel(place: int, parallel: numbers.Parallel) -> Picture:
    says = "A line is a trial; drag along an axis to keep the lines that pass there."
    others = len(parallel.values) - parallel.complete
    says += f" The {others} that are not complete are grey: their values are of a smaller budget." if others else ""
    says += f" The first {len(parallel.values)} are shown." if len(parallel.values) == numbers.MOST_LINES else ""
    draw, plot = (lambda: paper.draw_parallel(parallel)), (lambda: page.plot_parallel(parallel))
    return Picture(f"trials-{place}", f"Trials: {parallel.name}", says, draw, plot, wide=True)
