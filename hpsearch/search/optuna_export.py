"""An experiment as an Optuna storage, for optuna-dashboard and Optuna's own plots."""

import contextlib
import datetime as dt
import math
import sqlite3
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FixedTrial, FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from hpsearch.errors import HpsearchError
from hpsearch.experiment.addresses import SQLITE, sqlite_path, sqlite_url
from hpsearch.experiment.layout import LOG
from hpsearch.experiment.log import read_state
from hpsearch.experiment.state import RunState
from hpsearch.records import ExperimentRecord, Outcome, RunRecord
from hpsearch.space import Space, suggest, suggested

JOURNAL_SUFFIXES = (".log", ".journal")

_STATES = {
    Outcome.COMPLETE: TrialState.COMPLETE,
    Outcome.PRUNED: TrialState.PRUNED,
    Outcome.STOPPED: TrialState.PRUNED,
    None: TrialState.RUNNING,
}
"""Every other outcome is Optuna's FAIL; a trial without one has been interrupted, or is running."""


def export_optuna(record: ExperimentRecord, space: Space, target: str | Path) -> None:
    """Write the trials into a new Optuna storage: an SQLite file, or a journal file by the ending .log or .journal.

    `target` is a path or an `sqlite:///` URL. The study is named after the experiment. Each trial keeps its params,
    intermediate values and times; `hpsearch:number`, `hpsearch:outcome` and `hpsearch:reason` are its user attributes.
    Optuna has no more states than complete, pruned, fail and running, so diverged, out_of_memory and the like are FAIL.

    Raises:
        HpsearchError: The file exists or cannot be written, or a trial does not fit the space.

    """
    path = _path(target)
    trials = _trials(record, space)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        with _silent_optuna():
            _write(record, trials, partial, journal=path.suffix in JOURNAL_SUFFIXES)
        partial.rename(path)
    except (OSError, sqlite3.Error, SQLAlchemyError) as error:
        raise HpsearchError(f"{path} cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def _silent_optuna() -> Iterator[None]:
    """Keep Optuna's log messages and its warnings about experimental features away for a while."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def _path(target: str | Path) -> Path:
    """Return the file that a path or URL names.

    Raises:
        HpsearchError: It exists, or the target names no file.

    """
    text = str(target)
    if "://" in text and not text.startswith(SQLITE):
        raise HpsearchError(f"'{text}' is not a file; export to a file, and take it to a server with optuna.copy_study")
    path = sqlite_path(text)
    if path.exists():
        raise HpsearchError(f"{path} exists; hpsearch does not write over files")
    if not path.parent.is_dir():
        raise HpsearchError(f"the folder {path.parent} does not exist")
    return path


def _write(record: ExperimentRecord, trials: list[FrozenTrial], path: Path, *, journal: bool) -> None:
    storage: optuna.storages.BaseStorage
    if journal:
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    else:
        storage = optuna.storages.RDBStorage(sqlite_url(path))
    try:
        study = optuna.create_study(storage=storage, study_name=record.name, direction=record.objective.goal.value)
        study.set_metric_names([record.objective.metric])
        study.set_user_attr("hpsearch:family", record.family)
        study.add_trials(trials)
    finally:
        storage.remove_session()
        if isinstance(storage, optuna.storages.RDBStorage):
            storage.engine.dispose()


def _trials(record: ExperimentRecord, space: Space) -> list[FrozenTrial]:
    runs = read_state(Path(record.folder) / LOG).runs
    return [_frozen(trial, space, runs[trial.run]) for trial in record.trials]


def _frozen(trial: RunRecord, space: Space, told: RunState) -> FrozenTrial:
    wrong = space.check_params(trial.params)
    if wrong:
        raise HpsearchError(f"trial {trial.number} does not fit the space: {'; '.join(wrong)}")
    fixed = FixedTrial(suggested(space, trial.params))
    suggest(space, fixed)
    state, value = _state(trial)
    frozen = optuna.trial.create_trial(
        state=state,
        value=value,
        params=fixed.params,
        distributions=fixed.distributions,
        user_attrs=_attributes(trial),
        intermediate_values=dict(trial.history),
    )
    if told.begun_at is not None:
        frozen.datetime_start = dt.datetime.fromtimestamp(told.begun_at)  # noqa: DTZ006 -- Optuna keeps local times
    if told.ended_at is not None and state.is_finished():
        frozen.datetime_complete = dt.datetime.fromtimestamp(told.ended_at)  # noqa: DTZ006 -- Optuna keeps local times
    return frozen


def _state(trial: RunRecord) -> tuple[TrialState, float | None]:
    """Return Optuna's state and value; a pruned trial has its last value, as Optuna's own have."""
    state = _STATES.get(trial.outcome, TrialState.FAIL)
    if state is TrialState.PRUNED:
        last = trial.history[-1][1] if trial.history else None
        return state, None if last is None or math.isnan(last) else last
    if state is not TrialState.COMPLETE:
        return state, None
    if trial.value is None or math.isnan(trial.value):
        return TrialState.FAIL, None
    return state, trial.value


def _attributes(trial: RunRecord) -> dict[str, Any]:
    attributes: dict[str, Any] = {"hpsearch:number": trial.number, "hpsearch:seed": trial.seed}
    if trial.outcome is not None:
        attributes["hpsearch:outcome"] = trial.outcome.value
    if trial.reason:
        attributes["hpsearch:reason"] = trial.reason
    return attributes
