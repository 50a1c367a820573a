"""Record the learning curves that pruners.py replays: 400 MLPs on two tasks, 40 epochs, two seeds.

    python -m tests.benchmarks.curves.record tests/benchmarks/curves/recorded.npz

The tasks are scikit-learn's digits and the labels of a random teacher with a tenth of them wrong; `configurations`
draws the settings. Those of one batch size are trained at once, their weights stacked and multiplied by `bmm`; a
smaller width is a mask over the widest. About ten minutes of one core.
"""

import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional

CONFIGURATIONS = 400
EPOCHS = 40
SEEDS = 2
WIDEST = 64
TOGETHER = 50
"""So many lanes at a time, whose weights stay in the cache."""
NAMES = ("learning_rate", "weight_decay", "dropout", "width", "batch", "adam", "cosine")
"""The columns of `params`; the last two are 1 or 0."""


@dataclass(frozen=True)
class Data:
    """Examples and labels to train and to validate on."""

    x: Tensor
    y: Tensor
    x_val: Tensor
    y_val: Tensor


def digits() -> Data:
    """Return scikit-learn's digits: 64 pixels, 10 classes, three quarters of 1,797 to train on."""
    x, y = load_digits(return_X_y=True)
    return _split(torch.tensor(x / 8 - 1, dtype=torch.float32), torch.tensor(y), train=1347)


def teacher() -> Data:
    """Return 32 normal inputs and the 10 classes that a random network gives them, a tenth of them at random."""
    generator = torch.Generator().manual_seed(11)
    x = torch.randn(2500, 32, generator=generator)
    hidden = torch.tanh(x @ torch.randn(32, 24, generator=generator) / 32**0.5 * 2)
    y = (hidden @ torch.randn(24, 10, generator=generator)).argmax(1)
    wrong = torch.rand(len(y), generator=generator) < 0.1
    y = torch.where(wrong, torch.randint(10, y.shape, generator=generator), y)
    return _split(x, y, train=1500)


def _split(x: Tensor, y: Tensor, *, train: int) -> Data:
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(5))
    x, y = x[order], y[order]
    return Data(x[:train], y[:train], x[train:], y[train:])


def configurations(count: int) -> np.ndarray:
    """Draw configurations, one a row, in the columns of `NAMES`."""
    rng = np.random.default_rng(3)
    columns = (
        10 ** rng.uniform(-4, 0, count),
        10 ** rng.uniform(-6, -1, count),
        rng.uniform(0, 0.5, count),
        2 ** rng.integers(3, 7, count),
        rng.choice([32, 128], count),
        rng.integers(0, 2, count),
        rng.integers(0, 2, count),
    )
    return np.stack(columns, axis=1).astype(np.float64)


class Lanes:
    """Networks of two hidden layers, side by side, each with an optimizer of its own settings."""

    def __init__(self, params: np.ndarray, inputs: int, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._lanes = len(params)
        named = {name: torch.tensor(params[:, place], dtype=torch.float32) for place, name in enumerate(NAMES)}
        self._settings = {name: column.reshape(-1, 1, 1) for name, column in named.items()}
        self._mask = (torch.arange(WIDEST) < named["width"][:, None]).float()[:, None, :]
        fan_in = (torch.full_like(named["width"], inputs), named["width"], named["width"])
        shapes = ((inputs, WIDEST), (WIDEST, WIDEST), (WIDEST, 10))
        self.weights = [
            (torch.randn(self._lanes, *shape, generator=self._generator) * (2 / fan[:, None, None]) ** 0.5)
            for shape, fan in zip(shapes, fan_in, strict=True)
        ]
        self.weights += [torch.zeros(self._lanes, 1, shape[1]) for shape in shapes]
        for weight in self.weights:
            weight.requires_grad_()
        self._first = [torch.zeros_like(weight) for weight in self.weights]
        self._second = [torch.zeros_like(weight) for weight in self.weights]
        self._steps = 0

    def _forward(self, x: Tensor, *, train: bool) -> Tensor:
        """Return the logits: lanes x examples x classes."""
        flow = x.expand(self._lanes, *x.shape)
        for layer in range(3):
            flow = torch.baddbmm(self.weights[3 + layer], flow, self.weights[layer])
            if layer < 2:
                flow = functional.relu(flow) * self._mask
                if train:
                    kept = 1 - self._settings["dropout"]
                    flow = flow * (torch.rand(flow.shape, generator=self._generator) < kept) / kept
        return flow

    def _losses(self, x: Tensor, y: Tensor, *, train: bool) -> tuple[Tensor, Tensor]:
        logits = self._forward(x, train=train)
        losses = functional.cross_entropy(logits.transpose(1, 2), y.expand(self._lanes, -1), reduction="none")
        return losses.mean(1), (logits.argmax(2) != y).float().mean(1)

    def step(self, x: Tensor, y: Tensor, progress: float) -> None:
        """Train all lanes on a batch; `progress` from 0 to 1 is where the schedule stands."""
        gradients = torch.autograd.grad(self._losses(x, y, train=True)[0].sum(), self.weights)
        self._steps += 1
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        rate = self._settings["learning_rate"] * torch.where(self._settings["cosine"] > 0, cosine, 1.0)
        adam = self._settings["adam"] > 0
        with torch.no_grad():
            for weight, gradient, first, second in zip(self.weights, gradients, self._first, self._second, strict=True):
                second.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
                first.copy_(torch.where(adam, 0.9 * first + 0.1 * gradient, 0.9 * first + gradient))
                scale = (second / (1 - 0.999**self._steps)).sqrt_().add_(1e-8) * (1 - 0.9**self._steps)
                weight.mul_(1 - rate * self._settings["weight_decay"])
                weight.sub_(rate * torch.where(adam, first / scale, first))

    def validate(self, data: Data) -> tuple[np.ndarray, np.ndarray]:
        """Return the validation loss and error of every lane."""
        with torch.no_grad():
            losses, errors = self._losses(data.x_val, data.y_val, train=False)
        errors = torch.where(losses.isfinite(), errors, torch.nan)
        return losses.numpy(), errors.numpy()


def train(data: Data, params: np.ndarray, *, seed: int, epochs: int) -> tuple[np.ndarray, np.ndarray]:
    """Train configurations of one batch size; return their losses and errors, a row each, a column an epoch."""
    lanes = Lanes(params, data.x.shape[1], seed)
    batch = int(params[0, NAMES.index("batch")])
    curves = []
    for epoch in range(epochs):
        order = torch.randperm(len(data.x), generator=torch.Generator().manual_seed(1000 * seed + epoch))
        batches = order.split(batch)
        for place, rows in enumerate(batches):
            lanes.step(data.x[rows], data.y[rows], (epoch + place / len(batches)) / epochs)
        curves.append(lanes.validate(data))
    losses, errors = (np.stack(each, axis=1) for each in zip(*curves, strict=True))
    return losses, errors


def record(path: Path, *, configurations_of: int = CONFIGURATIONS, epochs: int = EPOCHS) -> None:
    """Write `params` and, for each task, `<task>/loss` and `<task>/error`: seeds x configurations x epochs."""
    torch.set_num_threads(1)
    params = configurations(configurations_of)
    tables: dict[str, np.ndarray] = {"params": params.astype(np.float32)}
    for name, data in (("digits", digits()), ("teacher", teacher())):
        loss = np.full((SEEDS, len(params), epochs), np.nan, dtype=np.float32)
        error = loss.copy()
        for seed in range(SEEDS):
            began = time.process_time()
            for batch in (32, 128):
                rows = np.flatnonzero(params[:, NAMES.index("batch")] == batch)
                for some in np.array_split(rows, math.ceil(len(rows) / TOGETHER)):
                    loss[seed, some], error[seed, some] = train(data, params[some], seed=seed, epochs=epochs)
            sys.stdout.write(f"{name}, seed {seed}: {time.process_time() - began:.0f} s of CPU\n")
            sys.stdout.flush()
        tables |= {f"{name}/loss": loss, f"{name}/error": error}
    np.savez_compressed(path, **tables)


if __name__ == "__main__":
    record(Path(sys.argv[1]))
