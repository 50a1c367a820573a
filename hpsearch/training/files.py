"""When a training writes which of its files: seldom, as a file on the disk costs as much as many small steps.

    the end, a pause        the checkpoint, and the weights of the best step if they are not written yet
    an evaluation           the same once `checkpoint_seconds` of training have passed, and where `keep` wants a number
    pruned, out of time     the weights of the best step: nothing goes on from there

In between the best weights wait in memory. What a crash takes with it is trained again, bit for bit the same on a CPU.
"""

import copy
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hpsearch.experiment.artifacts import write_histograms
from hpsearch.records import Decision
from hpsearch.training.checkpoint import CHECKPOINT, numbered, remove_old, save, save_best
from hpsearch.training.rate_control import write_decisions
from hpsearch.training.state import TrainingState, capture


class TrainingFiles:
    """The files of a training in its folder."""

    def __init__(self, folder: Path, training: TrainingState) -> None:
        self.folder = folder
        self._training = training
        self._saved_at = 0.0
        """Seconds of training when the last checkpoint was taken."""
        self._is_saved = True
        """Whether the checkpoint is that of the last evaluation."""
        self._is_best = False
        """Whether the model has the best weights of all, which are neither written nor copied."""
        self._best: Mapping[str, Any] | None = None
        """A copy of the best weights, which are not written."""
        self._decisions: int | None = None
        """How many decisions on the rate are written."""

    def resumed(self) -> None:
        """Take note that the training is where its checkpoint is."""
        self._saved_at = self._training.stopwatch.seconds
        self._write_decisions()

    def evaluated(self) -> None:
        """Write what is due after an evaluation, before it is reported."""
        training, progress, keep = self._training, self._training.progress, self._training.settings.keep
        if training.look is not None:
            write_histograms(self.folder, training.reported_step, training.look)
        if training.rates.control and len(training.rates.control.decisions) != self._decisions:
            self._write_decisions()
        self._is_saved = False
        if progress.best_step == training.reported_step:
            self._is_best, self._best = True, None
        is_kept = keep is not None and len(progress.evaluations) % keep.every == 0
        waited = training.stopwatch.seconds - self._saved_at
        if progress.finished or is_kept or waited >= training.settings.checkpoint_seconds:
            self._save(is_kept=is_kept)

    def answered(self, decision: Decision) -> None:
        """Write what has to be written now that the answer to the evaluation is known."""
        if self._is_saved:
            return
        if decision is Decision.PAUSE:
            self._save(is_kept=False)
        elif decision is not Decision.CONTINUE:
            self._save_best()
        elif self._is_best:
            self._is_best, self._best = False, copied(self._training.evaluated_model.state_dict())

    def _save(self, *, is_kept: bool) -> None:
        """Write the checkpoint; before it what belongs to it, so that a kill in between loses neither."""
        training, progress, keep = self._training, self._training.progress, self._training.settings.keep
        self._save_best()
        content = capture(training)
        if is_kept:
            save(self.folder / numbered(training.reported_step), content)
        if keep:
            remove_old(self.folder, step=training.reported_step, last=keep.last, best=progress.best_step)
        save(self.folder / CHECKPOINT, content)
        self._is_saved, self._saved_at = True, training.stopwatch.seconds

    def _save_best(self) -> None:
        training, progress = self._training, self._training.progress
        weights = training.evaluated_model.state_dict() if self._is_best else self._best
        if weights is None or progress.best_step is None or progress.best_value is None:
            return
        save_best(
            self.folder, weights, step=progress.best_step, metric=training.monitor.metric, value=progress.best_value
        )
        self._is_best, self._best = False, None

    def _write_decisions(self) -> None:
        """Let the file of the rate's decisions follow the training, whatever an earlier attempt wrote there."""
        control = self._training.rates.control
        if control:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_decisions(self.folder, control)
            self._decisions = len(control.decisions)


def copied(weights: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a copy of a model's `state_dict` on the CPU; tensors that are one (tied weights) stay one."""
    seen: dict[tuple[Any, ...], Tensor] = {}

    def copy_of(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return copy.deepcopy(value)
        place = (value.device, value.data_ptr(), value.dtype, value.shape, value.stride())
        if place not in seen:
            seen[place] = value.detach().to("cpu", copy=True)
        return seen[place]

    with torch.no_grad():
        copies = OrderedDict((name, copy_of(value)) for name, value in weights.items())
    if hasattr(weights, "_metadata"):  # the versions of the modules, by which torch reads old files
        copies._metadata = weights._metadata  # type: ignore[attr-defined]
    return copies
