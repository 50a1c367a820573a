"""One training in numbers: its curves, where they are heading, and what the rate did."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.records import Evidence, Monitor

SMOOTHED = 5
"""Evaluations in the moving average."""


@dataclass(frozen=True)
class Series:
    """Finite values at their steps."""

    name: str
    steps: tuple[int, ...] = ()
    values: tuple[float, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.steps)


@dataclass(frozen=True)
class Decision:
    """A change of the learning rate that a schedule with a memory made, and why; `step` in the view's unit."""

    step: float
    text: str


@dataclass(frozen=True)
class TrainingView:
    """What there is to see of a training; `unit` is what a step counts."""

    title: str
    unit: str
    metric: Series
    train: Series
    val: Series
    rate: Series
    norm: Series
    average: Series
    """Moving average of the training loss, or of whatever there is in its place."""
    speed: Series
    """How much the moving average changed in a step."""
    decisions: tuple[Decision, ...] = ()


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


def _series(rows: Sequence[Mapping[str, Any]], name: str) -> Series:
    points = [(row["step"], float(row[name])) for row in rows if isinstance(row.get(name), int | float)]
    finite = [(step, value) for step, value in points if math.isfinite(value)]
    steps, values = zip(*finite, strict=True) if finite else ((), ())
    return Series(name, tuple(steps), tuple(values))


def _decision(row: Mapping[str, Any], unit: str) -> Decision:
    """Return a decision from a line of the schedule's log, which counts optimizer steps and epochs."""
    change = f"factor {row['before']:.3g} -> {row['after']:.3g}"
    return Decision(row["epoch"] if unit == "epoch" else row["step"], f"{row['reason']} ({change})")


def moving_average(series: Series, count: int = SMOOTHED) -> Series:
    """Return the mean of each value and those before it, `count` at most."""
    means = tuple(
        statistics.fmean(series.values[max(0, end - count) : end]) for end in range(1, len(series.values) + 1)
    )
    return Series(f"mean of {count}: {series.name}", series.steps, means)


def speed(series: Series) -> Series:
    """Return by how much the values changed in each step."""
    pairs = zip(series.steps, series.steps[1:], series.values, series.values[1:], strict=False)
    values = tuple((after - before) / (end - start) for start, end, before, after in pairs if end > start)
    return Series(f"change of {series.name}", series.steps[len(series.steps) - len(values) :], values)


def improvement(series: Series, count: int = SMOOTHED) -> float | None:
    """Return the relative improvement of a loss in a step over the last `count`; None where nothing can be said.

    Relative to the value at the beginning of these: 0.02 is a loss that falls by 2 percent of it in each step.
    """
    steps, values = series.steps[-count - 1 :], series.values[-count - 1 :]
    if len(steps) < 2 or values[0] == 0 or steps[-1] == steps[0]:
        return None
    return (values[0] - values[-1]) / abs(values[0]) / (steps[-1] - steps[0])
