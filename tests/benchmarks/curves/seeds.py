"""Trainings of a small network on digits, each configuration on many seeds: the noise that racing seeds is judged by.

    python -m tests.benchmarks.curves.seeds        records seeds.npz again: some minutes on one core

A seed decides initial weights, the order of batches and dropout; the same seed does so for every configuration. All
seeds of a configuration are trained at once, as one batched network, which changes nothing for any of them.
"""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RECORDED = Path(__file__).with_name("seeds.npz")
RATES = (3e-4, 1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2)
WIDTHS = (16, 48, 144)
DROPOUTS = (0.0, 0.25, 0.5)
DECAYS = (0.0, 1e-2, 1e-1)
GRID = (len(RATES), len(WIDTHS), len(DROPOUTS), len(DECAYS))
"""Each range of the problem: the numbers of a configuration are places in these lists."""
SEEDS, EPOCHS, BATCH = 24, 12, 20
EXAMPLES = {"digits, 150 examples": 150, "digits, 900 examples": 900}
METRICS = ("loss", "error")


@dataclass(frozen=True)
class Noisy:
    """Validation metrics of all configurations, for each seed and epoch; shape (configurations, seeds, epochs)."""

    name: str
    curves: NDArray[np.float64]

    def place(self, numbers: tuple[int, ...]) -> int:
        """Return where a configuration stands, by its places in the ranges."""
        return int(np.ravel_multi_index(numbers, GRID))


def recorded() -> list[Noisy]:
    """Return the recorded problems: two sizes of the training set, two metrics."""
    with np.load(RECORDED) as file:
        return [
            Noisy(f"{name}, {metric}", file[f"{name}, {metric}"].astype(np.float64))
            for name, metric in product(EXAMPLES, METRICS)
        ]


def record() -> None:
    """Train everything and write it down."""
    import torch
    from sklearn.datasets import load_digits

    torch.set_num_threads(1)
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    images = torch.tensor(digits.data[order] / 16, dtype=torch.float32)
    labels = torch.tensor(digits.target[order])
    held = images[-600:], labels[-600:]
    found = {}
    for name, size in EXAMPLES.items():
        curves = np.empty((*GRID, SEEDS, EPOCHS, len(METRICS)))
        for where in np.ndindex(*GRID):
            curves[where] = _trained(images[:size], labels[:size], held, where)
        print(name, flush=True)
        flat = curves.reshape(-1, SEEDS, EPOCHS, len(METRICS))
        found |= {f"{name}, {metric}": flat[..., place].astype(np.float16) for place, metric in enumerate(METRICS)}
    np.savez_compressed(RECORDED, **found)  # type: ignore[arg-type]


def _trained(images, labels, held, where):  # type: ignore[no-untyped-def]  # torch is not imported at the top
    """Return the metrics of a configuration, shape (seeds, epochs, metrics)."""
    import torch
    from torch.nn.functional import cross_entropy, relu

    rate, width = RATES[where[0]], WIDTHS[where[1]]
    dropout, decay = DROPOUTS[where[2]], DECAYS[where[3]]
    chances = [torch.Generator().manual_seed(seed) for seed in range(SEEDS)]

    def weights(fan_in: int, fan_out: int):  # type: ignore[no-untyped-def]
        drawn = [torch.randn(fan_in, fan_out, generator=each) * (2 / fan_in) ** 0.5 for each in chances]
        return torch.stack(drawn).requires_grad_()

    first, last = weights(64, width), weights(width, 10)
    biases = [torch.zeros(SEEDS, 1, size, requires_grad=True) for size in (width, 10)]
    optimizer = torch.optim.AdamW([first, last, *biases], lr=rate, weight_decay=decay)
    steps = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps * EPOCHS)
    rows = []
    for _ in range(EPOCHS):
        orders = torch.stack([torch.randperm(len(images), generator=each) for each in chances])
        for step in range(steps):
            chosen = orders[:, step * BATCH : (step + 1) * BATCH]
            hidden = relu(images[chosen] @ first + biases[0])
            if dropout:
                kept = torch.stack([torch.rand(BATCH, width, generator=each) >= dropout for each in chances])
                hidden = hidden * kept / (1 - dropout)
            scores = hidden @ last + biases[1]
            loss = cross_entropy(scores.reshape(-1, 10), labels[chosen].reshape(-1))
            optimizer.zero_grad()
            (loss * SEEDS).backward()  # so that each seed has the gradient of its own mean
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            scores = relu(held[0] @ first + biases[0]) @ last + biases[1]
            losses = [float(cross_entropy(each, held[1])) for each in scores]
            errors = (scores.argmax(2) != held[1]).double().mean(1)
        rows.append(np.stack([np.array(losses), errors.numpy()], axis=1))
    return np.stack(rows, axis=1)


if __name__ == "__main__":
    record()
