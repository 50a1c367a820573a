"""What the shared loop costs beside a bare one: the ratio of their times on an MLP and on a small GPT, one thread.

Run by `make bench`, or alone with a number of pairs: `python tests/benchmarks/loop_overhead.py 15`. Both sides train
one model on batches of the same number and size, with fused AdamW, and score the validation split after each epoch, in
one process. hpsearch is `fit` with a folder, its reports, seeds and counted reads, as in a worker; the bare loop is
what a careful user writes in plain torch: no report, no file, no seed but one. The sides alternate, so that other work
on the machine meets both; a line is the median of the pairs' ratios with its 95 % interval by order statistics. CPU
time holds where others use the machine, too.
"""

import math
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

from hpsearch.families import FamilyConfig
from hpsearch.families.char_lm.family import FAMILY as CHAR_LM
from hpsearch.reads import counted_reads
from hpsearch.records import Decision, Goal, Monitor
from hpsearch.seeds import Seeds
from hpsearch.settings import Settings
from hpsearch.training.loop import fit
from hpsearch.training.schedule_settings import Cosine
from hpsearch.training.settings import TrainSettings
from hpsearch.training.task import Splits, Task, TensorData

PAIRS = 11


class Widths(Settings):
    """The hidden layers of the MLP."""

    first: int = 32
    second: int = 32


class MLPConfig(FamilyConfig):
    data: Settings = Settings()
    model: Widths = Widths()


class Digits(Task):
    """Handwritten digits of 8 x 8 pixels, by two hidden layers."""

    def __init__(self, config: MLPConfig) -> None:
        self.first, self.second = config.model.first, config.model.second

    def build_model(self) -> nn.Module:
        return nn.Sequential(
            nn.Linear(64, self.first),
            nn.ReLU(),
            nn.Linear(self.first, self.second),
            nn.ReLU(),
            nn.Linear(self.second, 10),
        )

    def loss(self, forward, batch, scalars):
        return {"loss": functional.cross_entropy(forward(batch["x"]), batch["y"])}

    def evaluate(self, forward, batches):
        loss, right, count = 0.0, 0, 0
        for batch in batches:
            output = forward(batch["x"])
            loss += float(functional.cross_entropy(output, batch["y"], reduction="sum"))
            right += int((output.argmax(1) == batch["y"]).sum())
            count += len(batch["y"])
        return {"loss": loss / count, "accuracy": right / count}


def digits() -> Splits:
    """Return 1078 examples for training (34 batches of 32), 359 for validation."""
    x, y = load_digits(return_X_y=True)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    inputs, labels = torch.tensor(x / 16, dtype=torch.float32)[order], torch.tensor(y)[order]
    parts = {"train": slice(0, 1078), "val": slice(1078, 1437), "test": slice(1437, None)}
    return Splits(lambda split: TensorData(x=inputs[parts[split]], y=labels[parts[split]]), sealed=True)


@dataclass(frozen=True)
class Problem:
    """One training, for both sides."""

    name: str
    config: Any
    task: Callable[[], Task]
    splits: Splits
    metric: str


def mlp(epochs: int = 10) -> Problem:
    """The MLP on digits: 34 steps and one evaluation an epoch."""
    config = MLPConfig.model_validate({"train": {"epochs": epochs, "batch_size": 32, "learning_rate": 3e-3}})
    return Problem("MLP on digits", config, lambda: Digits(config), digits(), "val/loss")


def char_lm() -> Problem:
    """One epoch of the quick space of char_lm on a tenth of its text, 91 steps, and one evaluation."""
    config = CHAR_LM.Config.model_validate(
        {
            "data": {"corpus": "pydoc", "context": 64, "val_fraction": 0.02, "test_fraction": 0.88},
            "model": {"layers": 2, "width": 64, "heads": 2, "position": "learned", "dropout": 0.0},
            "train": {"epochs": 1, "batch_size": 8, "learning_rate": 3e-3},
        }
    )
    family = CHAR_LM()
    splits = Splits(lambda split: family.load(config.data, split, 0), sealed=True)
    return Problem("char_lm quick", config, lambda: family.task(config, splits), splits, "val/bits_per_char")


def with_hpsearch(problem: Problem) -> None:
    """Train as a worker does."""
    monitor = Monitor(problem.metric, Goal.MINIMIZE)
    with tempfile.TemporaryDirectory() as folder, counted_reads([problem.config]):
        fit(
            problem.task(),
            problem.splits,
            problem.config.train,
            seeds=Seeds.for_trial(0, 0),
            monitor=monitor,
            report=lambda _: Decision.CONTINUE,
            folder=Path(folder),
            device="cpu",
        )


def bare(problem: Problem) -> None:
    """Train as one writes it down: the same model, batches, optimizer, schedule and scores."""
    torch.manual_seed(0)
    task, settings = problem.task(), problem.config.train
    train, val = problem.splits["train"], problem.splits["val"]
    model = task.build_model()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    generator, step = torch.Generator().manual_seed(0), 0
    batch_size = settings.batch_size
    total = settings.epochs * math.ceil(len(train) / batch_size)
    for _ in range(settings.epochs):
        model.train()
        order, losses = torch.randperm(len(train), generator=generator), torch.zeros(())
        for start in range(0, len(train), batch_size):
            if isinstance(settings.schedule, Cosine):
                optimizer.param_groups[0]["lr"] = rate_at(settings, step, total)
            batch = task.augment(train.batch(order[start : start + batch_size]), generator)
            loss = task.loss(model, batch, task.scalars)["loss"]
            loss.backward()
            if settings.clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
            optimizer.step()
            optimizer.zero_grad()
            losses += loss.detach()
            step += 1
        model.eval()
        with torch.no_grad():
            chunks = torch.arange(len(val)).split(batch_size)
            assert math.isfinite(task.evaluate(model, map(val.batch, chunks))["loss"])
        assert math.isfinite(float(losses))


def rate_at(settings: TrainSettings, step: int, total: int) -> float:
    """Return the rate of a warm-up by a fraction of the steps, and half a cosine."""
    warmup = round((settings.warmup.fraction or 0.0) * total)
    if step < warmup:
        return settings.learning_rate * (step + 1) / (warmup + 1)
    return settings.learning_rate * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup))) / 2


def seconds(side: Callable[[Problem], None], problem: Problem, *, times: int) -> tuple[float, float]:
    """Return the wall and the CPU time of one training, the mean of several in a row."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        side(problem)
    return (time.perf_counter() - wall) / times, (time.process_time() - cpu) / times


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the order statistics that hold the median in 95 of 100 cases; the extremes of fewer than 6 values."""
    ordered, n = sorted(values), len(values)
    below = 0
    while 2 * sum(math.comb(n, k) for k in range(below + 1)) / 2**n <= 0.05:
        below += 1
    low = max(0, below - 1)
    return ordered[low], ordered[n - 1 - low]


def measure(problem: Problem, *, pairs: int, times: int = 1) -> Mapping[str, list[float]]:
    """Return the ratios hpsearch / bare of each pair, by wall and by CPU time; print the line as well."""
    for side in (with_hpsearch, bare):
        seconds(side, problem, times=1)  # torch imports what it needs at the first optimizer
    ratios: dict[str, list[float]] = {"wall": [], "cpu": []}
    own: list[float] = []
    for number in range(pairs):
        order = (with_hpsearch, bare) if number % 2 else (bare, with_hpsearch)
        spent = {side: seconds(side, problem, times=times) for side in order}
        for place, name in enumerate(ratios):
            ratios[name].append(spent[with_hpsearch][place] / spent[bare][place])
        own.append(spent[with_hpsearch][1])
    for name, values in ratios.items():
        low, high = interval(values)
        print(
            f"{problem.name:14} {name:4} {median(values):6.3f} times the bare loop, 95 % {low:.3f} to {high:.3f} "
            f"({pairs} pairs; hpsearch {1000 * median(own):.0f} ms of CPU)"
        )
    return ratios


def main(pairs: int = PAIRS) -> None:
    """Print both problems."""
    torch.set_num_threads(1)
    print(
        f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, torch {torch.__version__}"
    )
    measure(mlp(), pairs=pairs, times=3)
    measure(char_lm(), pairs=pairs)


if __name__ == "__main__":
    main(*(int(each) for each in sys.argv[1:]))
