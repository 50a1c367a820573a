"""Several studies in one storage of Optuna's: their directions and their places."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest

from hpsearch.errors import DataError
from hpsearch.readers.shelf import read_sources
from hpsearch.records import Goal


def add_study(path: Path, name: str, direction: str, metric: str | None = None, trials: int = 1) -> None:
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    study = optuna.create_study(storage=storage, study_name=name, direction=direction)
    if metric:
        study.set_metric_names([metric])
    for value in range(trials):
        study.add_trial(optuna.trial.create_trial(value=float(value), user_attrs={"params": 10}))
    storage.engine.dispose()


@pytest.mark.parametrize("metric", [None, "score"])
def test_studies_that_contradict_each_other_are_refused(tmp_path: Path, metric: str | None) -> None:
    store = tmp_path / "store.db"
    add_study(store, "by loss", "minimize", metric)
    add_study(store, "by accuracy", "maximize", metric)
    name = metric or "objective"
    says = rf"store\.db: not all agree on '{name}': 'by loss' minimizes it and 'by accuracy' maximizes it"
    for wanted in (None, name):
        with pytest.raises(DataError, match=says):
            read_sources([str(store)], metric=wanted)
    assert len(read_sources([str(store)], metric="params").runs) == 2  # nothing depends on the direction of another


@pytest.mark.parametrize(("second", "trials"), [("minimize", 1), ("maximize", 0)])
def test_studies_that_agree_and_empty_ones_are_read(tmp_path: Path, second: str, trials: int) -> None:
    store = tmp_path / "store.db"
    add_study(store, "a", "minimize")
    add_study(store, "b", second, trials=trials)
    found = read_sources([str(store)])
    assert found.goals == {"objective": Goal.MINIMIZE}
    assert {run.experiment for run in found.runs} == ({"a", "b"} if trials else {"a"})
    assert {run.place[:2] for run in found.runs} == {("store.db", tmp_path.name)}


def test_metrics_of_different_names_may_have_different_directions(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    add_study(store, "a", "minimize", "loss")
    add_study(store, "b", "maximize", "accuracy")
    assert read_sources([str(store)]).goals == {"loss": Goal.MINIMIZE, "accuracy": Goal.MAXIMIZE}


def test_a_constant_seed_is_no_key_of_trials(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    study = optuna.create_study(storage=f"sqlite:///{store}", study_name="a")

    def objective(trial: Any) -> float:
        return float(trial.suggest_float("lr", 0, 1) + trial.suggest_int("seed", 42, 42))

    study.optimize(objective, 3)
    assert [(run.trial, run.seed) for run in read_sources([str(store)]).runs] == [(0, None), (1, None), (2, None)]


def test_a_storage_of_another_version_is_a_sentence(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    add_study(store, "a", "minimize")
    with closing(sqlite3.connect(store)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'v0.9.0.a'")
    with pytest.raises(DataError, match=r"store\.db cannot be opened as a storage of Optuna: .* storage upgrade"):
        read_sources([str(store)])
