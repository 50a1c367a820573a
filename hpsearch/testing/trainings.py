"""What tests of trainings share: a report that can kill, and what two equal trainings have in common."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from hpsearch.records import Decision
from hpsearch.training.checkpoint import BEST, CHECKPOINT, load
from hpsearch.training.progress import Evaluation

UNTIMED = ("examples_per_second",)
TIMES = ("seconds", "examples_per_second")


class KilledError(RuntimeError):
    """Raised by a report, as if the process had been killed there."""


class Recorder:
    """A report that keeps what it gets, and answers at some of its calls (counted from 1) otherwise than CONTINUE."""

    def __init__(self, answers: Mapping[int, Decision | Exception] | None = None) -> None:
        self.answers = dict(answers or {})
        self.seen: list[Evaluation] = []

    def __call__(self, evaluation: Evaluation) -> Decision:
        """Keep an evaluation and answer."""
        self.seen.append(evaluation)
        answer = self.answers.get(len(self.seen), Decision.CONTINUE)
        if isinstance(answer, Exception):
            raise answer
        return answer


def numbers(evaluations: Iterable[Evaluation]) -> list[tuple[int, dict[str, Any]]]:
    """Return the part that must repeat bit for bit: everything but the time."""
    return [
        (item.step, {name: value for name, value in item.metrics.items() if name not in UNTIMED})
        for item in evaluations
    ]


def differences(first: Any, second: Any, path: str = "") -> list[str]:
    """Return the places at which two nested structures of plain values and tensors differ."""
    if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
        return [place for key in first for place in differences(first[key], second[key], f"{path}/{key}")]
    if isinstance(first, list | tuple) and isinstance(second, list | tuple) and len(first) == len(second):
        pairs = enumerate(zip(first, second, strict=True))
        return [place for number, (a, b) in pairs for place in differences(a, b, f"{path}/{number}")]
    same = torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second
    return [] if same else [path]


def assert_same_ending(unbroken: Path, resumed: Path) -> None:
    """Hold the checkpoints of two trainings against each other: weights, optimizer, generators, all but times."""
    for name in (CHECKPOINT, BEST):
        places = differences(load(unbroken / name), load(resumed / name))
        assert [place for place in places if not place.endswith(TIMES)] == []
