"""Each picture for a paper: draw_x makes a figure of what prepare_x gave. Colours are those of Okabe and Ito (2008)."""

from collections.abc import Mapping, Sequence
from math import log10, nan
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from hpsearch.records import Goal
from hpsearch.report.charts.limits import Limits, are_whole, robust_limits
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
    axis_ticks,
    short_label,
)
from hpsearch.report.charts.style import (
    COLUMN,
    GREY,
    LONGEST_LABEL,
    MOST_NAMED,
    Palette,
    for_a_column,
    label,
    name_above,
    new_figure,
    show_limits,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DIFFERENCE = "#555555"
"""A difference belongs to two experiments: it has the colour of neither."""
_ROW, _LOW_ROW, _FEW = 0.28, 0.16, 20
"""Inches for one line of a picture with a line for each experiment: of a few, and of many."""
MOST_ROWS = 50
"""Lines of such a picture: what is higher fits on no page."""


@for_a_column
def draw_scores(scores: Scores, palette: Palette) -> "Figure":
    """Draw a row of points for each experiment, with its mean and 95% interval; of very many the best ones."""
    lines = scores.lines[:MOST_ROWS]
    figure, axes = _rows([label(line.name) for line in lines], x=scores.metric, left=len(scores.lines) - len(lines))
    for place, line in enumerate(lines):
        marker, ink = palette.marker(line.name), palette.colour(line.name)
        axes.plot(line.values, [place] * len(line.values), marker, color=ink, alpha=0.5)
        _interval(axes, place, line.mean, line.interval)
    return figure


@for_a_column
def draw_differences(differences: Differences) -> "Figure":
    """Draw a row of paired differences for each pair, with the mean and its interval; the margin is a grey band."""
    lines = differences.lines[:MOST_ROWS]
    names = [_pair_label(line) for line in lines]
    left = len(differences.lines) - len(lines)
    figure, axes = _rows(names, x=f"difference in {differences.metric}", left=left)
    axes.axvline(0, color=GREY, linewidth=1)
    if differences.margin is not None:
        axes.axvspan(-differences.margin, differences.margin, color=GREY, alpha=0.2, linewidth=0)
    for place, line in enumerate(lines):
        axes.plot(line.differences, [place] * len(line.differences), "o", color=_DIFFERENCE, alpha=0.5, markersize=4)
        _interval(axes, place, line.mean, line.interval)
    return figure


def _pair_label(line: DifferenceLine) -> str:
    """Return a pair's label, on two lines where one would be cut off."""
    if len(line.name) <= LONGEST_LABEL:
        return label(line.name)
    return f"{label(line.a)}\n− {label(line.b)}"


def _rows(labels: Sequence[str], *, x: str, left: int = 0) -> "tuple[Figure, Axes]":
    """Return axes with a row for each label; `left` rows more are said not to be shown."""
    height = sum((_ROW if len(labels) <= _FEW else _LOW_ROW) * (1 + each.count("\n") / 2) for each in labels)
    figure = new_figure(COLUMN[0], height=0.7 + max(_ROW, height))
    axes = figure.add_subplot()
    tidy(axes, x=x, y="")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    if left:
        axes.set_title(f"the first {len(labels)} of {len(labels) + left}", loc="right")
    return figure, axes


def _interval(axes: "Axes", place: int, mean: float | None, interval: tuple[float, float] | None) -> None:
    if interval is not None:
        axes.plot(interval, [place, place], color="black", linewidth=1.5)
    if mean is not None:
        axes.plot([mean], [place], "|", color="black", markersize=14, markeredgewidth=2)


@for_a_column
def draw_curves(curves: Curves, palette: Palette) -> "Figure":
    """Draw lines with bands around them; a ring marks a line's best step. Of very many lines the best are named."""
    figure, axes = _plane(curves.x_title, curves.y_title, whole=curves.whole, limits=curves.limits)
    for line in curves.lines[MOST_NAMED:]:
        axes.plot(line.x, line.y, color=GREY, linewidth=0.5, alpha=0.6, zorder=1)
    for line in curves.lines[:MOST_NAMED]:
        ink, style = palette.colour(line.name), ("-", "--", "-.", ":")[palette.place(line.name) % 4]
        axes.plot(line.x, line.y, color=ink, label=label(line.name), linestyle=style)
        if line.low != line.high:
            axes.fill_between(line.x, line.low, line.high, color=ink, alpha=0.2, linewidth=0)
        if line.best is not None:
            axes.plot([line.x[line.best]], [line.y[line.best]], "o", markersize=6, fillstyle="none", color=ink)
        if len(line.x) == 1:
            axes.plot(line.x, line.y, palette.marker(line.name), color=ink)
    _end(figure, axes, title=curves.band, left=len(curves.lines) - MOST_NAMED)
    return figure


@for_a_column
def draw_searches(searches: Searches, palette: Palette) -> "Figure":
    """Draw points for the complete trials, a step line for the best so far; of very many searches the first."""
    figure, axes = _plane("complete trials", searches.metric, whole=True, limits=searches.limits)
    for line in searches.lines[MOST_NAMED:]:
        axes.step(line.numbers, line.best, where="post", color=GREY, linewidth=0.5, alpha=0.6)
    for line in searches.lines[:MOST_NAMED]:
        marker, ink = palette.marker(line.name), palette.colour(line.name)
        axes.plot(line.numbers, line.values, marker, color=ink, alpha=0.4, markersize=3, linestyle="")
        axes.step(line.numbers, line.best, where="post", color=ink, label=label(line.name))
    _end(figure, axes, title="best so far", left=len(searches.lines) - MOST_NAMED)
    return figure


def _plane(x: str, y: str, *, whole: bool, limits: Limits | None) -> "tuple[Figure, Axes]":
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(*COLUMN)
    axes = figure.add_subplot()
    tidy(axes, x=x, y=y)
    if whole:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    show_limits(axes, limits)
    return figure, axes


def _end(figure: "Figure", axes: "Axes", *, title: str, left: int) -> None:
    """Name the lines above the axes, with those that are not named in one word."""
    if left > 0:
        axes.plot([], [], color=GREY, linewidth=0.5, label=f"{left} others")
    name_above(figure, axes, title=title)


@for_a_column
def draw_critical_difference(picture: CriticalDifference, palette: Palette) -> "Figure":
    """Draw the average ranks on a line; a bar joins methods that Nemenyi's test does not tell apart (Demsar 2006)."""
    names = len(picture.ranks)
    figure = new_figure(COLUMN[0], height=1.0 + 0.17 * (names // 2 + 1 + len(picture.groups)))
    axes = figure.add_subplot()
    axes.set_xlim(0.5, names + 0.5)
    better = [each for each in picture.ranks if each[1] <= (names + 1) / 2]
    worse = [each for each in reversed(picture.ranks) if each not in better]
    axes.set_ylim(-max(len(better), len(worse)) - len(picture.groups) - 1.5, 1.5)
    axes.xaxis.tick_top()
    axes.set_xticks(range(1, names + 1))
    axes.set_yticks([])
    axes.spines[["left", "right", "bottom"]].set_visible(False)
    place = dict(picture.ranks)
    for row, group in enumerate(picture.groups):
        ends = [place[name] for name in group]
        axes.plot([min(ends) - 0.04, max(ends) + 0.04], [-0.4 - row, -0.4 - row], color="black", linewidth=3)
    for side, away, half in (("right", -0.05, better), ("left", 0.05, worse)):  # outward: no name lies on a line
        for row, (name, rank) in enumerate(half):
            foot = -1.0 - len(picture.groups) - row
            ink = palette.colour(name)
            axes.plot([rank, rank], [1.5, foot], color=ink, linewidth=1)
            axes.text(rank + away, foot, f"{label(name)} ({rank:.2f})", va="center", ha=side, color=ink)
    said = "" if picture.distance is None else f";\ncritical difference {picture.distance:.2f}"
    figure.suptitle(f"average rank over {picture.datasets} data sets, 1 is best{said}", fontsize="medium")
    return figure


@for_a_column
def draw_parallel(parallel: Parallel) -> "Figure":
    """Draw a line for each trial over its parameters, on the scales of the space, coloured by the value.

    Trials without a value are grey and lie below; a gap is a parameter that a trial does not have.
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    found = [value for value in parallel.values if value is not None]
    limits = robust_limits(found, parallel.goal)
    low, high = (max(limits.low, min(found)), min(limits.high, max(found))) if limits else (min(found), max(found))
    whole = are_whole(found)
    end = Axis(parallel.metric, parallel.values, low=low, high=high, whole=whole)
    shown = [*parallel.axes, end]
    figure = new_figure(max(COLUMN[0], 0.75 * len(shown) + 0.6), 2.6)
    axes = figure.add_subplot()
    columns = [[_height(axis, value) for value in axis.values] for axis in shown]
    inks = colormaps["cividis_r" if parallel.goal is Goal.MAXIMIZE else "cividis"]
    scale = Normalize(low, high if high > low else low + 1)
    for place in reversed(range(len(parallel.values))):  # the best lines lie on top
        value = parallel.values[place]
        look: dict[str, Any] = {"color": GREY, "linewidth": 0.4, "alpha": 0.6, "linestyle": "--"}
        if value is not None:
            look = {"color": inks(scale(value)), "linewidth": 0.8}
        axes.plot([column[place] for column in columns], **look)
    for place, axis in enumerate(shown):
        _draw_axis(axes, place, axis)
    axes.set_xlim(-0.3, len(shown) - 0.7 + 0.3)
    axes.set_ylim(-0.06, 1.06)
    names = ["\n".join(wrap(label(short_label(axis.name)).replace("_", "_ "), 12)).replace("_ ", "_") for axis in shown]
    axes.set_xticks(range(len(shown)), names)
    axes.tick_params(length=0, labelsize=7)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    figure.colorbar(ScalarMappable(scale, inks), ax=axes, fraction=0.03, pad=0.02).outline.set_visible(False)
    return figure


def _height(axis: Axis, value: float | None) -> float:
    """Return the place of a value on an axis from 0 to 1; nan where a trial does not have it."""
    if value is None:
        return nan
    low, high = (log10(axis.low), log10(axis.high)) if axis.log else (axis.low, axis.high)
    place = log10(value) if axis.log else value
    return min(max((place - low) / ((high - low) or 1.0), 0.0), 1.0)


def _draw_axis(axes: "Axes", place: int, axis: Axis) -> None:
    """Draw one of the parallel axes with its ticks, on white so that they can be read over the lines."""
    low, high = (log10(axis.low), log10(axis.high)) if axis.log else (axis.low, axis.high)
    ticks = axis_ticks(axis)
    ticks = ticks[:: -(-len(ticks) // MOST_TICKS)]
    axes.axvline(place, color="black", linewidth=0.6, zorder=3)
    for at, text in ticks:
        height = (at - low) / ((high - low) or 1.0)
        axes.plot([place - 0.03, place + 0.03], [height, height], color="black", linewidth=0.6, zorder=3)
        ground = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.5}
        said = label(text, longest=10)
        axes.text(place + 0.05, height, said, fontsize=6, va="center", ha="left", bbox=ground, zorder=4)


MOST_TICKS = 8
"""Of one of many parallel axes."""


@for_a_column
def draw_slices(parallel: Parallel, ink: str) -> "Figure":
    """Draw a panel for each parameter, on the scale of the space: a point for each complete trial."""
    count = len(parallel.axes)
    columns = min(3, count)
    rows = -(-count // columns)
    figure = new_figure(max(COLUMN[0], 2.2 * columns), 1.7 * rows)
    limits = robust_limits((value for value in parallel.values if value is not None), parallel.goal)
    for place, axis in enumerate(parallel.axes):
        axes = figure.add_subplot(rows, columns, place + 1, sharey=figure.axes[0] if place else None)
        tidy(axes, x=short_label(axis.name), y=parallel.metric if place % columns == 0 else "")
        pairs = zip(axis.values, parallel.values, strict=True)
        kept = [(at, value) for at, value in pairs if at is not None and value is not None]
        axes.plot([at for at, _ in kept], [value for _, value in kept], "o", color=ink, alpha=0.6, markersize=3)
        if axis.log:
            axes.set_xscale("log")
        elif axis.labels:
            axes.set_xticks(range(len(axis.labels)), [label(text, longest=10) for text in axis.labels])
        elif axis.whole:
            axes.set_xticks([at for at, _ in axis_ticks(axis)])
        around = 0.06 * ((axis.high - axis.low) or 1.0)
        ends = (axis.low / 1.3, axis.high * 1.3) if axis.log else (axis.low - around, axis.high + around)
        axes.set_xlim(*ends)
        if limits is not None:
            axes.set_ylim(limits.low, limits.high)
    return figure


@for_a_column
def draw_importance(shares: Mapping[str, float], ink: str) -> "Figure":
    """Draw a bar for each parameter's share, in the colour of its experiment."""
    figure, axes = _rows([label(name) for name in shares], x="importance")
    axes.barh(range(len(shares)), list(shares.values()), color=ink)
    return figure


@for_a_column
def draw_costs(costs: Sequence[Cost], palette: Palette) -> "Figure":
    """Draw a bar for each experiment's training time."""
    left, costs = len(costs) - MOST_ROWS, costs[:MOST_ROWS]
    names = [label(f"{cost.name} ({cost.runs} runs)") for cost in costs]
    figure, axes = _rows(names, x="training time in minutes", left=max(0, left))
    inks = [palette.colour(cost.name) for cost in costs]
    axes.barh(range(len(costs)), [cost.seconds / 60 for cost in costs], color=inks)
    return figure
