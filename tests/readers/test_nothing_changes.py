"""Reading leaves everything as it was, byte for byte, whatever the folders are called."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from torch.utils.tensorboard import SummaryWriter

from hpsearch.experiment.addresses import sqlite_url
from hpsearch.readers.shelf import read_sources
from hpsearch.readers.sqlite_file import has_tables, opened

ODD = "50% of a?b#c d & é"
"""A folder's name with what URLs take for something else."""


def listing(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return every file and folder with its time of change and its bytes."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in (folder, *folder.rglob("*"))
    }


def optuna_store(folder: Path, *, wal: bool = False) -> Path:
    store = folder / "study?x=1#100%.db"
    storage = optuna.storages.RDBStorage(sqlite_url(store))
    study = optuna.create_study(storage=storage, study_name="mine")
    study.add_trial(optuna.trial.create_trial(value=1.0))
    storage.engine.dispose()
    if wal:
        with closing(sqlite3.connect(store)) as database:
            database.execute("PRAGMA journal_mode=WAL")
    return store


def optuna_journal(folder: Path) -> Path:
    journal = folder / "study?x=1#100%.log"
    study = optuna.create_study(storage=JournalStorage(JournalFileBackend(str(journal))), study_name="mine")
    study.add_trial(optuna.trial.create_trial(value=1.0))
    return journal


def mlflow_files(folder: Path) -> Path:
    run = folder / "mlruns" / "1" / "abc"
    for part in ("params", "metrics", "tags"):
        (run / part).mkdir(parents=True)
    (run.parent / "meta.yaml").write_text("experiment_id: '1'\nlifecycle_stage: active\nname: mine\n")
    (run / "meta.yaml").write_text("experiment_id: '1'\nlifecycle_stage: active\nrun_id: abc\nstatus: 3\n")
    (run / "metrics" / "acc").write_text("1 0.5 0\n")
    return folder / "mlruns"


def events(folder: Path) -> Path:
    with SummaryWriter(str(folder / "mine_seed_1")) as writer:
        writer.add_scalar("acc", 0.5, 1)
    return folder


def metric_files(folder: Path) -> Path:
    (folder / "mine_seed_1").mkdir()
    (folder / "mine_seed_1" / "metrics.csv").write_text("step,acc\n1,0.5\n")
    return folder


def ray_folder(folder: Path) -> Path:
    trial = folder / "mine" / "train_1"
    trial.mkdir(parents=True)
    (trial / "params.json").write_text("{}")
    (trial / "result.json").write_text('{"training_iteration": 1, "acc": 0.5}\n')
    return folder


def trainer_folder(folder: Path) -> Path:
    (folder / "mine_seed_1").mkdir()
    state = {"log_history": [{"step": 1, "eval_acc": 0.5}], "global_step": 1, "max_steps": 1}
    (folder / "mine_seed_1" / "trainer_state.json").write_text(json.dumps(state))
    return folder


WRITERS = [optuna_store, optuna_journal, mlflow_files, events, metric_files, ray_folder, trainer_folder]


@pytest.mark.parametrize("write", WRITERS)
def test_reading_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], Path]
) -> None:
    home, folder = tmp_path / "home", tmp_path / ODD
    home.mkdir()
    folder.mkdir()
    source = write(folder)
    before = listing(tmp_path)
    monkeypatch.chdir(home)
    runs = read_sources([str(source)]).runs
    assert [run.experiment for run in runs] == ["mine"]
    if source.is_file():
        assert len(read_sources([f"sqlite:///{source}"]).runs) == 1
        assert len(read_sources([sqlite_url(source)]).runs) == 1
    assert listing(tmp_path) == before


def grown(store: Path) -> sqlite3.Connection:
    """Return an open connection that has added a trial, which stands in the write-ahead log alone."""
    connection = sqlite3.connect(store)
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("INSERT INTO trials (number, study_id, state) VALUES (1, 1, 'FAIL')")
    connection.commit()
    return connection


def test_a_database_with_a_write_ahead_log(tmp_path: Path) -> None:
    store = optuna_store(tmp_path, wal=True)
    before = listing(tmp_path)
    assert len(before) == 2, "the log has been taken up by the database"
    assert len(read_sources([str(store)]).runs) == 1
    assert listing(tmp_path) == before


@pytest.mark.parametrize("shared", [True, False])
def test_what_stands_in_the_write_ahead_log_alone_is_read(tmp_path: Path, *, shared: bool) -> None:
    """Beside a program that writes, and in a copy of its folder as a killed one leaves it."""
    store = optuna_store(tmp_path, wal=True)
    with closing(grown(store)):
        copy = tmp_path / "copy"
        copy.mkdir()
        for ending in ("", "-wal", "-shm") if shared else ("", "-wal"):
            shutil.copy(f"{store}{ending}", copy)
        before = listing(tmp_path)
        for path in (store, copy / store.name):
            assert len(read_sources([str(path)]).runs) == 2
        assert listing(tmp_path) == before


INTERRUPTED = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("PRAGMA cache_size=1")  # so that changed pages go to the file before the commit
database.execute("BEGIN")
database.execute("UPDATE studies SET study_name = 'half'")
database.execute("CREATE TABLE much (x)")
database.executemany("INSERT INTO much VALUES (?)", (("x" * 4000,) for _ in range(200)))
os._exit(0)
"""


def test_an_interrupted_change_is_not_seen(tmp_path: Path) -> None:
    """The journal of the change is hot: SQLite would roll it back in the file itself."""
    store = optuna_store(tmp_path)
    subprocess.run([sys.executable, "-c", INTERRUPTED, str(store)], check=True)
    before = listing(tmp_path)
    assert f"{store.name}-journal" in before, "the case tests nothing"
    assert [run.experiment for run in read_sources([str(store)]).runs] == ["mine"]
    assert listing(tmp_path) == before


def test_a_change_that_goes_on_does_not_matter(tmp_path: Path) -> None:
    store = optuna_store(tmp_path)
    with closing(sqlite3.connect(store)) as database:
        database.execute("BEGIN IMMEDIATE")
        database.execute("UPDATE studies SET study_name = 'half'")
        assert [run.experiment for run in read_sources([str(store)]).runs] == ["mine"]


def test_a_copy_that_may_only_be_read(tmp_path: Path) -> None:
    store = optuna_store(tmp_path, wal=True)
    folder = store.parent
    for path in (store, folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert has_tables(store, "studies")
        with opened(store) as database:
            assert database.execute("SELECT count(*) FROM trials").fetchone() == (1,)
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                database.execute("DELETE FROM trials")
        assert list(folder.iterdir()) == [store]
    finally:
        folder.chmod(0o755)
