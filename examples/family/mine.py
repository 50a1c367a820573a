"""A family of one's own: a network predicts the next value of a noisy oscillation. hpsearch's loop trains it."""

from itertools import pairwise

import torch
from torch import nn

from hpsearch import Family, FamilyConfig, Goal, Settings, Task, TensorData

SEEDS = {"train": 1, "val": 2, "test": 3}


class Data(Settings):
    """What the series are like."""

    examples: int = 500
    window: int = 16
    """Values that are seen."""
    noise: float = 0.1
    """Standard deviation; the oscillation goes from -1 to 1."""


class Model(Settings):
    """The network."""

    width: int = 32
    """Hidden units."""
    layers: int = 1


class Config(FamilyConfig):
    """All settings; `train` comes with FamilyConfig."""

    data: Data = Data()
    model: Model = Model()


class NextValue(Task):
    """The model of one configuration, its loss and its scores."""

    def __init__(self, config):
        self.config = config

    def build_model(self):
        sizes = [self.config.data.window, *[self.config.model.width] * self.config.model.layers]
        hidden = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.Tanh())]
        return nn.Sequential(*hidden, nn.Linear(sizes[-1], 1))

    def loss(self, forward, batch, scalars):
        return {"loss": nn.functional.mse_loss(forward(batch["seen"]), batch["next"])}

    def evaluate(self, forward, batches):
        errors = torch.cat([forward(batch["seen"]) - batch["next"] for batch in batches])
        return {"rmse": float(errors.square().mean().sqrt())}


class Mine(Family):
    """What hpsearch asks of a family."""

    Config = Config
    metrics = {"rmse": Goal.MINIMIZE}

    def load(self, data, split, seed):
        draw = torch.Generator().manual_seed(1000 * seed + SEEDS[split])
        frequency = 0.2 + 0.6 * torch.rand(data.examples, 1, generator=draw)
        phase = 6.3 * torch.rand(data.examples, 1, generator=draw)
        series = torch.sin(frequency * torch.arange(data.window + 1) + phase)
        series += data.noise * torch.randn(series.shape, generator=draw)
        return TensorData(seen=series[:, :-1], next=series[:, -1:])

    def task(self, config, splits):
        return NextValue(config)
