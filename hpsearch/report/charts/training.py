"""Pictures of one training: its curves, a range test of the learning rate, heat maps of the trained model."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from hpsearch.records import HeatMap, Matrix
from hpsearch.report.charts.style import (
    BLUE,
    GREEN,
    GREY,
    LONGEST_TITLE,
    ORANGE,
    PANEL,
    label,
    new_figure,
    png_of,
    say,
    tidy,
)
from hpsearch.report.training_view import GradientFlow, Trace, TrainingView


def draw_training(view: TrainingView) -> Figure:
    """Draw four panels: losses, learning rate with the schedule's decisions, moving average, its rate of change."""
    figure = new_figure(PANEL[0] * 2.6, PANEL[1] * 2.2)
    losses, rate, average, speed = figure.subplots(2, 2).flat
    figure.suptitle(label(view.title, longest=64))
    _panel(losses, view.unit, "loss" if view.train or view.val else view.metric.name)
    lines = [(view.train, BLUE, "o"), (view.val, ORANGE, "s")] if view.train or view.val else [(view.metric, BLUE, "o")]
    for series, colour, marker in lines:
        _line(losses, series, colour, marker)
    _end(losses)
    _panel(rate, view.unit, "learning rate")
    _line(rate, view.rate, GREEN, ".")
    if view.rate and min(view.rate.values) > 0:
        rate.set_yscale("log")
    for decision in view.decisions:
        rate.axvline(decision.step, color=GREY, lw=1, ls=":")
    _end(rate, legend=False)
    _panel(average, view.unit, view.average.name)
    _line(average, view.average, BLUE, "")
    _end(average, legend=False)
    _panel(speed, view.unit, f"change per {view.unit}")
    speed.axhline(0.0, color=GREY, lw=1)
    _line(speed, view.speed, ORANGE, "")
    _end(speed, legend=False)
    return figure


def draw_flow(flow: GradientFlow) -> Figure:
    """Draw the mean and the largest gradient of each weight on a logarithmic scale, the first layer on the left."""
    figure = new_figure(min(_WIDEST, max(6.4, 2.0 + 0.22 * len(flow.names))), 5.2)
    axes = figure.add_subplot()
    tidy(axes, x="", y="absolute gradient")
    axes.set_title(label(flow.title, longest=LONGEST_TITLE), fontsize="medium")
    places = range(len(flow.names))
    for name, values, colour in (("largest", flow.largest, ORANGE), ("mean", flow.means, BLUE)):
        shown = [value if math.isfinite(value) and value > 0 else math.nan for value in values]
        axes.bar(places, shown, width=0.8 if name == "largest" else 0.5, color=colour, label=name)
    axes.set_yscale("log")
    axes.set_axisbelow(True)
    odd = [place for place in places if not math.isfinite(flow.largest[place]) or flow.largest[place] == 0]
    if odd:
        axes.plot(odd, [0.02] * len(odd), "kx", transform=axes.get_xaxis_transform(), label="0, NaN or infinite")
    named = [label(name.removesuffix(".weight"), longest=LONGEST_TITLE) for name in flow.names]
    axes.set_xticks(list(places), named, rotation=90, fontsize="small")
    axes.set_xlim(-0.7, len(flow.names) - 0.3)
    axes.legend(frameon=False)
    return figure


def draw_range(
    rates: Sequence[float],
    losses: Sequence[float],
    smoothed: Sequence[float],
    suggestions: Sequence[tuple[str, float | None]],
) -> Figure:
    """Draw a learning rate range test: the loss over the rate, with what it suggests."""
    figure = new_figure()
    axes = figure.add_subplot()
    tidy(axes, x="learning rate", y="train/loss")
    if not rates:
        say(axes, "the loss was never finite")
        return figure
    axes.set_xscale("log")
    axes.plot(rates, losses, ".", color=GREY, label="loss")
    axes.plot(rates, smoothed, color=BLUE, label="smoothed")
    for (name, rate), style in zip(suggestions, ("--", ":"), strict=False):
        if rate is not None:
            axes.axvline(rate, color=ORANGE, ls=style, label=f"{name}: {rate:.2g}")
    if losses[0] > 0:  # the last losses of a divergence would flatten everything else
        axes.set_ylim(top=min(1.05 * max(losses), 2.5 * max(smoothed[0], losses[0])))
    axes.legend(frameon=False)
    return figure


def _panel(axes: Axes, unit: str, name: str) -> None:
    tidy(axes, x=unit, y=name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _line(axes: Axes, series: Trace, colour: str, marker: str) -> None:
    if series:
        axes.plot(series.steps, series.values, marker=marker, markersize=3, color=colour, label=label(series.name))


def _end(axes: Axes, *, legend: bool = True) -> None:
    named = [line for line in axes.lines if not str(line.get_label()).startswith("_")]
    if not named:
        say(axes, "nothing yet")
    elif legend:
        axes.legend(frameon=False)


_WIDEST = 24.0
"""Inches of a picture of the gradients, however many layers there are."""
_COLUMNS = 4
"""Panels in a row of the figure."""
_CELL = 0.32
"""Inches of a cell of the matrix, within the bounds of a panel."""
_SMALLEST, _LARGEST = 2.0, 6.0
"""Inches of a panel."""
_WRITTEN = 200
"""Cells of a table up to which each has its number written into it."""


def draw_heat_map(heat_map: HeatMap) -> Figure:
    """Draw the panels side by side under one colour scale, around 0 where there are numbers on both sides of it."""
    numbers = [value for matrix in heat_map.panels.values() for row in matrix for value in row if math.isfinite(value)]
    low, high = min(numbers, default=0.0), max(numbers, default=0.0)
    both = low < 0 < high
    reach = max(-low, high)
    scale = Normalize(-reach, reach) if both else Normalize(low, high)
    columns = min(_COLUMNS, len(heat_map.panels))
    rows = math.ceil(len(heat_map.panels) / columns)
    first = next(iter(heat_map.panels.values()))
    width, height = _inches(len(first[0]), wide=bool(heat_map.columns)), _inches(len(first))
    figure = new_figure(width * columns + (2.2 if heat_map.rows else 1.2), height * rows + 1.0)
    figure.suptitle(label(heat_map.title, longest=LONGEST_TITLE), fontsize="medium")
    for place, (name, matrix) in enumerate(heat_map.panels.items()):
        axes = figure.add_subplot(rows, columns, place + 1)
        image = _draw_panel(axes, matrix, heat_map, scale, colours="RdBu_r" if both else "cividis")
        if name:
            axes.set_title(label(name), fontsize="small")
        axes.set_ylabel(label(heat_map.y, longest=LONGEST_TITLE) if place % columns == 0 else "")
        axes.set_xlabel(label(heat_map.x, longest=LONGEST_TITLE) if place // columns == rows - 1 else "")
    figure.colorbar(image, ax=figure.axes, fraction=0.04)
    return figure


def heat_map_png(heat_map: HeatMap) -> bytes:
    """Return the drawing as the content of a PNG file."""
    return png_of(draw_heat_map(heat_map))


def _inches(cells: int, *, wide: bool = False) -> float:
    return min(_LARGEST, max(_SMALLEST, cells * _CELL * (2.2 if wide else 1.0)))


def _draw_panel(axes: Axes, matrix: Matrix, heat_map: HeatMap, scale: Normalize, *, colours: str) -> AxesImage:
    table = bool(heat_map.columns and heat_map.rows)
    image = axes.imshow(matrix, norm=scale, cmap=colours, aspect="auto" if table else "equal", interpolation="nearest")
    for axis, names in ((axes.xaxis, heat_map.columns), (axes.yaxis, heat_map.rows)):
        if names:
            axis.set_ticks(range(len(names)), [label(name) for name in names])
        else:
            axis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    if table and len(heat_map.columns) * len(heat_map.rows) <= _WRITTEN:
        for y, row in enumerate(matrix):
            for x, value in enumerate(row):
                red, green, blue, _ = image.cmap(float(scale(value)))
                colour = "black" if 0.3 * red + 0.6 * green + 0.1 * blue > 0.5 else "white"
                axes.text(x, y, f"{value:.3g}", ha="center", va="center", fontsize="small", color=colour)
    return image
