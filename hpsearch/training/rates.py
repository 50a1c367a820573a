"""The learning rate of each step, as a fraction of the settings' learning rate.

Most schedules are pure functions of the step: nothing to save, nothing to step, nothing that drifts on resume. Those
that look at the training, plateau and adaptive, have their own factor in `rate_control.py`.
"""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from hpsearch.records import Goal, Monitor
from hpsearch.training.batches import Order
from hpsearch.training.freezing import rate_factor
from hpsearch.training.rate_control import rate_control
from hpsearch.training.schedule_settings import (
    Adaptive,
    Constant,
    Cosine,
    Cyclical,
    Exponential,
    Linear,
    OneCycle,
    Plateau,
    Schedule,
    Step,
    WarmRestarts,
    Warmup,
)
from hpsearch.training.settings import NoFreeze, TrainSettings

_ROUNDING = 1e-9
"""Far less than a step in epochs: the step that begins an epoch belongs to it whatever the division gave."""


class Rates:
    """The base rate of every step of a training."""

    def __init__(self, settings: TrainSettings, order: Order) -> None:
        self._settings = settings
        self._order = order
        self._rate = settings.learning_rate
        self._freeze = settings.freeze
        self._warmup_steps = (
            0 if isinstance(settings.schedule, OneCycle) else count_warmup_steps(settings.warmup, order)
        )
        self.control = rate_control(settings.schedule)
        self._freezes = not isinstance(self._freeze, NoFreeze)
        self._is_constant = self._warmup_steps == 0 and isinstance(settings.schedule, Constant) and not self._freezes
        self._by_epoch = not self._is_constant and settings.rate_per == "epoch"

    def at(self, step: int) -> float:
        """Return the base rate of an optimizer step, counted from 0."""
        rate, settings, warmup_steps = self._rate, self._settings, self._warmup_steps
        if self._is_constant:
            return rate
        if self._by_epoch or self._freezes:
            epoch = math.floor(self._order.epoch_at(step) + _ROUNDING)
            step = self._order.step_at(epoch) if self._by_epoch else step
            rate *= rate_factor(self._freeze, epoch)
        if step < warmup_steps:
            return rate * warmup_factor(settings.warmup, step, warmup_steps=warmup_steps, rate=rate)
        if self.control:
            return rate * self.control.factor
        return rate * schedule_factor(settings.schedule, step, order=self._order, warmup_steps=warmup_steps, rate=rate)

    def watch(self, metrics: Mapping[str, float], monitor: Monitor, *, step: int, epoch: float) -> None:
        """Let a schedule with a memory see an evaluation after `step` steps; those within the warm-up do not count."""
        schedule = self._settings.schedule
        if self.control is None or not isinstance(schedule, Plateau | Adaptive) or step <= self._warmup_steps:
            return
        value = metrics[monitor.metric if schedule.watch == "monitor" else schedule.watch]
        if schedule.watch == "monitor" and monitor.goal is Goal.MAXIMIZE:
            value = -value
        floor = floor_factor(schedule, self._settings.learning_rate)
        self.control.take(value, step=step, epoch=epoch, floor=floor)


def schedule_factor(schedule: Schedule, step: int, *, order: Order, warmup_steps: int, rate: float) -> float:
    """Return the fraction of the base rate `rate` for optimizer step `step` (from 0), which is past the warm-up.

    A schedule over the whole training is at its floor where the training ends, at step `order.total_steps`, so that no
    step is wasted on a rate of 0, and stays there; one-cycle, as torch's, in the last step.
    """
    if isinstance(schedule, OneCycle):
        return _one_cycle(schedule, step, order.total_steps)
    kind = type(schedule)
    if kind in _FALLS:
        progress = min(1.0, (step - warmup_steps) / max(1, order.total_steps - warmup_steps))
        height = _FALLS[kind](progress)
    elif kind in _TURNS:
        height = _TURNS[kind](schedule, order.epoch_at(step) - order.epoch_at(warmup_steps))
    else:
        return 1.0
    floor = floor_factor(schedule, rate)
    return max(floor, height) if isinstance(schedule, Exponential | Step) else floor + (1.0 - floor) * height


def warmup_factor(warmup: Warmup, step: int, *, warmup_steps: int, rate: float) -> float:
    """Return the fraction of the base rate `rate` for a step of the warm-up, which ends before step `warmup_steps`.

    Without a start it is (step + 1) / (warmup_steps + 1): above 0 at the first step, full at step `warmup_steps`.
    """
    if warmup.start is None and warmup.start_factor is None:
        return (step + 1) / (warmup_steps + 1)
    start = warmup.start_factor if warmup.start is None else min(1.0, warmup.start / rate)
    return (start or 0.0) + (1.0 - (start or 0.0)) * step / warmup_steps


def floor_factor(schedule: Any, rate: float) -> float:
    """Return a schedule's floor as a fraction of the base rate."""
    floor: float = schedule.floor
    return floor if schedule.floor_rate is None else min(1.0, schedule.floor_rate / rate)


def count_warmup_steps(warmup: Warmup, order: Order) -> int:
    """Return the warm-up in optimizer steps; one that is longer than the training is cut to it, with a warning."""
    if warmup.steps is not None:
        steps = warmup.steps
    elif warmup.epochs is not None:
        steps = order.step_at(warmup.epochs)
    else:
        steps = round((warmup.fraction or 0.0) * order.total_steps)
    if steps > order.total_steps:
        warnings.warn(
            f"the warm-up of {steps} steps is longer than the training of {order.total_steps}: "
            "the full learning rate is never reached",
            stacklevel=2,
        )
    return min(steps, order.total_steps)


def _cosine(progress: float) -> float:
    """Fall from 1 to 0 as half a cosine while `progress` goes from 0 to 1."""
    return (1.0 + math.cos(math.pi * progress)) / 2.0


def _one_cycle(schedule: OneCycle, step: int, total_steps: int) -> float:
    """Peak in step `rise * total_steps - 1` and end in step `total_steps - 1`, as torch's."""
    start = 1.0 / schedule.start_divisor
    end = start / schedule.end_divisor
    peak, last = schedule.rise * total_steps - 1.0, total_steps - 1.0
    if step <= peak:
        return 1.0 + (start - 1.0) * _cosine(step / peak if peak else 1.0)
    return end + (1.0 - end) * _cosine(min(1.0, (step - peak) / (last - peak)))


def _restarts(schedule: WarmRestarts, epochs: float) -> float:
    length = schedule.period
    while epochs >= length - _ROUNDING:
        epochs -= length
        length *= schedule.multiplier
    return _cosine(max(0.0, epochs) / length)


def _triangle(schedule: Cyclical, epochs: float) -> float:
    cycle, part = divmod(epochs / schedule.period, 1.0)
    height: float = (1.0 - abs(2.0 * part - 1.0)) * schedule.decay**cycle
    return height


_FALLS: dict[type, Callable[[float], float]] = {Linear: lambda progress: 1.0 - progress, Cosine: _cosine}
"""What those over the whole training make of the progress from 0 to 1: 1 at the top, 0 at the floor."""
_TURNS: dict[type, Callable[[Any, float], float]] = {
    Exponential: lambda schedule, epochs: schedule.factor**epochs,
    Step: lambda schedule, epochs: schedule.factor ** math.floor(epochs / schedule.every + _ROUNDING),
    WarmRestarts: _restarts,
    Cyclical: _triangle,
}
"""What the others make of (settings, epochs since the warm-up)."""
