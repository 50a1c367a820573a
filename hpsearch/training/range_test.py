"""The learning rate range test (Smith 2017): a short training whose rate grows from step to step until it diverges."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from hpsearch.errors import HpsearchError
from hpsearch.records import Goal, Monitor
from hpsearch.seeds import Seeds
from hpsearch.training.devices import resolve_device
from hpsearch.training.optimizers import set_rates
from hpsearch.training.random_state import isolated
from hpsearch.training.settings import TrainSettings
from hpsearch.training.state import TrainingState, build_training
from hpsearch.training.task import Batch, Dataset, Splits, Task

SMOOTHING = 0.9
"""Weight of the past in the moving average of the losses, whose beginning is corrected as in Adam."""
DIVERGED = 4.0
"""The test ends when the average rises above this multiple of its best, counted from 0."""
_SETTLED = 5
"""So many steps the average needs before it can end the test."""
_REACH = 3
"""The slope at a rate is that between the points this number of steps before and after it."""


@dataclass(frozen=True)
class RangeTest:
    """Losses by learning rate; both suggestions are None if the losses never fell."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    steepest: float | None
    """The rate between the highest and the lowest loss at which it falls most steeply over the rate's logarithm."""
    tenth: float | None
    """A tenth of the rate at which the loss was lowest."""
    diverged: bool


def range_test(
    task: Task,
    splits: Splits,
    settings: TrainSettings,
    *,
    seeds: Seeds,
    start: float = 1e-7,
    end: float = 1.0,
    steps: int = 100,
) -> RangeTest:
    """Train a fresh model for `steps` steps with a rate that grows exponentially from `start` to `end`.

    The model is thrown away and the process's random state is afterwards as before.

    Raises:
        HpsearchError: The settings ask for what cannot be had, or the test ended too early to tell.
    """
    if not (0 < start < end and steps >= 2):
        raise HpsearchError(f"a range test needs 0 < start < end and 2 steps at least, not {start:g}, {end:g}, {steps}")
    rates = [start * (end / start) ** (step / (steps - 1)) for step in range(steps)]
    device = resolve_device(settings.device)
    with isolated(device, deterministic=settings.deterministic):
        training = fresh(task, splits, settings, seeds=seeds, device=device)
        losses = list(_losses(training, rates, windows(splits["train"], settings, seeds.order)))
    return summarise(rates[: len(losses)], losses, diverged=len(losses) < steps)


def fresh(task: Task, splits: Splits, settings: TrainSettings, *, seeds: Seeds, device: torch.device) -> TrainingState:
    """Return a training at its start, for a trial of a few steps that nobody records."""
    return build_training(
        task,
        splits,
        settings,
        seeds=seeds,
        monitor=Monitor("val/loss", Goal.MINIMIZE),
        device=device,
        clock=lambda: 0.0,
    )


def windows(data: Dataset, settings: TrainSettings, seed: int) -> Iterator[list[Batch]]:
    """Yield windows of `accumulate` batches without end, each pass over the data in a new order."""
    generator = torch.Generator().manual_seed(seed)
    size = min(settings.batch_size, len(data))
    waiting: list[Batch] = []
    while True:
        order: list[int] = torch.randperm(len(data), generator=generator).tolist()
        for first in range(0, len(data) - size + 1, size):
            waiting.append(data.batch(order[first : first + size]))
            if len(waiting) == settings.accumulate:
                yield waiting
                waiting = []


def _losses(training: TrainingState, rates: Sequence[float], data: Iterator[list[Batch]]) -> Iterator[float]:
    """Yield the loss before each step; end where it diverges."""
    average, best = 0.0, math.inf
    training.task.begin_epoch(training.model, 0, training.order.epochs)
    for step, rate in enumerate(rates, start=1):
        window = [training.task.augment(batch, training.generator) for batch in next(data)]
        set_rates(training.optimizer, rate)
        loss = float(training.stepper.backward(window).parts["loss"])
        norm = training.stepper.gradient_norm()
        if not (math.isfinite(loss) and math.isfinite(float(norm))):
            return
        yield loss
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        value = average / (1 - SMOOTHING**step)
        best = min(best, value)
        if step > _SETTLED and value > DIVERGED * abs(best):
            return
        training.stepper.update(norm)


def summarise(rates: Sequence[float], losses: Sequence[float], *, diverged: bool) -> RangeTest:
    """Return the test with its average and suggestions."""
    average, smoothed = 0.0, []
    for step, loss in enumerate(losses, start=1):
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        smoothed.append(average / (1 - SMOOTHING**step))
    places = range(len(smoothed))
    lowest = min(places, key=lambda index: smoothed[index], default=0)
    highest = max(places[: lowest + 1], key=lambda index: smoothed[index], default=0)
    slopes = {
        index: (smoothed[index + _REACH] - smoothed[index - _REACH])
        / math.log(rates[index + _REACH] / rates[index - _REACH])
        for index in places[max(highest, _REACH) : min(lowest, len(smoothed) - _REACH)]
    }
    steepest = rates[min(slopes, key=lambda index: slopes[index])] if slopes else None
    tenth = rates[lowest] / 10 if slopes else None
    return RangeTest(tuple(rates), tuple(losses), tuple(smoothed), steepest, tenth, diverged)
