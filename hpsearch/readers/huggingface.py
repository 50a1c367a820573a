"""Runs of Hugging Face's Trainer: `trainer_state.json`, of the run's folder or of its latest checkpoint."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpsearch.readers import Reading, Wanted
from hpsearch.readers.measurements import Logged
from hpsearch.readers.naming import parse_folder_name
from hpsearch.readers.parameter_files import parse_json
from hpsearch.records import FinishedRun, Outcome

STATE = "trainer_state.json"
_RESULTS = ("train_results.json", "all_results.json")
"""What `Trainer.save_metrics` writes when the training is over."""
_CHECKPOINT = re.compile(r"checkpoint-(\d+)$")
_POSITION = ("step", "epoch")


def recognises(path: Path) -> bool:
    """Say whether a folder is one run of the Trainer."""
    return path.is_dir() and _state_file(path) is not None


def read(path: Path, wanted: Wanted) -> Reading:
    """Return the run; the folder's name tells experiment and seed, as `training_args.bin` is a pickle."""
    state_file = _state_file(path)
    assert state_file is not None, path  # noqa: S101 - recognises() was asked first
    state: dict[str, Any] = parse_json(state_file)
    logged = Logged()
    for row in state.get("log_history", []):
        logged.add_row(int(row.get("step", 0)), {name: value for name, value in row.items() if name not in _POSITION})
    name = parse_folder_name(path.name)
    params: dict[str, Any] = dict(name.params) | dict(state.get("trial_params") or {})
    why = None if any((path / file).is_file() for file in _RESULTS) else _unfinished(state)
    run = FinishedRun(
        experiment=name.rest or path.parent.name,
        run=path.name,
        outcome=None if why else Outcome.COMPLETE,
        dropped=why,
        params=params,
        metrics=logged.metrics(),
        histories=logged.histories(wanted),
        seed=name.units.get("seed"),
        fold=name.units.get("fold"),
        repeat=name.units.get("repeat"),
        steps=state.get("global_step"),
        source=str(path),
    )
    return Reading((run,))


def _state_file(path: Path) -> Path | None:
    """Return the state of the whole run, else that of the checkpoint with the highest number."""
    if (path / STATE).is_file() and not _CHECKPOINT.search(path.name):
        return path / STATE
    numbered = [(int(match[1]), file) for file in path.glob(f"checkpoint-*/{STATE}") if (match := _number(file))]
    return max(numbered)[1] if numbered else None


def _number(file: Path) -> re.Match[str] | None:
    return _CHECKPOINT.search(file.parent.name)


def _unfinished(state: Mapping[str, Any]) -> str | None:
    """Return why a training counts as not ended, or None if its state shows its end.

    That is its last planned step, the row that `train()` logs at its end (`save_state()` keeps it), or that a callback
    such as early stopping had asked it to stop. A checkpoint is written after the callbacks of its step were asked, so
    that the last one of a training that was stopped early knows it.
    """
    step, planned = state.get("global_step") or 0, state.get("max_steps") or 0
    if step >= planned or _stopped(state.get("stateful_callbacks") or {}):
        return None
    if any("train_runtime" in row for row in state.get("log_history", [])):
        return None
    return (
        f"it has not ended: its last checkpoint is of step {step} of {planned}, and nothing shows that it was stopped "
        "early (`trainer.save_state()` after `train()` notes the end)"
    )


def _stopped(callbacks: Mapping[str, Any]) -> bool:
    """Say whether the training was asked to stop: `TrainerControl`, or early stopping whose patience was over."""
    for name, states in callbacks.items():
        for each in states if isinstance(states, list) else [states]:
            args, attributes = each.get("args", {}), each.get("attributes", {})
            if name == "TrainerControl" and args.get("should_training_stop"):
                return True
            patience = args.get("early_stopping_patience")
            if patience is not None and attributes.get("early_stopping_patience_counter", 0) >= patience:
                return True
    return False
