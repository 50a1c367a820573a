"""A real family in the small: a line with two parameters, and a network with dropout and batch normalisation."""

import random
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.records import Goal, Monitor
from hpsearch.seeds import Seeds
from hpsearch.testing.families import Recorder, numbers  # noqa: F401 -- for the tests that take them from here
from hpsearch.training.task import Batch, Forward, Split, Splits, Task, TensorData

SEEDS = Seeds.for_trial(0, 0)
MONITOR = Monitor("val/loss", Goal.MINIMIZE)


def draw() -> tuple[float, ...]:
    """Draw from every global generator; the gaussians of python and numpy leave a spare one behind."""
    numpy_draws = (np.random.rand(), np.random.randn())  # noqa: NPY002 - the global generator is what is tested
    return (random.random(), random.gauss(), *numpy_draws, float(torch.rand(())))


class LineTask(Task):
    """y = 2x - 1 with noise, learnt by one weight and one bias."""

    scalars: Mapping[str, float] = {"penalty": 0.01}

    def build_model(self) -> nn.Module:
        return nn.Linear(1, 1)

    def loss(self, forward: Forward, batch: Batch, scalars: Mapping[str, float | Tensor]) -> Mapping[str, Tensor]:
        output = forward(batch["x"])
        error = functional.mse_loss(output, batch["y"])
        size = output.abs().mean()
        return {"loss": error + scalars["penalty"] * size, "error": error, "size": size}

    def evaluate(self, forward: Forward, batches: Iterable[Batch]) -> Mapping[str, float]:
        total, count = 0.0, 0
        for batch in batches:
            total += float(functional.mse_loss(forward(batch["x"]), batch["y"], reduction="sum"))
            count += len(batch["x"])
        return {"loss": total / count}


class NetTask(LineTask):
    """The same line, learnt by a network; `augmented` adds noise to the inputs."""

    def __init__(self, *, augmented: bool = False, dropout: float = 0.2, norm: bool = True) -> None:
        self.augmented = augmented
        self.dropout = dropout
        self.norm = norm

    def build_model(self) -> nn.Module:
        norm = nn.BatchNorm1d(8) if self.norm else nn.Identity()
        return nn.Sequential(nn.Linear(1, 8), norm, nn.ReLU(), nn.Dropout(self.dropout), nn.Linear(8, 1))

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        if not self.augmented:
            return batch
        noise = 0.1 * torch.randn(batch["x"].shape, generator=generator)
        return {**batch, "x": batch["x"] + noise}


def line_splits(examples: int = 22, *, sealed: bool = True) -> Splits:
    """Return train, val and test splits of the line; equal arguments give equal data."""

    def load(split: Split) -> TensorData:
        generator = torch.Generator().manual_seed({"train": 1, "val": 2, "test": 3}[split])
        x = torch.randn(examples if split == "train" else 9, 1, generator=generator)
        return TensorData(x=x, y=2 * x - 1 + 0.1 * torch.randn(x.shape, generator=generator))

    return Splits(load, sealed=sealed)
