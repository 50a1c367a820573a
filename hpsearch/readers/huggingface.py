"""Runs of Hugging Face's Trainer: `trainer_state.json`, of the run's folder or of its latest checkpoint.

bert_seed_1/trainer_state.json                          what `trainer.save_state()` writes
bert_seed_1/checkpoint-500/trainer_state.json           what every checkpoint has
bert_seed_1/all_results.json                            what `trainer.save_metrics()` writes: the model that was kept
bert/run-0/checkpoint-500/trainer_state.json            a trial of `trainer.hyperparameter_search()`

`training_args.bin` is a pickle, which is never loaded: only its instructions are read.
"""

import pickletools
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.errors import DataError
from hpsearch.readers import Reading, Wanted
from hpsearch.readers.measurements import Logged, as_number
from hpsearch.readers.naming import as_trial, home_of, planned, unit_keys
from hpsearch.readers.text_files import parse_json
from hpsearch.records import FinishedRun, Measurement, Outcome, SearchOrigin

STATE = "trainer_state.json"
_RESULTS, _ALL_RESULTS = "*_results.json", "all_results.json"
_ENDS = ("train_results.json", _ALL_RESULTS)
"""What `Trainer.save_metrics` writes when the training is over."""
_CHECKPOINT = re.compile(r"checkpoint-(\d+)$")
_TRIAL = re.compile(r"run-(\d+)$")
_POSITION = ("step", "epoch")
_LOGS = {"runs", "logs"}
"""Where the Trainer writes TensorBoard's files, of the same numbers."""

State = Mapping[str, Any]
_ARGUMENTS = "training_args.bin"
_KEEPS_BEST = "load_best_model_at_end"
_LARGEST_PICKLE = 2**20
_MEMOS = {"MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT"}
_TRUTH = {"NEWTRUE": True, "NEWFALSE": False}


def recognises(path: Path) -> bool:
    """Check whether a folder is one run of the Trainer, or holds the trials of one search and nothing else."""
    return path.is_dir() and (_state_file(path) is not None or _is_search(path))


def read(path: Path, wanted: Wanted) -> Reading:
    """Return the run, and the trials of a search below it; folders' names tell experiment and seed."""
    runs = [] if _state_file(path) is None else [_read_run(path, wanted)]
    trials = [_read_run(folder, wanted) for folder in _trials(path)]
    if runs and _trial_params(path):  # a folder of a search, asked for by itself
        runs, trials = [], runs
    home = home_of(path if path not in {Path(run.source) for run in trials} else path.parent)
    origin = SearchOrigin(metric="")
    for index, own in enumerate(planned([run.params for run in trials])):
        run = replace(trials[index], experiment=home.experiment, place=home.place)
        trials[index] = run if own else as_trial(run, origin, _number(run.run))
    return Reading((*runs, *trials))


def _number(name: str) -> int | str:
    match = _TRIAL.match(name)
    return int(match[1]) if match else name


def _is_search(path: Path) -> bool:
    folders = [each for each in _folders(path) if each.name not in _LOGS]
    return bool(folders) and all(map(_trial_params, folders))


def _folders(path: Path) -> list[Path]:
    return [each for each in path.iterdir() if each.is_dir() and not each.is_symlink() and each.name[0] != "."]


def _trials(path: Path) -> list[Path]:
    """Return the folders below a path that are trials of a search, which proposed their parameters."""
    return sorted(filter(_trial_params, _folders(path)), key=lambda each: (len(each.name), each.name))


def _trial_params(path: Path) -> Mapping[str, Any] | None:
    """Return the parameters that a search proposed for a run, or None if there are none to read."""
    file = None if _CHECKPOINT.search(path.name) else _state_file(path)
    try:
        state = parse_json(file) if file else None
    except DataError:
        return None
    return state.get("trial_params") if isinstance(state, dict) else None


def _read_run(path: Path, wanted: Wanted) -> FinishedRun:
    file = _state_file(path)
    assert file is not None, path  # noqa: S101 - recognises() was asked first
    state = parse_json(file)
    if not isinstance(state, dict):
        raise DataError(f"{file} holds no state of the Trainer")
    logged = Logged(in_time=True)
    for row in _rows(state):
        logged.add_row(int(row.get("step", 0)), {name: value for name, value in row.items() if name not in _POSITION})
    home = home_of(path)
    params: dict[str, Any] = dict(state.get("trial_params") or home.params)
    resumed = file.parent != path and (path / STATE).is_file()
    noted = not resumed and any((path / name).is_file() for name in _ENDS)
    why = None if noted else _unfinished(state)
    units = {**unit_keys(params), **home.units}
    return FinishedRun(
        experiment=home.experiment,
        run=path.name,
        outcome=None if why else Outcome.COMPLETE,
        dropped=why,
        params=params,
        metrics={**logged.metrics(), **_of_kept_model(path, file, state)},
        histories=logged.histories(wanted),
        **units,  # type: ignore[arg-type] # its keys are the names of these fields
        steps=state.get("global_step"),
        source=str(path),
        place=home.place,
    )


def _rows(state: State) -> list[Mapping[str, Any]]:
    return [row for row in state.get("log_history") or [] if isinstance(row, dict)]


def _of_kept_model(path: Path, file: Path, state: State) -> dict[str, Measurement]:
    """Return the scores of the model that the training left: of the best one, if that was loaded at the end.

    They are those of the evaluation that found `best_metric`, and whatever was saved afterwards in `all_results.json`.
    A state that has a best metric loaded it, unless the saved arguments say otherwise: the Trainer looks for the best
    model only if it is asked to.
    """
    best = state.get("best_metric") if loads_best_model([file.parent, path]) is not False else None
    step = None if best is None else _best_step(state, best)
    rows = [row for row in _rows(state) if step is not None and row.get("step") == step]
    found = {name: value for row in rows for name, value in row.items() if name.startswith("eval_")}
    saved = [file for file in sorted(path.glob(_RESULTS)) if file.name != _ALL_RESULTS]
    for each in (*saved, path / _ALL_RESULTS):
        content = parse_json(each) if each.is_file() else {}
        found |= {name: value for name, value in content.items() if name not in _POSITION} if content else {}
    at = state.get("global_step") if step is None else step
    numbers = {name: as_number(value) for name, value in found.items()}
    return {name: Measurement(value, at) for name, value in numbers.items() if value is not None}


def _best_step(state: State, best: float) -> int | None:
    """Return the step of the best model: as noted, by its checkpoint's name, or where the log has the value."""
    checkpoint = _CHECKPOINT.search(str(state.get("best_model_checkpoint") or "").rstrip("/\\"))
    step = state.get("best_global_step") or (int(checkpoint[1]) if checkpoint else None)
    having = [row.get("step") for row in _rows(state) if best in (row[name] for name in row if name[:5] == "eval_")]
    return step if step in having or not having else having[0]


def _state_file(path: Path) -> Path | None:
    """Return the state of the whole run, else that of the checkpoint with the highest number.

    A checkpoint goes beyond the state of the run where the training was resumed after that was written.
    """
    own = path / STATE
    numbered = [
        (int(match[1]), file)
        for file in path.glob(f"checkpoint-*/{STATE}")
        if (match := _CHECKPOINT.search(file.parent.name))
    ]
    last = max(numbered)[1] if numbered else None
    if _CHECKPOINT.search(path.name) or not own.is_file():
        return last
    return last if last is not None and _goes_on(parse_json(own), parse_json(last)) else own


def _goes_on(state: Any, later: Any) -> bool:
    """Check whether a state is that of the same training, resumed: it holds the other's log and more steps."""
    steps = [each.get("global_step") or 0 if isinstance(each, dict) else 0 for each in (state, later)]
    if steps[1] <= steps[0]:
        return False
    rows = [row for row in _rows(state) if "train_runtime" not in row]
    return bool(rows) and rows[0] in _rows(later) and rows[-1] in _rows(later)


def _unfinished(state: State) -> str | None:
    """Return the reason why a training counts as unfinished, or None if its state shows its end.

    That is its last planned step, the row that `train()` logs at its end (`save_state()` keeps it), or that a callback
    such as early stopping had asked it to stop. A checkpoint is written after the callbacks of its step were asked, so
    that the last one of a training that was stopped early knows it.
    """
    step, planned = state.get("global_step") or 0, state.get("max_steps") or 0
    if step >= planned or _stopped(state.get("stateful_callbacks") or {}):
        return None
    if any("train_runtime" in row for row in _rows(state)):
        return None
    return (
        f"it has not ended: its last checkpoint is of step {step} of {planned}, and nothing shows that it was stopped "
        "early (`trainer.save_state()` after `train()` notes the end)"
    )


def _stopped(callbacks: Mapping[str, Any]) -> bool:
    """Check whether the training was asked to stop: `TrainerControl`, or early stopping whose patience was over."""
    for name, states in callbacks.items():
        for each in states if isinstance(states, list) else [states]:
            args, attributes = each.get("args", {}), each.get("attributes", {})
            if name == "TrainerControl" and args.get("should_training_stop"):
                return True
            patience = args.get("early_stopping_patience")
            if patience is not None and attributes.get("early_stopping_patience_counter", 0) >= patience:
                return True
    return False


def loads_best_model(folders: Iterable[Path]) -> bool | None:
    """Check whether the Trainer loads the best model at its end, by the arguments in the first folder that has any."""
    for folder in folders:
        if (folder / _ARGUMENTS).is_file():
            return _best_is_loaded(folder / _ARGUMENTS)
    return None


def _best_is_loaded(file: Path) -> bool | None:
    """Return the value behind the setting's name, None for a file that is none of the Trainer's."""
    try:
        with zipfile.ZipFile(file) as archive:
            name = next(name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl")
            with archive.open(name) as content:
                pickle = content.read(_LARGEST_PICKLE)
        found = False
        for code, argument, _ in pickletools.genops(pickle):
            if found and code.name not in _MEMOS:
                return _TRUTH.get(code.name)
            found = found or argument == _KEEPS_BEST
    except (OSError, ValueError, zipfile.BadZipFile, StopIteration):
        return None
    return None
