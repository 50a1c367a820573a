"""Trials with made-up curves: what a check must see, and what it must leave alone."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from hpsearch.records import Evidence, Goal, Monitor, Outcome, RunRecord

LOSS = Monitor("val/loss", Goal.MINIMIZE)
CONFIG: Mapping[str, Any] = {
    "data": {"batch_size": 999},
    "model": {"width": 256, "heads": 8, "layers": 4, "dropout": 0.15},
    "augmentation": {"noise_std": 0.01, "max_shift": 5},
    "train": {
        "epochs": 20,
        "batch_size": 16,
        "accumulate": 1,
        "learning_rate": 3e-4,
        "weight_decay": 1e-4,
        "clip_norm": 1.0,
        "warmup": {"steps": 0, "epochs": None, "fraction": None},
        "schedule": {"kind": "constant"},
        "early_stopping": None,
        "precision": "fp32",
        "device": "auto",
    },
}
"""The values of guides.md, 000."""


def decay(count: int, *, start: float = 4.0, end: float = 0.5, rate: float = 0.3) -> list[float]:
    """A healthy curve: from start towards end."""
    return [end + (start - end) * math.exp(-rate * step) for step in range(count)]


def noisy(values: Sequence[float], size: float, seed: int = 0) -> list[float]:
    generator = random.Random(seed)
    return [value + generator.uniform(-size, size) for value in values]


def trial(
    number: int = 0,
    *,
    outcome: Outcome | None = Outcome.COMPLETE,
    reason: str | None = None,
    config: Mapping[str, Any] = CONFIG,
    params: Mapping[str, Any] | None = None,
    unread: tuple[str, ...] = (),
    **curves: Sequence[float],
) -> Evidence:
    """A trial with these curves: `train` and `val` are losses, others are metrics of their own names."""
    names = {name: {"train": "train/loss", "val": "val/loss"}.get(name, name) for name in curves}
    count = max(map(len, curves.values()), default=0)
    rows = tuple(
        {"step": step + 1, "seconds": 1.5 * step + number}
        | {names[name]: values[step] for name, values in curves.items() if step < len(values)}
        for step in range(count)
    )
    record = RunRecord(f"trials/{number:04d}", number, params or {}, seed=number, outcome=outcome, reason=reason)
    return Evidence(record, rows, config, unread)
