"""The curves of a training that the checks look at, and their few statistics."""

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hpsearch.records import Monitor

_SPLIT = re.compile(r"(?<![a-z])(val|valid|validation|eval)(?=[/_.-])")
"""The split in a metric's name: `val/loss`, `eval_accuracy`."""


@dataclass(frozen=True)
class Curve:
    """Finite values that improve downwards, at their steps; `shown` gives them back as the training reported them."""

    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]
    sign: float = 1.0

    def __len__(self) -> int:
        return len(self.values)

    def shown(self, index: int) -> str:
        """Return the value at an index as text."""
        return figure(self.sign * self.values[index])

    def last(self, count: int) -> "Curve":
        """Return the last `count` points."""
        return Curve(self.name, self.steps[-count:], self.values[-count:], self.sign)

    @property
    def best(self) -> int:
        """The index of the first best value."""
        return min(range(len(self)), key=lambda index: self.values[index])

    @property
    def fall(self) -> float:
        """How far the best value lies below the first."""
        return self.values[0] - min(self.values)


def figure(value: float) -> str:
    """Return a number with 3 significant digits."""
    return f"{value:.3g}"


def read_curve(rows: Sequence[Mapping[str, Any]], name: str, *, sign: float = 1.0) -> Curve | None:
    """Return a metric's curve, None when it has no finite value."""
    points = [(row["step"], row[name]) for row in rows if isinstance(row.get(name), int | float)]
    finite = [(step, sign * float(value)) for step, value in points if math.isfinite(value)]
    if not finite:
        return None
    steps, values = zip(*finite, strict=True)
    return Curve(name, steps, values, sign)


def read_losses(rows: Sequence[Mapping[str, Any]], objective: Monitor) -> tuple[Curve | None, Curve | None]:
    """Return the curves of the training and the validation loss; in place of losses, those of the searched metric.

    The two are never one curve: a metric without a split in its name has no counterpart.
    """
    train, val = read_curve(rows, "train/loss"), read_curve(rows, "val/loss")
    sign = -objective.goal.sign
    if val is None:
        val = read_curve(rows, objective.metric, sign=sign)
        counterpart = _SPLIT.sub("train", objective.metric, count=1)
        if counterpart != objective.metric and (train is None or sign < 0):
            train = read_curve(rows, counterpart, sign=sign) or train
    return train, val


def trend(values: Sequence[float]) -> float:
    """Return the least-squares slope over equally spaced values."""
    middle = (len(values) - 1) / 2
    spread = sum((place - middle) ** 2 for place in range(len(values)))
    return sum((place - middle) * value for place, value in enumerate(values)) / spread if spread else 0.0


def changes(values: Sequence[float]) -> list[float]:
    """Return the differences between neighbours."""
    return [after - before for before, after in pairwise(values)]


def turning(values: Sequence[float]) -> float:
    """Return the fraction of inner points at which the curve turns: 2/3 for noise, 0 for a monotone curve."""
    steps = changes(values)
    turns = sum(before * after < 0 for before, after in pairwise(steps))
    return turns / (len(steps) - 1) if len(steps) > 1 else 0.0


def swing(values: Sequence[float]) -> float:
    """Return the root of the mean square of the changes, their trend taken out."""
    steps = changes(values)
    return statistics.pstdev(steps) if len(steps) > 1 else 0.0
