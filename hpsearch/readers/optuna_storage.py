"""Optuna's storages: a SQLite file or URL, or a journal file. The trials of each study are those of a search."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from hpsearch.errors import DataError
from hpsearch.plain_files import open_plain
from hpsearch.readers import Reading, Wanted
from hpsearch.readers.identity import agreed
from hpsearch.readers.measurements import Logged, as_number
from hpsearch.readers.naming import place_of
from hpsearch.readers.sqlite_file import has_tables, readable
from hpsearch.records import FinishedRun, Goal, Measurement, Outcome, SearchOrigin

_OUTCOMES = {"COMPLETE": Outcome.COMPLETE, "PRUNED": Outcome.PRUNED, "FAIL": Outcome.FAILED}
_ADVICE = (
    "Give each study's objective its own name with study.set_metric_names([...]), or copy a study into its own storage "
    "with optuna.copy_study()"
)
_JOURNAL_FIELDS = {"op_code", "worker_id"}


def recognises(path: Path) -> bool:
    """Check whether a file is a storage of Optuna's: its SQLite tables, or the first line of its journal."""
    return path.is_file() and (has_tables(path, "studies", "trial_values") or _is_journal(path))


def read(path: Path, wanted: Wanted) -> Reading:
    """Return the trials of all studies.

    Raises:
        DataError: Optuna cannot open the storage.
    """
    with _opened(path) as storage:
        return _read(path, storage, wanted)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a storage for reading only."""
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend
    from sqlalchemy.exc import SQLAlchemyError

    try:
        if not has_tables(path, "studies"):
            yield JournalStorage(JournalFileBackend(str(path)))
            return
        with readable(path) as uri:
            # a connection of our own: a path in SQLAlchemy's URL would end at a question mark
            connect = partial(sqlite3.connect, uri, uri=True, check_same_thread=False)
            storage = RDBStorage("sqlite://", {"creator": connect}, skip_table_creation=True)
            try:
                yield storage
            finally:
                storage.remove_session()
                storage.engine.dispose()
    except (RuntimeError, ValueError, KeyError, SQLAlchemyError) as error:
        raise DataError(f"{path} cannot be opened as a storage of Optuna: {error}") from error


def _read(path: Path, storage: Any, wanted: Wanted) -> Reading:
    import optuna

    runs: list[FinishedRun] = []
    goals: dict[str, dict[Goal, str]] = {}
    main = None
    for summary in optuna.get_all_study_summaries(storage, include_best_trial=False):
        study = optuna.load_study(study_name=summary.study_name, storage=storage)
        trials, names = study.get_trials(deepcopy=False), _metric_names(study)
        if not trials:
            continue
        main = main or names[0]
        for name, way in zip(names, study.directions, strict=True):
            if way.name.lower() in set(Goal):
                goals.setdefault(name, {}).setdefault(Goal(way.name.lower()), study.study_name)
        place = place_of(path)
        runs += [replace(_read_trial(study, trial, names, wanted), place=place) for trial in trials]
    return Reading(tuple(runs), agreed(str(path), goals, wanted, advice=_ADVICE), main)


def _is_journal(path: Path) -> bool:
    with open_plain(path) as file:
        line = file.readline(100_000)
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(entry, dict) and entry.keys() >= _JOURNAL_FIELDS


def _metric_names(study: Any) -> list[str]:
    if study.metric_names:
        return list(study.metric_names)
    several = len(study.directions) > 1
    return [f"objective_{index}" if several else "objective" for index in range(len(study.directions))]


def _read_trial(study: Any, trial: Any, names: list[str], wanted: Wanted) -> FinishedRun:
    logged = Logged()
    for step, value in sorted(trial.intermediate_values.items()):
        logged.add(names[0], step, value)
    noted = {name: as_number(value) for name, value in trial.user_attrs.items()}
    metrics = {name: Measurement(value) for name, value in noted.items() if value is not None}
    metrics |= logged.metrics()
    if trial.values is not None:
        last = logged.steps
        metrics |= {name: Measurement(value, last) for name, value in zip(names, trial.values, strict=True)}
    outcome = _OUTCOMES.get(trial.state.name)
    return FinishedRun(
        experiment=study.study_name,
        run=f"{study.study_name}/{trial.number}",
        outcome=outcome,
        params=trial.params,
        metrics=metrics,
        histories=logged.histories(wanted),
        trial=trial.number,
        search=SearchOrigin(names[0]),
        steps=logged.steps,
        seconds=trial.duration.total_seconds() if trial.duration else None,
        dropped="it has not ended" if outcome is None else None,
        source=study.study_name,
    )
