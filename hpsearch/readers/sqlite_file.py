"""Looking into a SQLite file without changing it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MAGIC = b"SQLite format 3"


def has_tables(path: Path, *names: str) -> bool:
    """Say whether a file is a SQLite database with these tables."""
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return False
    try:
        with opened(path) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.DatabaseError:
        return False
    return set(names) <= tables


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database for reading only."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        yield connection
    finally:
        connection.close()
