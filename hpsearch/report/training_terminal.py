"""One training as a person watches it in a terminal: a line of blocks for each curve, and what the numbers say."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hpsearch.health import Digest, Finding
from hpsearch.report.health import health_lines
from hpsearch.report.training_view import SMOOTHED, TrainingView, improvement
from hpsearch.report.wording import number, one_line

BLOCKS = "▁▂▃▄▅▆▇█"
SHOWN_DECISIONS = 3


def show_training(view: TrainingView, findings: Sequence[Finding] = (), *, width: int = 80) -> RenderableType:
    """Return the curves, the rate's decisions, the improvement and the advice in at most `width` columns."""
    table = Table.grid(padding=(0, 2))
    for _ in range(4):
        table.add_column(no_wrap=True)
    named = {series.name: series for series in (view.metric, view.train, view.val)}
    named |= {f"mean of {SMOOTHED}": view.average, "its change": view.speed}
    named |= {series.name: series for series in (view.rate, view.norm)}
    room = max(10, min(60, width - max(map(len, named)) - 28))
    for name, series in named.items():
        if series:
            ends = f"{number(series.values[0])} … {number(series.values[-1])}"
            table.add_row(Text(one_line(name), "bold"), Text(sparkline(series.values, room), "cyan"), Text(ends))
    head = Text(one_line(view.title), "bold")
    if view.metric:
        head.append(f", {view.unit} {view.metric.steps[-1]}", "default")
    digests = [Digest(finding, (finding.trial,)) for finding in findings]
    return Group(head, table, *_said(view), *health_lines(digests, notes=True))


def _said(view: TrainingView) -> Iterator[Text]:
    if not view.metric:
        yield Text("nothing has been reported yet", "dim")
    gain = improvement(view.average)
    if gain is not None:
        verb = "improves" if gain >= 0 else "worsens"
        yield Text(f"{one_line(view.average.name)} {verb} by {abs(gain):.2%} per {view.unit}")
    for decision in view.decisions[-SHOWN_DECISIONS:]:
        yield Text(f"rate, {view.unit} {number(decision.step)}: {one_line(decision.text)}", "magenta")


def sparkline(values: Sequence[float], width: int) -> str:
    """Return a curve in so many characters: the mean of what falls on each, from the lowest block to the highest."""
    points = list(values)
    if len(points) > width:
        bounds = [round(place * len(points) / width) for place in range(width + 1)]
        points = [sum(points[a:b]) / (b - a) for a, b in pairwise(bounds)]
    low, high = min(points, default=0.0), max(points, default=0.0)
    scale = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((value - low) * scale)] for value in points)
