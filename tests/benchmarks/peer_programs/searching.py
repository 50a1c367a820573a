"""What the programs of the comparison have in common beside the training: their options, and what they leave behind."""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = "results.json"


@dataclass(frozen=True)
class Ended:
    """A trial that has ended: its best value, the epochs that it trained, and the clock of the wall then."""

    value: float
    epochs: int
    ended: float


@dataclass(frozen=True)
class Search:
    """What a program is asked for. All programs of one round have the same."""

    problem: str
    trials: int
    epochs: int
    seed: int
    workers: int
    folder: Path
    fixed: bool
    prune: bool

    @property
    def arguments(self) -> list[str]:
        """The command line that asks for it."""
        numbers = [f"--{name}={getattr(self, name)}" for name in ("trials", "epochs", "seed", "workers", "folder")]
        return [self.problem, *numbers, *(f"--{name}" for name in ("fixed", "prune") if getattr(self, name))]


def asked_for(description: str | None) -> Search:
    """Return what the command line asks for; `folder` is made, and should be empty."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("problem", choices=["digits", "char_lm"])
    parser.add_argument("--trials", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="trainings at a time, each on one thread")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--fixed", action="store_true", help="train the problem's fixed configurations first")
    parser.add_argument("--prune", action="store_true", help="with the pruner that this program is used with")
    search = Search(**vars(parser.parse_args()))
    search.folder.mkdir(parents=True, exist_ok=True)
    return search


def leave(folder: Path, trials: Sequence[Ended]) -> None:
    """Write what came out."""
    (folder / RESULTS).write_text(json.dumps([asdict(trial) for trial in trials]), encoding="utf-8")


def now() -> float:
    """Return the clock of the wall in seconds."""
    return time.time()
