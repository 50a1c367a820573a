"""MLflow's tables written without MLflow, held against what MLflow itself writes.

`python -m tests.tracking.mlflow.test_table_store` writes schema.sql after the tables of the installed MLflow.
"""

import math
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from hpsearch.errors import TrackingError
from hpsearch.experiment.layout import trial_run
from hpsearch.records import Outcome
from hpsearch.tracking.entries import Point, Status
from hpsearch.tracking.mlflow.client_store import ClientStore
from hpsearch.tracking.mlflow.sink import mlflow_mirror
from hpsearch.tracking.mlflow.store import default_uri, guarded, open_store
from hpsearch.tracking.mlflow.table_store import REVISION, SCHEMA, TableStore
from hpsearch.tracking.mlflow.writing import Store
from tests.tracking.folders import ExperimentFolder, grow_shortly, sync
from tests.tracking.reading import Reading

COMMENT = "-- The tables of MLflow's SQLite stores, as MLflow makes them; written by tests/tracking/mlflow/{}.py.\n"
FILLED = "INSERT INTO alembic_version VALUES('{}');\nINSERT INTO workspaces VALUES('{}','{}',NULL,NULL,NULL);\n"


def script_of(database: Path) -> str:
    """Return what makes the tables of a store, and fills them as they are before the first experiment."""
    with closing(sqlite3.connect(database)) as connection:
        made = connection.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type = 'table' DESC, type, name"
        ).fetchall()  # MLflow's own order is another one each time
        (revision,) = connection.execute("SELECT * FROM alembic_version").fetchone()
        name, description, *rest = connection.execute("SELECT * FROM workspaces").fetchone()
    assert rest == [None, None, None]
    text = COMMENT.format("test_table_store") + "".join(f"{statement};\n" for (statement,) in made)
    text += FILLED.format(revision, name, description)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def made_by_mlflow(folder: Path) -> str:
    """Return the script of a store that MLflow has just made."""
    SqlAlchemyStore(f"sqlite:///{folder / 'own.db'}", str(folder / "artifacts"))
    return script_of(folder / "own.db")


def lines_of(script: str) -> list[str]:
    """Return the lines of a script in an order of their own: MLflow's order of constraints is another each time."""
    return sorted(line.rstrip(", ") for line in script.splitlines())


def test_the_tables_are_those_of_the_installed_mlflow(tmp_path: Path, empty_database: Path) -> None:
    """Else a first search loads MLflow; run this file as a program and look whether the rows are still the same."""
    script = SCHEMA.read_text(encoding="utf-8")
    assert script == script_of(empty_database)
    assert lines_of(made_by_mlflow(tmp_path)) == lines_of(script)
    assert f"'{REVISION}'" in SCHEMA.read_text(encoding="utf-8")


def left_to_mlflow(database: Path, name: str) -> str:
    """Make an experiment whose artifacts have no file's address, so that MLflow writes it; return the store's URI."""
    uri = f"sqlite:///{database}"
    MlflowClient(uri).create_experiment(name, str(database.parent / "elsewhere"))
    return uri


@contextmanager
def opened(uri: str, folder: Path) -> Iterator[Store]:
    with guarded(uri), closing(open_store(uri, folder)) as store:
        yield store


def contents(database: Path, *tables: str) -> dict[str, list[tuple[object, ...]]]:
    """Return the rows of tables without what is drawn: the runs' ids, of which their places are made."""
    drawn = ("run_uuid", "artifact_uri", "experiment_id")
    with closing(sqlite3.connect(database)) as connection:
        found = {}
        for table in tables:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] not in drawn]
            rows = connection.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()  # noqa: S608 -- ours
            found[table] = sorted(rows, key=repr)
    return found


def test_an_experiment_is_the_same_whoever_writes_it(folder: ExperimentFolder, root: Path, other: Path) -> None:
    grow_shortly(folder)
    sync(folder.path)
    other = other.rename(root.with_name("other.db"))
    theirs = left_to_mlflow(other, "line")
    with opened(theirs, folder.path) as store, opened(default_uri(root), folder.path) as own:
        assert (type(store), type(own)) == (ClientStore, TableStore)
    sync(folder.path, theirs)
    assert Reading(default_uri(root), "line").everything() == Reading(theirs, "line").everything()
    tables = ("runs", "metrics", "latest_metrics", "params")
    assert contents(root / "mlflow.db", *tables) == contents(other, *tables)


POINTS = [
    *(Point("ties", value, 5, 1) for value in (0.1, 0.3, 0.2)),
    *(Point("again", 0.5, 5, 1) for _ in range(2)),
    *(Point("late", value, time, step) for value, time, step in ((1.0, 9, 1), (2.0, 1, 2), (3.0, 0, 2), (0.0, 2, 2))),
    *(Point("odd", value, 1, step) for step, value in enumerate((math.inf, -math.inf, math.nan, math.nan))),
    *(Point("odd", value, 1, 3) for value in (math.nan, 0.0, -1.0)),
    Point("none", math.nan, 1, 1),
]


def test_rows_are_those_of_mlflow_for_any_values(root: Path, other: Path) -> None:
    left_to_mlflow(other, "line")
    for uri in (f"sqlite:///{other}", default_uri(root)):
        with opened(uri, root / "line") as store:
            run = store.create_run("a", start=7, tags={"first": "x" * 6000, "second": "2"})
            store.log(run, rows=[POINTS[:6], POINTS[6:]], params={"p": "1"}, tags={"second": "é", "third": ""})
            store.log(run, rows=[POINTS, [Point("ties", 0.25, 5, 1), Point("late", 4.0, 3, 2)]], params={"q": "[]"})
            store.set_status(run, Status.FAILED, end=9)
            store.set_status(run, Status.RUNNING, end=11)
            store.log(store.create_run("b", start=7, tags={}), rows=[[Point("ties", 0.1, 5, 1)]])
            store.flush()
            found = [store.last_point(run, key) for key in ("late", "again", "no")]
            assert found == [Point("late", 4.0, 3, 2), Point("again", 0.5, 5, 1), None]
            assert store.params(run) == {"p": "1", "q": "[]"}
            assert [found.path for found in store.find_runs("second", "é", path_tag="third")] == [""]
    tables = ("runs", "metrics", "latest_metrics", "params", "tags")
    assert contents(root / "mlflow.db", *tables) == contents(other, *tables)


def test_tables_of_another_revision_are_left_to_mlflow(folder: ExperimentFolder, root: Path) -> None:
    """It says what to do; nothing is written."""
    grow_shortly(folder)
    with closing(sqlite3.connect(root / "mlflow.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0a8213491aaa'")
    with pytest.raises(TrackingError, match=r"out-of-date database schema .* 'mlflow db upgrade"):
        sync(folder.path)
    assert contents(root / "mlflow.db", "runs") == {"runs": []}


def test_a_run_that_is_deleted_while_it_is_mirrored_is_left_alone(folder: ExperimentFolder, root: Path) -> None:
    run = folder.trial(0, None, (0.9,))
    mirror = mlflow_mirror(folder.path)
    mirror.catch_up()
    before = Reading(default_uri(root), "line")
    before.client.delete_run(before.runs["trial-0000"].info.run_id)
    folder.evaluate(run, 2, 0.8)
    folder.trial(1, Outcome.COMPLETE, (0.7,))
    with pytest.raises(TrackingError, match="was deleted in MLflow"):
        mirror.catch_up()
    assert Reading(default_uri(root), "line").names == ["line", "trial-0000"]
    mirror.catch_up()
    mirror.close()
    after = Reading(default_uri(root), "line")
    assert after.history("trial-0000", "val/loss") == [(1, 0.9)]
    assert after.history("trial-0001", "val/loss") == [(1, 0.7)]


def test_others_write_between_two_rounds(folder: ExperimentFolder, root: Path) -> None:
    run = folder.trial(0, None, (0.9,))
    mirror = mlflow_mirror(folder.path)
    mirror.catch_up()
    with closing(sqlite3.connect(root / "mlflow.db", timeout=0)) as connection, connection:
        connection.execute("UPDATE runs SET name = 'renamed' WHERE name = 'trial-0000'")
    folder.evaluate(run, 2, 0.8)
    mirror.catch_up()
    mirror.close()
    assert Reading(default_uri(root), "line").history("renamed", "val/loss") == [(1, 0.9), (2, 0.8)]


def test_without_a_flush_nothing_is_written(root: Path, folder: ExperimentFolder) -> None:
    folder.ask(trial_run(0), 0)
    with opened(default_uri(root), folder.path) as store:
        store.log_file(store.create_run("a", start=1, tags={}), folder.path / "log.jsonl")
    assert contents(root / "mlflow.db", "runs", "tags") == {"runs": [], "tags": []}
    assert not list(root.rglob("artifacts"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        SCHEMA.write_text(made_by_mlflow(Path(place)), encoding="utf-8")
    print(f"{SCHEMA} is written; REVISION in table_store.py is the one in it", file=sys.stderr)


def test_texts_that_are_no_utf8_are_written_with_escapes(root: Path, folder: ExperimentFolder) -> None:
    """Such as the folder of an experiment whose path has other bytes."""
    with opened(default_uri(root), folder.path) as store:
        run = store.create_run("a", start=7, tags={"hpsearch.folder": "/b\udcff"})
        store.flush()
        assert next(store.find_runs("hpsearch.folder", r"/b\udcff", path_tag="mlflow.runName")).id == run
