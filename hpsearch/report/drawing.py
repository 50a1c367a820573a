"""How every figure looks: colours that colour-blind readers tell apart (Okabe and Ito 2008), sizes, labels."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpsearch.report.wording import one_line, shorten

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#999999"
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""Series differ by marker as well as by colour."""
PANEL = (3.2, 2.6)
"""Inches of one of several panels."""
LONGEST_LABEL, LONGEST_TITLE = 32, 64


def new_figure(width: float = 6.4, height: float = 4.0) -> Figure:
    """Return an empty figure that belongs to no window and to no global state."""
    return Figure(figsize=(width, height), layout="constrained")


def label(text: str, *, longest: int = LONGEST_LABEL) -> str:
    """Return a name as matplotlib shows it: `$` begins no formula, and long names are cut off."""
    return shorten(one_line(text), longest).replace("$", r"\$")


def tidy(axes: Axes, *, x: str, y: str) -> None:
    """Name the axes and take away what says nothing."""
    axes.set_xlabel(label(x, longest=LONGEST_TITLE))
    axes.set_ylabel(label(y, longest=LONGEST_TITLE))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def say(axes: Axes, text: str) -> None:
    """Write into an empty panel why it is empty."""
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=GREY)
