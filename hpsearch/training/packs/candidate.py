"""A training that may become a lane of a pack."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path

import torch

from hpsearch.records import Monitor
from hpsearch.seeds import Seeds
from hpsearch.training.progress import FitResult, Report, Tell
from hpsearch.training.settings import TrainSettings
from hpsearch.training.state import TrainingState, build_training
from hpsearch.training.task import Splits, Task


@dataclass(frozen=True, eq=False)
class Candidate:
    """A training as `fit` would get it. `kind`: equal for tasks that compute one loss, apart from their `scalars`."""

    task: Task
    splits: Splits
    settings: TrainSettings
    seeds: Seeds
    monitor: Monitor
    report: Report
    folder: Path | None = None
    kind: Hashable = ""
    tell: Tell | None = None

    def build(self, device: torch.device, clock: Callable[[], float]) -> TrainingState:
        """Return the training at its start."""
        training = build_training(
            self.task,
            self.splits,
            self.settings,
            seeds=self.seeds,
            monitor=self.monitor,
            device=device,
            clock=clock,
        )
        training.tell = self.tell
        return training


@dataclass(frozen=True)
class Ended:
    """How a training ended: its result, or the exception that ended it. `alone`: why it was not packed."""

    candidate: Candidate
    result: FitResult | BaseException
    alone: str | None = None
