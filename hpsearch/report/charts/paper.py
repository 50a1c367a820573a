"""Each picture for a paper: draw_x makes a figure of what prepare_x gave. Colours are those of Okabe and Ito (2008)."""

from collections.abc import Mapping, Sequence
from math import log10, nan
from typing import TYPE_CHECKING

from hpsearch.report.charts.numbers import (
    Axis,
    Cost,
    CriticalDifference,
    Curves,
    DifferenceLine,
    Differences,
    Parallel,
    Scores,
    Searches,
)
from hpsearch.report.charts.style import GREY, LONGEST_LABEL, Palette, label, new_figure, tidy
from hpsearch.report.wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DIFFERENCE = "#555555"
"""A difference belongs to two experiments: it has the colour of neither."""
_ROW = 0.42
"""Inches for one line of a picture with a line for each experiment."""


def draw_scores(scores: Scores, palette: Palette) -> "Figure":
    """Draw a row of points for each experiment, with its mean and 95% interval."""
    figure, axes = _rows([label(line.name) for line in scores.lines], x=scores.metric)
    for place, line in enumerate(scores.lines):
        marker, ink = palette.marker(line.name), palette.colour(line.name)
        axes.plot(line.values, [place] * len(line.values), marker, color=ink, alpha=0.5)
        _interval(axes, place, line.mean, line.interval)
    return figure


def draw_differences(differences: Differences) -> "Figure":
    """Draw a row of paired differences for each pair, with the mean and its interval; the margin is a grey band."""
    names = [_pair_label(line) for line in differences.lines]
    figure, axes = _rows(names, x=f"difference in {differences.metric}")
    axes.axvline(0, color=GREY, linewidth=1)
    if differences.margin is not None:
        axes.axvspan(-differences.margin, differences.margin, color=GREY, alpha=0.2, linewidth=0)
    for place, line in enumerate(differences.lines):
        axes.plot(line.differences, [place] * len(line.differences), "o", color=_DIFFERENCE, alpha=0.5, markersize=4)
        _interval(axes, place, line.mean, line.interval)
    return figure


def _pair_label(line: DifferenceLine) -> str:
    """Return a pair's label, on two lines where one would be cut off."""
    if len(line.name) <= LONGEST_LABEL:
        return label(line.name)
    return f"{label(line.a)}\n− {label(line.b)}"


def _rows(labels: Sequence[str], *, x: str) -> "tuple[Figure, Axes]":
    figure = new_figure(height=1.0 + _ROW * max(1, len(labels)))
    axes = figure.add_subplot()
    tidy(axes, x=x, y="")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    return figure, axes


def _interval(axes: "Axes", place: int, mean: float | None, interval: tuple[float, float] | None) -> None:
    if interval is not None:
        axes.plot(interval, [place, place], color="black", linewidth=1.5)
    if mean is not None:
        axes.plot([mean], [place], "|", color="black", markersize=14, markeredgewidth=2)


def draw_curves(curves: Curves, palette: Palette) -> "Figure":
    """Draw lines with bands around them; a ring marks a line's best step."""
    figure = new_figure()
    axes = figure.add_subplot()
    tidy(axes, x=curves.x_title, y=curves.y_title)
    for line in curves.lines:
        ink, style = palette.colour(line.name), ("-", "--", "-.", ":")[palette.place(line.name) % 4]
        axes.plot(line.x, line.y, color=ink, label=label(line.name), linestyle=style)
        if line.low != line.high:
            axes.fill_between(line.x, line.low, line.high, color=ink, alpha=0.2, linewidth=0)
        if line.best is not None:
            axes.plot([line.x[line.best]], [line.y[line.best]], "o", markersize=8, fillstyle="none", color=ink)
    axes.legend(frameon=False, title=curves.band or None)
    return figure


def draw_searches(searches: Searches, palette: Palette) -> "Figure":
    """Draw points for the complete trials, a step line for the best so far."""
    from matplotlib.ticker import MaxNLocator

    figure = new_figure()
    axes = figure.add_subplot()
    tidy(axes, x="complete trials", y=searches.metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for line in searches.lines:
        marker, ink = palette.marker(line.name), palette.colour(line.name)
        axes.plot(line.numbers, line.values, marker, color=ink, alpha=0.4, markersize=4, linestyle="")
        axes.step(line.numbers, line.best, where="post", color=ink, label=label(line.name))
    axes.legend(frameon=False, title="best so far")
    return figure


def draw_critical_difference(picture: CriticalDifference, palette: Palette) -> "Figure":
    """Draw the average ranks on a line; a bar joins methods that Nemenyi's test does not tell apart (Demsar 2006)."""
    names = len(picture.ranks)
    figure = new_figure(height=1.4 + 0.22 * (names + len(picture.groups)))
    axes = figure.add_subplot()
    axes.set_xlim(0.5, names + 0.5)
    axes.set_ylim(-names - len(picture.groups) - 1.5, 1.5)
    axes.xaxis.tick_top()
    axes.set_xticks(range(1, names + 1))
    axes.set_yticks([])
    axes.spines[["left", "right", "bottom"]].set_visible(False)
    place = dict(picture.ranks)
    for row, group in enumerate(picture.groups):
        ends = [place[name] for name in group]
        axes.plot([min(ends) - 0.04, max(ends) + 0.04], [-0.4 - row, -0.4 - row], color="black", linewidth=3)
    for row, (name, rank) in enumerate(picture.ranks):
        foot = -1.0 - len(picture.groups) - row
        ink = palette.colour(name)
        axes.plot([rank, rank], [1.5, foot], color=ink, linewidth=1)
        axes.text(rank + 0.05, foot, f"{label(name)} ({rank:.2f})", va="center", color=ink)
    said = "" if picture.distance is None else f"; critical difference {picture.distance:.2f}"
    axes.set_title(f"average rank over {picture.datasets} data sets, 1 is best{said}", fontsize=10)
    return figure


def draw_parallel(parallel: Parallel) -> "Figure":
    """Draw a line for each trial over its parameters, the best ones darkest; a gap is a parameter it does not have."""
    figure = new_figure(width=max(6.4, 1.2 * len(parallel.axes)))
    axes = figure.add_subplot()
    columns = [*(_scaled(axis) for axis in parallel.axes), _scaled(Axis(parallel.metric, parallel.values))]
    count = len(parallel.values)
    for place in reversed(range(count)):  # the best lines lie on top
        shade = 0.15 + 0.75 * place / max(1, count - 1)
        axes.plot([column[place] for column in columns], color=str(shade), linewidth=0.8)
    names = [label(axis.name.rpartition(".")[2]) for axis in parallel.axes]
    axes.set_xticks(range(len(columns)), [*names, label(parallel.metric)], rotation=30, ha="right")
    axes.set_yticks([])
    for place, axis in enumerate((*parallel.axes, Axis(parallel.metric, parallel.values))):
        for height, text in _ends(axis):
            axes.text(place, height, text, fontsize=7, ha="center", va="bottom" if height else "top")
    axes.spines[:].set_visible(False)
    axes.grid(axis="x", alpha=0.4)
    return figure


def _scaled(axis: Axis) -> list[float]:
    """Return the places of the values on an axis from 0 to 1; nan where a trial does not have it."""
    known = [log10(value) if axis.log else value for value in axis.values if value is not None]
    low, span = min(known), (max(known) - min(known)) or 1.0
    places = (None if value is None else log10(value) if axis.log else value for value in axis.values)
    return [nan if place is None else (place - low) / span for place in places]


def _ends(axis: Axis) -> list[tuple[float, str]]:
    """Return the labels at the foot and the head of an axis."""
    known = [value for value in axis.values if value is not None]
    if axis.labels:
        return [(0.0, axis.labels[int(min(known))]), (1.0, axis.labels[int(max(known))])]
    return [(0.0, number(min(known))), (1.0, number(max(known)))]


def draw_importance(shares: Mapping[str, float], ink: str) -> "Figure":
    """Draw a bar for each parameter's share, in the colour of its experiment."""
    figure, axes = _rows([label(name) for name in shares], x="importance")
    axes.barh(range(len(shares)), list(shares.values()), color=ink)
    return figure


def draw_costs(costs: Sequence[Cost], palette: Palette) -> "Figure":
    """Draw a bar for each experiment's training time."""
    figure, axes = _rows([label(f"{cost.name} ({cost.runs} runs)") for cost in costs], x="training time in minutes")
    inks = [palette.colour(cost.name) for cost in costs]
    axes.barh(range(len(costs)), [cost.seconds / 60 for cost in costs], color=inks)
    return figure
