"""What a training tells while it runs and when it returns. Free of torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hpsearch.records import Decision

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Evaluation:
    """One look at a training.

    `step` counts epochs, or optimizer steps when `settings.evaluate` is in steps. `metrics` is flat: `train/loss` and
    the other `train/<part>` (means over all items since the evaluation before), `val/<name>`, `learning_rate`,
    `gradient_norm` and `gradient_norm_max` (before clipping), `examples_per_second` and `epoch`. `seconds` is training
    time so far over all attempts; time that a crash threw away, and time spent in the report, does not count. `final`
    says that none follows.
    """

    step: int
    metrics: Mapping[str, float]
    seconds: float
    final: bool = False


@dataclass(frozen=True)
class FitResult:
    """How a training ended: CONTINUE when it ran to its end, else the decision that stopped it.

    `step` and `best_step` count as in Evaluation; `epochs` may be a fraction. `best_value` is the monitored metric at
    `best_step`, whose weights are in `best.pt`. `model` has the last weights, averaged ones where `ema` is set.
    """

    decision: Decision
    step: int
    epochs: float
    stopped_early: bool
    best_step: int | None
    best_value: float | None
    evaluations: tuple[Evaluation, ...]
    seconds: float
    model: "nn.Module" = field(repr=False)


Report = Callable[[Evaluation], Decision]
"""Receives each evaluation, after a resume one that it may have seen already, and decides how the training goes on."""
