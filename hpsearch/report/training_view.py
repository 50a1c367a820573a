"""One training in numbers: its curves, where they are heading, and what the rate did."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hpsearch.cleaning import one_line
from hpsearch.health import Digest, Finding
from hpsearch.records import Evidence, Monitor
from hpsearch.report.health import health_lines
from hpsearch.report.wording import number

SMOOTHED = 5
"""Evaluations in the moving average."""


@dataclass(frozen=True)
class Trace:
    """Finite values at their steps."""

    name: str
    steps: tuple[int, ...] = ()
    values: tuple[float, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.steps)


@dataclass(frozen=True)
class RateChange:
    """A change of the learning rate that a schedule with a memory made, and why; `step` in the view's unit."""

    step: float
    text: str


@dataclass(frozen=True)
class TrainingView:
    """What there is to see of a training; `unit` is what a step counts."""

    title: str
    unit: str
    metric: Trace
    train: Trace
    val: Trace
    rate: Trace
    norm: Trace
    average: Trace
    """Moving average of the training loss, or of whatever there is in its place."""
    speed: Trace
    """How much the moving average changed in a step."""
    decisions: tuple[RateChange, ...] = ()
    now: str = ""
    """How far it is between two reports, if that is known."""


def prepare_training(
    evidence: Evidence, objective: Monitor, *, unit: str, decisions: Sequence[Mapping[str, Any]] = ()
) -> TrainingView:
    """Return the view of a training from its rows."""
    metric, train, val = (_series(evidence.rows, name) for name in (objective.metric, "train/loss", "val/loss"))
    average = moving_average(train or val or metric)
    outcome = "running" if evidence.run.outcome is None else evidence.run.outcome.replace("_", " ")
    return TrainingView(
        title=f"trial {evidence.run.number} ({outcome})",
        unit=unit,
        metric=metric,
        train=train,
        val=val,
        rate=_series(evidence.rows, "learning_rate"),
        norm=_series(evidence.rows, "gradient_norm"),
        average=average,
        speed=speed(average),
        decisions=tuple(_decision(row, unit) for row in decisions),
    )


@dataclass(frozen=True)
class GradientFlow:
    """The gradient of each weight at a step, in the model's order: the mean and the largest of its absolute values.

    Both are NaN where the gradient holds a NaN, and infinite where it holds an infinity.
    """

    title: str
    names: Sequence[str]
    means: Sequence[float]
    largest: Sequence[float]


def prepare_flow(look: Mapping[str, Any], *, number: int, unit: str) -> GradientFlow:
    """Return the flow from a line of a trial's histograms; biases, whose gradients are others, are left out."""
    found = {
        name: numbers["gradient"]
        for name, numbers in look["parameters"].items()
        if numbers.get("gradient") and "bias" not in name.rpartition(".")[2]
    }

    def shown(name: str) -> list[float]:
        bad = (math.nan if each["nan"] else math.inf if each["inf"] else None for each in found.values())
        return [float(each[name]) if odd is None else odd for odd, each in zip(bad, found.values(), strict=True)]

    title = f"trial {number}, gradients at {unit} {look['step']}"
    return GradientFlow(title, tuple(found), shown("mean"), shown("max"))


def _series(rows: Sequence[Mapping[str, Any]], name: str) -> Trace:
    points = [(row["step"], float(row[name])) for row in rows if isinstance(row.get(name), int | float)]
    finite = [(step, value) for step, value in points if math.isfinite(value)]
    steps, values = zip(*finite, strict=True) if finite else ((), ())
    return Trace(name, tuple(steps), tuple(values))


def _decision(row: Mapping[str, Any], unit: str) -> RateChange:
    """Return a decision from a line of the schedule's log, which counts optimizer steps and epochs."""
    change = f"factor {row['before']:.3g} -> {row['after']:.3g}"
    return RateChange(row["epoch"] if unit == "epoch" else row["step"], f"{row['reason']} ({change})")


def moving_average(series: Trace, count: int = SMOOTHED) -> Trace:
    """Return the mean of each value and those before it, `count` at most."""
    means = tuple(
        statistics.fmean(series.values[max(0, end - count) : end]) for end in range(1, len(series.values) + 1)
    )
    return Trace(f"mean of {count}: {series.name}", series.steps, means)


def speed(series: Trace) -> Trace:
    """Return by how much the values changed in each step."""
    pairs = zip(series.steps, series.steps[1:], series.values, series.values[1:], strict=False)
    values = tuple((after - before) / (end - start) for start, end, before, after in pairs if end > start)
    return Trace(f"change of {series.name}", series.steps[len(series.steps) - len(values) :], values)


def improvement(series: Trace, count: int = SMOOTHED) -> float | None:
    """Return the relative improvement of a loss in a step over the last `count`; None if nothing can be said.

    Relative to the value at the beginning of these: 0.02 is a loss that falls by 2 percent of it in each step.
    """
    steps, values = series.steps[-count - 1 :], series.values[-count - 1 :]
    if len(steps) < 2 or values[0] == 0 or steps[-1] == steps[0]:
        return None
    return (values[0] - values[-1]) / abs(values[0]) / (steps[-1] - steps[0])


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
    if view.now:
        yield Text(one_line(view.now))
    gain = improvement(view.average)
    if gain is not None:
        verb = "improves" if gain >= 0 else "worsens"
        apart = _apart(view.average) if view.unit == "step" else 1
        per = view.unit if apart == 1 else f"{apart:,} {view.unit}s"
        yield Text(f"{one_line(view.average.name)} {verb} by {abs(gain) * apart:.2%} per {per}")
    for decision in view.decisions[-SHOWN_DECISIONS:]:
        yield Text(f"rate, {view.unit} {number(decision.step)}: {one_line(decision.text)}", "magenta")


def _apart(series: Trace) -> int:
    """Return the steps from one evaluation to the next: of optimizer steps, one alone changes next to nothing."""
    return max(1, round(statistics.median(after - before for before, after in pairwise(series.steps))))


def sparkline(values: Sequence[float], width: int) -> str:
    """Return a curve in `width` characters: the mean of what falls on each, from the lowest block to the highest."""
    points = list(values)
    if len(points) > width:
        bounds = [round(place * len(points) / width) for place in range(width + 1)]
        points = [sum(points[a:b]) / (b - a) for a, b in pairwise(bounds)]
    low, high = min(points, default=0.0), max(points, default=0.0)
    scale = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((value - low) * scale)] for value in points)
