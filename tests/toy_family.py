"""A real family that trains in milliseconds, and can be told to misbehave in every way that counts."""

import os
import signal
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from hpsearch.families import Family, FamilyConfig
from hpsearch.records import Goal
from hpsearch.settings import Settings
from hpsearch.training.settings import TrainSettings
from hpsearch.training.task import Batch, Dataset, Forward, Split, Splits, Task, TensorData

Trouble = Literal[
    "none", "exception", "diverge", "memory", "hang", "kill", "kill_once", "peek", "wait", "stop", "leave"
]


class ToyData(Settings):
    """A noisy line; `seconds` slows every evaluation down.

    `marker` is a file that `kill_once` leaves behind, that `wait` waits for at every evaluation, and that is there once
    a slow one has begun.
    """

    size: int = Field(default=16, ge=1)
    seconds: float = Field(default=0.0, ge=0)
    trouble: Trouble = "none"
    marker: str = ""


class ToyModel(Settings):
    """Scales the slope's start, so that trials differ."""

    start: float = 0.0
    width: int = Field(default=2, ge=1, le=64)


class ToyConfig(FamilyConfig):
    data: ToyData = ToyData()
    model: ToyModel = ToyModel()
    train: TrainSettings = TrainSettings(epochs=3, batch_size=8, learning_rate=0.1)


def _be_stopped_while_importing() -> None:
    """Press Ctrl-C twice, and make an ImportError of it, as some compiled modules do."""
    try:
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        raise ImportError("it could not be imported") from None


class ToyTask(Task):
    def __init__(self, config: ToyConfig) -> None:
        self.config = config

    def build_model(self) -> nn.Module:
        if self.config.data.trouble == "exception":
            raise ValueError(f"no model of width {self.config.model.width}")
        if self.config.data.trouble == "memory":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 80.00 GiB")
        if self.config.data.trouble == "leave":
            raise SystemExit(3)
        if self.config.data.trouble == "stop":
            _be_stopped_while_importing()
        width = self.config.model.width
        model = nn.Sequential(nn.Linear(1, width), nn.Dropout(0.1), nn.Linear(width, 1))
        with torch.no_grad():
            model[0].weight += self.config.model.start
        return model

    def loss(self, forward: Forward, batch: Batch, scalars: Mapping[str, float | Tensor]) -> Mapping[str, Tensor]:
        loss = nn.functional.mse_loss(forward(batch["x"]), batch["y"])
        return {"loss": loss * float("nan") if self.config.data.trouble == "diverge" else loss}

    def evaluate(self, forward: Forward, batches: Iterable[Batch]) -> Mapping[str, float]:
        if self.config.data.seconds and self.config.data.marker:
            Path(self.config.data.marker).touch()
        time.sleep(self.config.data.seconds)
        self._misbehave()
        total, count = 0.0, 0
        for batch in batches:
            total += float(nn.functional.mse_loss(forward(batch["x"]), batch["y"], reduction="sum"))
            count += len(batch["x"])
        return {"loss": total / count}

    def _misbehave(self) -> None:
        trouble = self.config.data.trouble
        if trouble == "hang":
            time.sleep(3600)
        marker = Path(self.config.data.marker)
        while trouble == "wait" and not marker.exists():
            time.sleep(0.01)
        if trouble == "kill" or (trouble == "kill_once" and not marker.exists()):
            if trouble == "kill_once":
                marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)


class Toy(Family[ToyConfig]):
    """Fits a line."""

    Config = ToyConfig
    metrics = {"loss": Goal.MINIMIZE}  # noqa: RUF012 -- as a user would write it
    methods = ("mean",)

    def load(self, data: ToyData, split: Split, seed: int) -> Dataset:
        generator = torch.Generator().manual_seed(seed + {"train": 0, "val": 1, "test": 2}[split])
        x = torch.rand(data.size, 1, generator=generator)
        return TensorData(x=x, y=3 * x + 0.1 * torch.randn(data.size, 1, generator=generator))

    def task(self, config: ToyConfig, splits: Splits) -> Task:
        if config.data.trouble == "peek":
            splits["test"]
        return ToyTask(config)

    def baselines(self, config: ToyConfig, splits: Splits, split: Split) -> Mapping[str, Mapping[str, float]]:
        y = splits[split].batch(range(len(splits[split])))["y"]
        mean = splits["train"].batch(range(len(splits["train"])))["y"].mean()
        return {"mean": {"loss": float(((y - mean) ** 2).mean())}}
