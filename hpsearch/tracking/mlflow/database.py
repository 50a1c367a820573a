"""MLflow's SQLite file as a file: is it whole, how it is made and migrated in one piece, how it is put aside.

MLflow makes and migrates its tables in place, each statement for itself: a process that is killed meanwhile leaves a
file that MLflow opens never again. So both happen under another name here, and the file gets its own name at the end.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import StrEnum, auto
from functools import cache
from pathlib import Path

from hpsearch.errors import TrackingError
from hpsearch.experiment.addresses import sqlite_url
from hpsearch.tracking.mlflow.client_store import mlflow_client, of_database
from hpsearch.tracking.mlflow.table_store import BUSY_SECONDS, REVISION, SCHEMA, installed_revision, statements

_COMPANIONS = ("", "-journal", "-wal", "-shm")
"""The files of a SQLite database: a journal that stayed behind would be rolled back into the next file of the name."""
_ALEMBIC = "alembic_version"
_UNDER_WAY = "_alembic_tmp_"
"""How the copies of tables begin that Alembic makes while it changes them."""

_FILLED = {_ALEMBIC, "experiments", "workspaces"}


class Shape(StrEnum):
    """What a file is, as a store of MLflow's."""

    EMPTY = auto()
    """Missing, or without tables."""
    WHOLE = auto()
    HALF_MADE = auto()
    """A process was killed while it made or migrated the tables."""
    DAMAGED = auto()
    """No database, or one that SQLite cannot read."""


def shape_of(path: Path) -> Shape:
    """Say what a file is; one that was given other tables, or a revision of its own, passes as whole.

    Raises:
        sqlite3.OperationalError: it cannot be opened, or another process keeps it locked.
    """
    if not path.exists():
        return Shape.EMPTY
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            tables = _columns(connection)
            revision = _revision(connection) if _ALEMBIC in tables else None
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        return Shape.DAMAGED
    if not tables:
        return Shape.EMPTY
    known = _known_columns()
    own = all(name in known or name.startswith(_UNDER_WAY) for name in tables)
    if any(name.startswith(_UNDER_WAY) for name in tables) or (own and revision is None):
        return Shape.HALF_MADE
    lacking = revision == REVISION and any(columns - tables.get(name, set()) for name, columns in known.items())
    return Shape.HALF_MADE if lacking else Shape.WHOLE


def is_consistent(path: Path) -> bool:
    """Check the pages of a file as SQLite does; what it cannot tell from a healthy one passes.

    Raises:
        sqlite3.OperationalError: another process keeps it locked.
    """
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            found: str = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        return False
    return found == "ok"


def holds_rows(path: Path) -> bool:
    """Check whether a file has more than what MLflow itself puts into a new one."""
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        tables = _columns(connection).keys() - _FILLED
        return any(connection.execute(f'SELECT 1 FROM "{table}" LIMIT 1').fetchone() for table in tables)  # noqa: S608 -- names of tables


def make_ready(path: Path, cure: str) -> None:
    """Make a file fit to be opened as a store, while no other process does; `cure` says what mends one that is not.

    One that was half made and holds nothing is put aside. What is MLflow's to make or to migrate is made and migrated.

    Raises:
        TrackingError: the file is damaged, or half migrated with runs in it.
    """
    for leftover in path.parent.glob(f".{path.name}.*.tmp*"):
        leftover.unlink(missing_ok=True)
    shape = shape_of(path)
    if shape is Shape.DAMAGED:
        raise TrackingError(f"{path} is no database; {cure}")
    if shape is Shape.WHOLE and _revision_of(path) not in (installed_revision(), REVISION):
        shape = _migrated(path)
    if shape is Shape.HALF_MADE:
        if holds_rows(path):
            raise TrackingError(f"{path} was left in the middle of a migration; {cure}")
        put_aside(path, "half-made")
    if shape is not Shape.WHOLE and installed_revision() != REVISION:
        with _another(path) as made:
            _open_by_mlflow(made)


def put_aside(path: Path, why: str) -> Path:
    """Rename a file, with its companions, so that its name says why; return the new name."""
    names = (f"{path.name}.{why}{number}" for number in ("", *(f"-{again}" for again in range(2, 1000))))
    target = next(each for name in names if not (each := path.with_name(name)).exists())
    for ending in _COMPANIONS:
        beside = path.with_name(path.name + ending)
        if beside.exists():
            beside.rename(target.with_name(target.name + ending))
    return target


def _migrated(path: Path) -> Shape:
    """Let MLflow open a copy, which takes the file's place if that was migrated; say what the file is then.

    MLflow's own refusals, as of a store that it does not migrate unasked, go on to the caller. An error of the tables
    means that an earlier migration went half way.
    """
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")  # what others write meanwhile would be lost
        try:
            with _another(path) as made:
                with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(made)) as copy:
                    source.backup(copy)
                _open_by_mlflow(made)
        except Exception as error:
            if not of_database(error) or _full(error):
                raise
            return Shape.HALF_MADE
    return Shape.WHOLE


def _full(error: BaseException | None) -> bool:
    """Check whether the disk was full, or could not be written."""
    while error is not None:
        if isinstance(error, sqlite3.Error):
            return error.sqlite_errorcode not in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT)
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def _another(path: Path) -> Iterator[Path]:
    """Give another name for what becomes the file, once it is whole and on the disk."""
    made = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield made
        with made.open("rb") as file:
            os.fsync(file.fileno())
        made.replace(path)
    finally:
        for ending in _COMPANIONS:
            made.with_name(made.name + ending).unlink(missing_ok=True)


def _open_by_mlflow(path: Path) -> None:
    """Let MLflow make or migrate the tables of a file. In `guarded`."""
    mlflow_client(sqlite_url(path)).search_experiments(max_results=1)


def _columns(connection: sqlite3.Connection) -> dict[str, set[str]]:
    """Return the names of the columns of each table."""
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return {
        table: {name for (name,) in connection.execute("SELECT name FROM pragma_table_xinfo(?)", (table,))}
        for (table,) in tables.fetchall()
    }


@cache
def _known_columns() -> dict[str, set[str]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in statements(SCHEMA.read_text(encoding="utf-8")):
            connection.execute(statement)
        return _columns(connection)


def _revision(connection: sqlite3.Connection) -> str | None:
    found = connection.execute(f"SELECT version_num FROM {_ALEMBIC}").fetchone()  # noqa: S608 -- our own name
    return None if found is None else str(found[0])


def _revision_of(path: Path) -> str | None:
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        return _revision(connection) if _ALEMBIC in _columns(connection) else None
