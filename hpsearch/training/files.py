"""When a training writes which of its files: seldom, as a file on the disk costs as much as many small steps.

    the end, a pause        the checkpoint, and the weights of the best step if they are not written yet
    an evaluation           the same once `checkpoint_seconds` of training have passed, and where `keep` wants a number
    between evaluations     the same once these seconds have passed since the last one too, for little of the time
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
from hpsearch.experiment.layout import CHECKPOINT, PREVIOUS
from hpsearch.records import Decision
from hpsearch.training.checkpoint import numbered, remove_old, save, save_best
from hpsearch.training.rate_control import write_decisions
from hpsearch.training.state import TrainingState, Unwritten, capture

_SHARE = 0.05
"""The most of the time that goes into checkpoints between two evaluations."""


def note_resumed(training: TrainingState, folder: Path) -> None:
    """Take note that the training is where the folder's checkpoint is."""
    training.unwritten = Unwritten(since=training.stopwatch.seconds)
    _write_decisions(training, folder)


def save_evaluated(training: TrainingState, folder: Path) -> None:
    """Write what is due after an evaluation, before it is reported."""
    progress, keep, unwritten = training.progress, training.settings.keep, training.unwritten
    if training.look is not None:
        write_histograms(folder, training.reported_step, training.look)
    if training.rates.control and len(training.rates.control.decisions) != unwritten.decisions:
        _write_decisions(training, folder)
    unwritten.folder = folder
    if progress.best_step == training.reported_step:
        unwritten.is_best, unwritten.best = True, None
    is_kept = keep is not None and len(progress.evaluations) % keep.every == 0
    waited = training.stopwatch.seconds - unwritten.since
    if progress.finished or is_kept or waited >= training.settings.checkpoint_seconds:
        _save(training, folder, is_kept=is_kept)


def save_answered(training: TrainingState, decision: Decision) -> None:
    """Write what has to be written now that the answer to the evaluation is known."""
    unwritten = training.unwritten
    if unwritten.folder is None:
        return
    if decision is Decision.PAUSE:
        _save(training, unwritten.folder, is_kept=False)
    elif decision is not Decision.CONTINUE:
        _save_best(training, unwritten.folder)
    elif unwritten.is_best:
        unwritten.is_best, unwritten.best = False, copied(training.evaluated_model.state_dict())


def _save(training: TrainingState, folder: Path, *, is_kept: bool) -> None:
    """Write the checkpoint; before it what belongs to it, so that a kill in between loses neither."""
    progress, keep = training.progress, training.settings.keep
    _save_best(training, folder)
    content = capture(training, seconds=progress.evaluations[-1].seconds)
    if is_kept:
        save(folder / numbered(training.reported_step), content)
    if keep:
        remove_old(folder, step=training.reported_step, last=keep.last, best=progress.best_step)
    save(folder / CHECKPOINT, content, former=PREVIOUS)
    training.unwritten.folder, training.unwritten.since = None, training.stopwatch.seconds


def is_due_between(training: TrainingState) -> bool:
    """Check whether a checkpoint is worth its time now: evaluations come too seldom to wait for the next."""
    gap, unwritten, stopwatch = training.settings.checkpoint_seconds, training.unwritten, training.stopwatch
    waited = min(stopwatch.seconds - unwritten.since, stopwatch.lap)
    return gap > 0 and waited >= max(gap, unwritten.cost / _SHARE)


def save_between(training: TrainingState, folder: Path) -> None:
    """Write the checkpoint of a training between two evaluations."""
    begun = training.stopwatch.seconds
    _save_best(training, folder)
    save(folder / CHECKPOINT, capture(training, seconds=begun), former=PREVIOUS)
    training.unwritten.since = training.stopwatch.seconds
    training.unwritten.cost = training.unwritten.since - begun


def _save_best(training: TrainingState, folder: Path) -> None:
    progress, unwritten = training.progress, training.unwritten
    weights = training.evaluated_model.state_dict() if unwritten.is_best else unwritten.best
    if weights is None or progress.best_step is None or progress.best_value is None:
        return
    save_best(
        folder,
        weights,
        step=progress.best_step,
        metric=training.monitor.metric,
        value=progress.best_value,
        seeds=training.identity["seeds"],
    )
    unwritten.is_best, unwritten.best = False, None


def _write_decisions(training: TrainingState, folder: Path) -> None:
    """Let the file of the rate's decisions follow the training, whatever an earlier attempt wrote there."""
    control = training.rates.control
    if control:
        folder.mkdir(parents=True, exist_ok=True)
        write_decisions(folder, control)
        training.unwritten.decisions = len(control.decisions)


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
