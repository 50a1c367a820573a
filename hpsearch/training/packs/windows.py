"""The batches of a step for all lanes: those that each training alone would fetch and augment, laid on one another."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hpsearch.training.devices import move
from hpsearch.training.loop import next_window
from hpsearch.training.state import TrainingState
from hpsearch.training.task import Batch, Task, TensorData


class NotPackedError(Exception):
    """A step cannot be taken by all lanes together; the reason is a sentence."""


@dataclass(frozen=True)
class Window:
    """The batches of a step on the device, each (lanes, examples, ...), and over how many items each loss is a mean."""

    batches: Sequence[Batch]
    counts: Sequence[Tensor]
    """For each batch (lanes,) doubles on the CPU."""
    totals: Tensor


def next_windows(trainings: Sequence[TrainingState]) -> Window:
    """Return the next step's batches; what is random about them is drawn as each training alone draws it.

    Raises:
        NotPackedError: They differ in shape.
    """
    device = trainings[0].device
    plain = _plain_data(trainings)
    if plain is not None:
        batches = _gathered(plain, trainings)
        counts = [torch.full((len(trainings),), _length(batch), dtype=torch.float64) for batch in batches]
    else:
        windows = [next_window(training) for training in trainings]
        counts = [
            torch.tensor([each.task.count(own) for each, own in zip(trainings, row, strict=True)], dtype=torch.float64)
            for row in zip(*windows, strict=True)
        ]
        batches = [_stacked(row) for row in zip(*windows, strict=True)]
    return Window([move(batch, device) for batch in batches], counts, torch.stack(counts).sum(dim=0))


def _plain_data(trainings: Sequence[TrainingState]) -> TensorData | None:
    """Return the tensors that all lanes take their batches from, as they are; None if it is not so simple."""
    data, kind = trainings[0].splits["train"], type(trainings[0].task)
    if type(data) is not TensorData or kind.augment is not Task.augment or kind.count is not Task.count:
        return None
    return data if all(training.splits["train"] is data for training in trainings) else None


def _gathered(data: TensorData, trainings: Sequence[TrainingState]) -> list[Batch]:
    """Fetch all lanes' batches at once."""
    chosen = [training.order.window(training.progress.epoch, training.progress.batch) for training in trainings]
    batches: list[Batch] = []
    for row in zip(*chosen, strict=True):
        index = torch.tensor(row)
        batches.append({name: tensor[index] for name, tensor in data.tensors.items()})
    for training, own in zip(trainings, chosen, strict=True):
        training.examples += sum(map(len, own))
    return batches


def _length(batch: Batch) -> int:
    return next(iter(batch.values())).shape[1]


def _stacked(batches: Sequence[Batch]) -> dict[str, Tensor]:
    try:
        return {name: torch.stack([batch[name] for batch in batches]) for name in batches[0]}
    except (KeyError, RuntimeError) as error:
        raise NotPackedError(f"the batches of its lanes differ: {error}") from error
