"""Heat maps that a family makes of a trained model, drawn."""

import io
import math

from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from hpsearch.records import HeatMap, Matrix
from hpsearch.report.drawing import LONGEST_TITLE, label, new_figure

_COLUMNS = 4
"""Panels in a row of the figure."""
_CELL = 0.32
"""Inches of a cell of the matrix, within the bounds of a panel."""
_SMALLEST, _LARGEST = 2.0, 6.0
"""Inches of a panel."""
_WRITTEN = 200
"""Up to so many cells of a table have their number written into them."""


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
    file = io.BytesIO()
    draw_heat_map(heat_map).savefig(file, format="png", dpi=120)
    return file.getvalue()


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
