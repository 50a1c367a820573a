"""How every figure looks, and how it is written.

Colours are those that colour-blind readers tell apart (Okabe and Ito 2008).
"""

import io
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hpsearch.cleaning import one_line
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.report.charts.limits import Limits
from hpsearch.report.wording import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
BLUE, ORANGE, GREEN, GREY = *COLOURS[:3], "#999999"
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""Series differ by marker as well as by colour."""
PANEL = (3.2, 2.6)
"""Inches of one of several panels."""
LONGEST_LABEL, LONGEST_TITLE = 32, 64
COLUMN = (3.5, 2.5)
"""Inches of a figure that stands in a column of a paper as it is, with letters of 7 and 8 points."""
MOST_NAMED = 10
"""Series that a legend names: the best ones. The others are grey."""
_STYLE: Any = {
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.handlelength": 1.6,
}
Drawing = TypeVar("Drawing", bound="Callable[..., Figure]")


def for_a_column(draw: Drawing) -> Drawing:
    """Let a function draw in the style of a column: the same letters and lines in all figures."""

    @wraps(draw)
    def styled(*arguments: Any, **options: Any) -> "Figure":
        from matplotlib import rc_context

        with rc_context(_STYLE):
            return draw(*arguments, **options)

    return styled  # type: ignore[return-value] # it takes and returns what the function does


class Palette:
    """One place for each experiment, so that it has one colour and one marker on every picture of a page."""

    def __init__(self, names: Iterable[str]) -> None:
        self._places = {name: place for place, name in enumerate(dict.fromkeys(names))}

    def place(self, name: str) -> int:
        """Return the place of an experiment; a name that was not announced comes after all others."""
        return self._places.get(name, len(self._places))

    def colour(self, name: str) -> str:
        """Return the colour of an experiment."""
        return COLOURS[self.place(name) % len(COLOURS)]

    def marker(self, name: str) -> str:
        """Return the marker of an experiment."""
        return MARKERS[self.place(name) % len(MARKERS)]


def new_figure(width: float = 6.4, height: float = 4.0) -> "Figure":
    """Return an empty figure that belongs to no window and to no global state; a notebook shows it as a picture."""
    from matplotlib.figure import Figure

    class ShownFigure(Figure):
        def _repr_png_(self) -> bytes:  # notebooks know figures only once pyplot was imported
            return png_of(self)

    return ShownFigure(figsize=(width, height), layout="constrained")


def label(text: str, *, longest: int = LONGEST_LABEL) -> str:
    """Return a name as matplotlib shows it: `$` begins no formula, and long names are cut in the middle.

    Names that a program has made differ at their ends.
    """
    plain = one_line(text)
    if len(plain) > longest:
        tail = longest // 2 - 1
        plain = shorten(plain, longest - tail) + plain[-tail:]
    return plain.replace("$", r"\$")


def tidy(axes: "Axes", *, x: str, y: str) -> None:
    """Name the axes and take away what says nothing."""
    axes.set_xlabel(label(x, longest=LONGEST_TITLE))
    axes.set_ylabel(label(y, longest=LONGEST_TITLE))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.tick_params(labelsize=_tick_size())  # matplotlib makes ticks later, when a style may be another


def _tick_size() -> Any:
    from matplotlib import rcParams

    return rcParams["xtick.labelsize"]


def name_above(figure: "Figure", axes: "Axes", *, title: str = "") -> None:
    """Name the series of axes above them, where no name lies on a curve."""
    handles, names = axes.get_legend_handles_labels()
    if names:
        longest = max(map(len, names))
        columns = max(1, min(len(names), 3, int(figure.get_figwidth() * 15 / (longest + 5))))
        rows = -(-len(names) // columns)
        figure.set_figheight(figure.get_figheight() + 0.14 * (rows - 1))  # the axes keep their height
        figure.legend(handles, names, loc="outside upper center", ncols=columns, frameon=False, title=title or None)


def add_title(figure: "Figure", text: str) -> None:
    """Put a title above a figure, and above what is written there already."""
    own = figure.get_suptitle()
    figure.set_figheight(figure.get_figheight() + 0.2)
    figure.suptitle("\n".join(filter(None, [label(text, longest=LONGEST_TITLE), own])), fontsize=8)


def show_limits(axes: "Axes", limits: Limits | None) -> None:
    """Show what the limits leave of the values, and say what they cut off."""
    if limits is not None:
        axes.set_ylim(limits.low, limits.high)
        axes.set_title(limits.says, loc="right", fontsize="small", color=GREY)


def say(axes: "Axes", text: str) -> None:
    """Write into an empty panel why it is empty."""
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=GREY)


PICTURE_FORMATS = ("pdf", "png", "svg")


def svg_of(figure: "Figure") -> str:
    """Return a figure as the text of an <svg> element; the same figure gives the same text."""
    from matplotlib import rc_context

    text = io.StringIO()
    with rc_context({"svg.hashsalt": "hpsearch", "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    content = text.getvalue()
    return content[content.index("<svg") :]


def png_of(figure: "Figure") -> bytes:
    """Return a figure as the content of a PNG file."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    return content.getvalue()


def write_for_paper(figure: "Figure", folder: Path, name: str) -> list[Path]:
    """Write a figure as SVG and as PDF, the same bytes for the same figure."""
    from matplotlib import rc_context

    svg, pdf = folder / f"{name}.svg", folder / f"{name}.pdf"
    svg.write_text(svg_of(figure), encoding="utf-8")
    with rc_context({"pdf.fonttype": 42}):  # fonts that a publisher takes
        figure.savefig(pdf, metadata={"CreationDate": None})
    return [svg, pdf]


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure in the format that the file's name ends in.

    Raises:
        UnknownNameError: If the ending is not a picture format.
        HpsearchError: If the file cannot be written.

    """
    kind = path.suffix.removeprefix(".").lower()
    if kind not in PICTURE_FORMATS:
        raise UnknownNameError("picture format", kind or path.name, PICTURE_FORMATS)
    try:
        figure.savefig(path, format=kind, dpi=150)
    except OSError as error:
        raise HpsearchError(f"{path} cannot be written: {error.strerror or error}") from error
