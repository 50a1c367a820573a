"""Scoring a model on a split, in the loop and afterwards."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import nn

from hpsearch.errors import DataError
from hpsearch.records import metric_numbers
from hpsearch.training.acceleration import Precision, autocast
from hpsearch.training.devices import move
from hpsearch.training.task import Batch, Dataset, Forward, Split, Splits, Task

FoundT = TypeVar("FoundT")


def evaluate_split(
    task: Task,
    splits: Splits,
    split: Split,
    model: nn.Module,
    *,
    batch_size: int,
    device: torch.device,
    precision: Precision = "fp32",
    needed: str = "",
) -> dict[str, float]:
    """Return the task's scores of a model that is on `device`, names without the split.

    What is no number is left out with a warning, see `metric_number`, unless it is the `needed` one.
    The model is in eval mode meanwhile, and each of its parts is afterwards in the mode that it was in before.
    """
    data = splits[split]
    if len(data) == 0:
        raise DataError(f"the split '{split}' has no examples")
    scores = examine_split(task.evaluate, data, model, batch_size=batch_size, device=device, precision=precision)
    return metric_numbers(scores, needed=needed)


def examine_split(
    examine: Callable[[Forward, Iterator[Batch]], FoundT],
    data: Dataset,
    model: nn.Module,
    *,
    batch_size: int,
    device: torch.device,
    precision: Precision = "fp32",
) -> FoundT:
    """Return what a function such as `Task.evaluate` finds of a model that is on `device`, in eval mode."""
    # not inference_mode: a tensor that the model caches meanwhile (rotary angles) could not be trained with afterwards
    with eval_mode(model), torch.no_grad(), autocast(device, precision):
        return examine(model, _batches(data, batch_size, device))


def _batches(data: Dataset, batch_size: int, device: torch.device) -> Iterator[Batch]:
    for start in range(0, len(data), batch_size):
        yield move(data.batch(list(range(start, min(start + batch_size, len(data))))), device)


@contextlib.contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Put a model into eval mode, and each of its parts afterwards into the mode that it was in before."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
