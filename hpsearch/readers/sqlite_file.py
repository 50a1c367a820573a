"""Looking into a SQLite file without changing it or its companions."""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from hpsearch.errors import DataError
from hpsearch.plain_files import open_plain

_MAGIC = b"SQLite format 3"
_WAL = b"\x02\x02"
"""The versions for writing and reading, bytes 18 and 19 of a database that keeps a write-ahead log."""
_BESIDE = ("-wal", "-journal")
"""Companion files of a SQLite database: changes that are not in it yet, or the pages from before a change."""
_TRIES = 3


def has_tables(path: Path, *names: str) -> bool:
    """Check whether a file is a SQLite database with these tables."""
    if not _header(path).startswith(_MAGIC):
        return False
    try:
        with opened(path) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise DataError(f"{path} is locked by another process; try again when that has ended") from error
        return False
    return set(names) <= tables


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database for reading only."""
    with readable(path) as uri, closing(sqlite3.connect(uri, uri=True)) as connection:
        yield connection


@contextmanager
def readable(path: Path) -> Iterator[str]:
    """Give the URI by which SQLite reads a database, as its last whole change left it, and writes nothing.

    SQLite makes files next to a database with a write-ahead log even to read it, and rolls an interrupted change back
    in the file itself. So a database is read in place if it has no log, else from a copy.
    """
    path = path.resolve()
    if _header(path)[18:20] == _WAL and not _beside(path, "-wal"):
        yield f"{path.as_uri()}?mode=ro&immutable=1"
    elif _beside(path, "-wal") or _is_interrupted(path):
        with tempfile.TemporaryDirectory() as folder:
            yield f"{_copy(path, Path(folder)).as_uri()}?mode=rw"
    else:
        yield f"{path.as_uri()}?mode=ro"


def _header(path: Path) -> bytes:
    with open_plain(path) as file:
        return file.read(100)


def _beside(path: Path, ending: str) -> bool:
    beside = path.with_name(path.name + ending)
    return beside.is_file() and beside.stat().st_size > 0


def _is_interrupted(path: Path) -> bool:
    """Check whether a process ended in the middle of a change, which must be rolled back."""
    if not _beside(path, "-journal"):
        return False
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        return True
    return False


def _copy(path: Path, folder: Path) -> Path:
    """Copy a database with its companion files; once more if a process wrote meanwhile."""
    files = [path, *(path.with_name(path.name + ending) for ending in _BESIDE)]
    for _ in range(_TRIES):
        before = _states(files)
        for file in files:
            (folder / file.name).unlink(missing_ok=True)
            if file.is_file():
                shutil.copyfile(file, folder / file.name)
        if _states(files) == before:
            break
    return folder / path.name


def _states(files: list[Path]) -> list[tuple[int, int] | None]:
    return [(file.stat().st_mtime_ns, file.stat().st_size) if file.is_file() else None for file in files]
