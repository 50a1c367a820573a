"""A process that is killed while MLflow's database is made or migrated leaves one that can be opened again.

What a kill leaves is what is on the disk at that moment: the files are copied before each statement, and every copy is
taken up as the next process would find it.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy
from alembic import command
from mlflow.store.db.utils import _get_alembic_config
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from hpsearch.errors import TrackingError
from hpsearch.tracking.mlflow.database import Shape, make_ready, put_aside, shape_of
from hpsearch.tracking.mlflow.store import DATABASE, default_uri, guarded
from hpsearch.tracking.mlflow.table_store import TableStore
from tests.tracking.folders import ExperimentFolder, grow_shortly, sync
from tests.tracking.reading import Reading

OLD = "bd07f7e963c5"
"""A revision of MLflow 2's: the installed one adds tables, and so migrates a store of it in place."""


class Disk:
    """A folder of which every state is kept that a kill could leave."""

    def __init__(self, folder: Path, kept: Path) -> None:
        self.folder = folder
        self.states: list[Path] = []
        self._kept = kept
        self._seen: set[frozenset[tuple[str, bytes]]] = set()

    def look(self, *_: object) -> None:
        """Keep the files as they are now, unless they have been so before."""
        files = {path.name: path.read_bytes() for path in self.folder.iterdir() if path.is_file()}
        if (state := frozenset(files.items())) in self._seen:
            return
        self._seen.add(state)
        place = self._kept / str(len(self.states))
        place.mkdir(parents=True)
        for name, content in files.items():
            (place / name).write_bytes(content)
        self.states.append(place)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    (tmp_path / "root").mkdir()
    return Disk(tmp_path / "root", tmp_path / "kept")


@contextmanager
def watched(disk: Disk) -> Iterator[None]:
    """Look at the disk before every statement that goes through SQLAlchemy."""
    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", disk.look)
    try:
        yield
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", disk.look)


def test_killed_at_any_statement_of_our_making(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    statements = 0
    connect = sqlite3.connect

    def traced(*arguments: object, **named: object) -> sqlite3.Connection:
        connection = connect(*arguments, **named)  # type: ignore[call-overload]

        def look(_: str) -> None:
            nonlocal statements
            statements += 1
            disk.look()

        connection.set_trace_callback(look)
        return connection  # type: ignore[no-any-return]

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", traced)
        store = TableStore.open(disk.folder / DATABASE, "line", disk.folder.as_uri())
    assert store is not None
    store.close()
    disk.look()
    assert statements > 100
    for state in disk.states:
        make_ready(state / DATABASE, "")
        again = TableStore.open(state / DATABASE, "line", state.as_uri())
        assert again is not None
        again.close()
        assert shape_of(state / DATABASE) is Shape.WHOLE


@pytest.mark.slow
def test_killed_at_any_statement_of_mlflows_making(disk: Disk) -> None:
    """One such file was made by MLflow itself, or by an earlier hpsearch: it is put aside, nothing else is."""
    with watched(disk):
        SqlAlchemyStore(f"sqlite:///{disk.folder / DATABASE}", str(disk.folder / "artifacts"))
    disk.look()
    shapes = [shape_of(state / DATABASE) for state in disk.states]
    assert len(shapes) > 100
    assert (shapes[0], shapes[-1]) == (Shape.EMPTY, Shape.WHOLE)
    half_made = [state for state, shape in zip(disk.states, shapes, strict=True) if shape is Shape.HALF_MADE]
    between = [state for state in disk.states if state not in half_made]  # two migrations, or in one without copies
    looked_at = half_made[:: len(half_made) // 8]
    for state in (*looked_at, *between[:: len(between) // 4]):
        with guarded(default_uri(state)):
            make_ready(state / DATABASE, "")
            store = TableStore.open(state / DATABASE, "line", state.as_uri())
        assert store is not None
        store.close()
    assert all((state / f"{DATABASE}.half-made").exists() for state in looked_at)


def old_store(path: Path) -> None:
    """Make the store of an earlier MLflow, with one run in it."""
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    InitialBase.metadata.create_all(engine)
    config = _get_alembic_config(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, OLD)
    engine.dispose()
    with closing(sqlite3.connect(path)) as opened, opened:
        opened.execute("INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (0, 'Default', 'active')")
        opened.execute(
            "INSERT INTO runs (run_uuid, name, status, lifecycle_stage, experiment_id) "
            "VALUES ('theirs', 'theirs', 'FINISHED', 'active', 0)"
        )


@pytest.mark.slow
def test_killed_at_any_statement_of_a_migration(disk: Disk) -> None:
    """Under the store's own name there is the old one until the new one is whole; what was left is cleared away."""
    database = disk.folder / DATABASE
    old_store(database)
    before = database.read_bytes()
    folder = ExperimentFolder(disk.folder / "line")
    grow_shortly(folder)
    with watched(disk):
        sync(folder.path)
    disk.look()
    names = [{path.name for path in state.iterdir()} for state in disk.states]
    under_way = [state for state, each in zip(disk.states, names, strict=True) if any("tmp" in name for name in each)]
    assert len(under_way) > 20
    assert all((state / DATABASE).read_bytes() == before for state in under_way)
    for state in (under_way[0], under_way[len(under_way) // 2], under_way[-1]):
        with guarded(default_uri(state)):
            make_ready(state / DATABASE, "")
        assert shape_of(state / DATABASE) is Shape.WHOLE
        assert not [path.name for path in state.iterdir() if "tmp" in path.name]
        with closing(sqlite3.connect(state / DATABASE)) as opened:
            assert opened.execute("SELECT run_uuid FROM runs").fetchall() == [("theirs",)]
    assert len(Reading(default_uri(disk.folder), "line").names) == 7


def test_a_half_made_store_is_put_aside_and_made_anew(root: Path) -> None:
    folder = ExperimentFolder(root / "line")
    grow_shortly(folder)
    (root / DATABASE).unlink()
    with closing(sqlite3.connect(root / DATABASE)) as connection, connection:
        connection.execute("CREATE TABLE datasets (dataset_uuid VARCHAR(36))")
    sync(folder.path)
    assert len(Reading(default_uri(root), "line").names) == 7
    assert shape_of(root / f"{DATABASE}.half-made") is Shape.HALF_MADE


def test_a_store_left_in_a_migration_with_runs_in_it_is_never_put_aside_unasked(root: Path) -> None:
    folder = ExperimentFolder(root / "line")
    grow_shortly(folder)
    sync(folder.path)
    with closing(sqlite3.connect(root / DATABASE)) as connection, connection:
        connection.execute("CREATE TABLE _alembic_tmp_runs (run_uuid VARCHAR(32))")
    with pytest.raises(TrackingError, match=r"middle of a migration; `hpsearch doctor .* --repair` puts it aside"):
        sync(folder.path)


@pytest.mark.parametrize("content", [b"no database" * 400, b"SQLite format 3\0" + bytes(range(256)) * 40])
def test_what_is_no_database_is_said(root: Path, content: bytes) -> None:
    folder = ExperimentFolder(root / "line")
    grow_shortly(folder)
    (root / DATABASE).write_bytes(content)
    with pytest.raises(TrackingError, match=r"is no database; `hpsearch doctor .* --repair`"):
        sync(folder.path)


def test_a_database_of_something_else_is_whole_to_us(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "own.db")) as connection, connection:
        connection.execute("CREATE TABLE studies (study_id INTEGER)")
    assert shape_of(tmp_path / "own.db") is Shape.WHOLE


def test_what_is_put_aside_takes_its_journal_along(tmp_path: Path) -> None:
    for _ in range(2):
        (tmp_path / "a.db").write_text("a")
        (tmp_path / "a.db-journal").write_text("b")
        put_aside(tmp_path / "a.db", "damaged")
    names = {"a.db.damaged", "a.db.damaged-journal", "a.db.damaged-2", "a.db.damaged-2-journal"}
    assert {path.name for path in tmp_path.iterdir()} == names
    shutil.rmtree(tmp_path)
