"""The progress of a training: its position, reports, time and patience. Free of torch."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hpsearch.records import Decision, Goal, Moment
from hpsearch.training.settings import EarlyStopping

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

Tell = Callable[[Moment], Decision]
"""Hears of a training between its evaluations, at most once a second; PAUSE ends it there, with a checkpoint."""


@dataclass
class TrainingProgress:
    """The position of a training, as plain values."""

    step: int = 0
    """Optimizer steps taken."""
    epoch: int = 0
    """Whole epochs done."""
    batch: int = 0
    """Batches done of the epoch after them."""
    finished: bool = False
    stopped_early: bool = False
    best_step: int | None = None
    best_value: float | None = None
    evaluations: list[Evaluation] = field(default_factory=list)


class Stopwatch:
    """A stopwatch that starts when it is made, and pauses while the training waits for others."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._zero = clock()
        self._lap = self._zero

    def set(self, seconds: float) -> None:
        """Go on from a time that earlier attempts took."""
        self._zero = self._clock() - seconds

    @property
    def seconds(self) -> float:
        """The time so far."""
        return self._clock() - self._zero

    @property
    def lap(self) -> float:
        """The time since the last `begin_lap`."""
        return self._clock() - self._lap

    def begin_lap(self) -> None:
        """Begin a new lap now."""
        self._lap = self._clock()

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Leave out the time that the block takes."""
        begin = self._clock()
        try:
            yield
        finally:
            waited = self._clock() - begin
            self._zero += waited
            self._lap += waited


class Patience:
    """Counts the evaluations since the metric last gained more than the minimum."""

    def __init__(self, settings: EarlyStopping, goal: Goal) -> None:
        self.settings = settings
        self.goal = goal
        self.reference: float | None = None
        """The value from which gains are measured: that of the last sufficient gain."""
        self.waited = 0

    def exhausted_by(self, value: float) -> bool:
        """Add the next value of the metric, and say whether patience has run out."""
        if self.reference is None or self._gain(value) > self._needed():
            self.reference, self.waited = value, 0
        else:
            self.waited += 1
        return self.waited >= self.settings.patience

    def _gain(self, value: float) -> float:
        reference = math.nan if self.reference is None else self.reference
        return self.goal.sign * (value - reference)

    def _needed(self) -> float:
        scale = abs(self.reference or 0.0) if self.settings.relative else 1.0
        return self.settings.minimum_gain * scale

    def state_dict(self) -> dict[str, float | int | None]:
        """Return the state for a resume, as plain values."""
        return {"reference": self.reference, "waited": self.waited}

    def load_state_dict(self, state: dict[str, float | int | None]) -> None:
        """Restore what `state_dict` returned."""
        self.reference = state["reference"]
        self.waited = int(state["waited"] or 0)
