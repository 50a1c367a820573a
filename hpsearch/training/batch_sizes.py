"""Which batch sizes fit into the memory, and how fast each is: a few steps at 2, 4, 8, ... examples."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from hpsearch.errors import HpsearchError
from hpsearch.seeds import Seeds
from hpsearch.training.devices import (
    available_memory,
    bounded_memory,
    forget_peak,
    is_out_of_memory,
    peak_memory,
    resolve_device,
    wait_for,
)
from hpsearch.training.optimizers import set_rates
from hpsearch.training.random_state import isolated
from hpsearch.training.range_test import fresh
from hpsearch.training.settings import TrainSettings
from hpsearch.training.state import TrainingState
from hpsearch.training.task import Splits, Task

SMALLEST = 2
"""Batch normalisation cannot train on a single example."""
_TIMED, _ENOUGH = 3, 1.0
"""Steps of a size that are timed, unless they take these seconds; the shortest counts, free of other loads."""


@dataclass(frozen=True)
class Fitted:
    """A batch size for which the memory was enough: the seconds of a step, and the bytes in use at most."""

    size: int
    seconds: float
    memory: int | None

    @property
    def examples_per_second(self) -> float:
        """Examples fetched and trained on in a second."""
        return self.size / self.seconds if self.seconds > 0 else float("inf")


@dataclass(frozen=True)
class BatchSizes:
    """The sizes that fitted, smallest first, and the first one that did not; None when all did."""

    fitted: tuple[Fitted, ...]
    too_large: int | None
    examples: int
    """Examples there are to train on."""

    @property
    def largest(self) -> Fitted | None:
        """The largest size that fitted."""
        return self.fitted[-1] if self.fitted else None

    @property
    def fastest(self) -> Fitted | None:
        """The size with the most examples in a second; the smallest of equals."""
        return max(self.fitted, key=lambda each: each.examples_per_second, default=None)


def try_batch_sizes(
    task: Task,
    splits: Splits,
    settings: TrainSettings,
    *,
    seeds: Seeds,
    most: int | None = None,
    tell: Callable[[int, float, int | None], None] = lambda *_: None,
    clock: Callable[[], float] = time.perf_counter,
) -> BatchSizes:
    """Double the batch size until the memory does not suffice, or `most` or the examples there are would be exceeded.

    Each size trains a step to see whether it fits and others for the clock, at the rate 0: the model stays as it was
    built, and is thrown away. On Linux the CPU's memory is bounded to what is free, so that no process is killed. The
    process is afterwards as before.

    Raises:
        HpsearchError: The settings ask for what cannot be had.
    """
    device, examples = resolve_device(settings.device), len(splits["train"])
    bound = examples if most is None else min(most, examples)
    if bound < SMALLEST:
        raise HpsearchError(f"the smallest batch is one of {SMALLEST} examples: {bound} are too few")
    fitted: list[Fitted] = []
    too_large = None
    free = available_memory() if device.type == "cpu" else None
    with isolated(device, deterministic=settings.deterministic), bounded_memory(free):
        training = _built(task, splits, settings, seeds, device)
        task.begin_epoch(training.model, 0, training.order.epochs)
        set_rates(training.optimizer, 0.0)
        order = torch.randperm(examples, generator=torch.Generator().manual_seed(seeds.order)).tolist()
        for size in _doubled(bound):
            found = _tried(training, order[:size], clock)
            if found is None:
                too_large = size
                break
            fitted.append(found)
            tell(found.size, found.examples_per_second, found.memory)
        del training
        forget_peak(device)  # the next trial of this process finds the memory free
    return BatchSizes(tuple(fitted), too_large, examples)


def _built(task: Task, splits: Splits, settings: TrainSettings, seeds: Seeds, device: torch.device) -> TrainingState:
    try:
        return fresh(task, splits, settings, seeds=seeds, device=device)
    except Exception as error:
        if is_out_of_memory(error):
            raise HpsearchError("the memory does not suffice for the model alone") from error
        raise


def _doubled(bound: int) -> Iterator[int]:
    size = SMALLEST
    while size <= bound:
        yield size
        size *= 2


def _tried(training: TrainingState, examples: list[int], clock: Callable[[], float]) -> Fitted | None:
    """Train some steps on these examples; None when that takes more memory than there is."""
    device = training.device
    training.optimizer.zero_grad(set_to_none=True)
    forget_peak(device)
    try:
        _step(training, examples)
        return Fitted(len(examples), _shortest(training, examples, clock), peak_memory(device))
    except Exception as error:
        if is_out_of_memory(error):
            return None
        raise


def _shortest(training: TrainingState, examples: list[int], clock: Callable[[], float]) -> float:
    """Return the seconds of the shortest of some steps."""
    seconds: list[float] = []
    while len(seconds) < _TIMED and sum(seconds) < _ENOUGH:
        start = clock()
        _step(training, examples)
        seconds.append(clock() - start)
    return min(seconds)


def _step(training: TrainingState, examples: list[int]) -> None:
    batch = training.task.augment(training.splits["train"].batch(examples), training.generator)
    training.stepper.backward([batch])
    training.stepper.update(training.stepper.gradient_norm())
    wait_for(training.device)
