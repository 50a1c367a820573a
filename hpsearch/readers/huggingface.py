"""Runs of Hugging Face's Trainer: `trainer_state.json`, of the run's folder or of its latest checkpoint."""

import re
from pathlib import Path
from typing import Any

from hpsearch.readers import Reading, Wanted
from hpsearch.readers.measurements import Logged
from hpsearch.readers.naming import parse_folder_name
from hpsearch.readers.parameter_files import parse_json
from hpsearch.records import FinishedRun

STATE = "trainer_state.json"
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
    run = FinishedRun(
        experiment=name.rest or path.parent.name,
        run=path.name,
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
