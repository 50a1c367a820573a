"""Optuna's storages: a SQLite file or URL, or a journal file. The trials of each study are those of a search."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpsearch.errors import DataError
from hpsearch.readers import Reading, Wanted
from hpsearch.readers.measurements import Logged, as_number
from hpsearch.readers.sqlite_file import has_tables
from hpsearch.records import FinishedRun, Goal, Measurement, Outcome, SearchOrigin

_OUTCOMES = {"COMPLETE": Outcome.COMPLETE, "PRUNED": Outcome.PRUNED, "FAIL": Outcome.FAILED}
_JOURNAL_FIELDS = {"op_code", "worker_id"}


def recognises(path: Path) -> bool:
    """Say whether a file is a storage of Optuna's: its SQLite tables, or the first line of its journal."""
    return path.is_file() and (has_tables(path, "studies", "trial_values") or _is_journal(path))


def read(path: Path, wanted: Wanted) -> Reading:
    """Return the trials of all studies. Errors: DataError when Optuna cannot open the storage."""
    import optuna
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    try:
        sqlite = has_tables(path, "studies")
        storage = RDBStorage(f"sqlite:///{path.resolve()}") if sqlite else JournalStorage(JournalFileBackend(str(path)))
        studies = [optuna.load_study(study_name=name, storage=storage) for name in optuna.get_all_study_names(storage)]
    except (RuntimeError, ValueError, KeyError) as error:
        raise DataError(f"{path} cannot be opened as a storage of Optuna: {error}") from error
    runs: list[FinishedRun] = []
    goals: dict[str, Goal] = {}
    main = None
    for study in studies:
        names = _metric_names(study)
        main = main or names[0]
        goals |= {name: Goal(way.name.lower()) for name, way in zip(names, study.directions, strict=True)}
        runs += [run for trial in study.get_trials(deepcopy=False) for run in _read_trial(study, trial, names, wanted)]
    return Reading(tuple(runs), goals, main)


def _is_journal(path: Path) -> bool:
    with path.open("rb") as file:
        line = file.readline(100_000)
    try:
        entry = json.loads(line)
    except ValueError:
        return False
    return isinstance(entry, dict) and entry.keys() >= _JOURNAL_FIELDS


def _metric_names(study: Any) -> list[str]:
    if study.metric_names:
        return list(study.metric_names)
    several = len(study.directions) > 1
    return [f"objective_{index}" if several else "objective" for index in range(len(study.directions))]


def _read_trial(study: Any, trial: Any, names: list[str], wanted: Wanted) -> Iterator[FinishedRun]:
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
    yield FinishedRun(
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
