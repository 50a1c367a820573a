"""The settings of how a training is carried out: they change what it costs and keeps, not what is learnt.

A training may therefore go on from a checkpoint after they have changed. Free of torch, like `settings.py`.
"""

import os
from typing import Literal

from pydantic import Field, field_validator

from hpsearch.settings import Settings


class Keep(Settings):
    """Numbered checkpoints besides the latest and the best: `checkpoint-000012.pt` after the step 12."""

    every: int = Field(default=1, ge=1)
    """Evaluations from one to the next."""
    last: int | None = Field(default=None, ge=1)
    """How many stay, apart from that of the best step; all of them without a number."""


class Histograms(Settings):
    """Norms and histograms of every gradient and weight, in the trial's `histograms.jsonl`; they take their time."""

    every: int = Field(default=1, ge=1)
    """Evaluations from one look to the next."""


class Loading(Settings):
    """Processes that fetch training batches ahead of time; worth it where that takes long, as from image files.

    They hold nothing that a resume needs, and the batches are the same as without them.
    """

    workers: int | Literal["auto"] = 0
    """How many for each training; `auto` is one for each core, at most 4."""
    pin_memory: bool | Literal["auto"] = "auto"
    """Whether batches lie in memory that a GPU copies from quickly; `auto`: when there is a GPU."""
    persistent: bool = True
    """Whether the processes stay from epoch to epoch."""
    prefetch: int = Field(default=2, ge=1)
    """Batches that each process is ahead."""

    @field_validator("workers")
    @classmethod
    def _not_negative(cls, workers: int | str) -> int | str:
        if isinstance(workers, int) and workers < 0:
            raise ValueError("workers cannot be negative")
        return workers

    @property
    def processes(self) -> int:
        """The number of processes on this machine."""
        return min(4, len(os.sched_getaffinity(0))) if self.workers == "auto" else int(self.workers)
