"""Where an experiment's MLflow store is, how it is opened, and what becomes of its errors."""

import fcntl
import os
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote

from hpsearch.errors import TrackingError
from hpsearch.experiment.addresses import SQLITE, absolute_url, sqlite_path, sqlite_url, without_secrets
from hpsearch.experiment.layout import TRACKING, root_of, study_of
from hpsearch.tracking.entries import MirrorState, load_state, state_of
from hpsearch.tracking.mlflow.client_store import ClientStore, of_mlflow, quiet
from hpsearch.tracking.mlflow.database import make_ready
from hpsearch.tracking.mlflow.table_store import TableStore
from hpsearch.tracking.mlflow.writing import Store, cut

DATABASE = "mlflow.db"
ARTIFACTS = "mlartifacts"
_STORE_LOCK = "mlflow.lock"
_LOGINS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
"""Where MLflow's own client finds a login."""

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the mirror tries again later; MLflow's own retries block for minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def default_uri(root: Path) -> str:
    """Return the URI of the store next to the experiments of `root`."""
    return sqlite_url(root.resolve() / DATABASE)


def chosen_uri(folder: Path, tracking_uri: str | None) -> str:
    """Return the store asked for; without one that used last, at first the one at the root of the experiments."""
    chosen = absolute_url(tracking_uri) if tracking_uri else load_state(folder / TRACKING).uri
    return chosen or default_uri(root_of(folder))


def remembered_uri(uri: str, folder: Path) -> str | None:
    """Return the store that a folder's state names; None for the default, so that folders can be moved.

    Passwords are not written down: whoever goes on gives them again.
    """
    return None if uri == default_uri(root_of(folder)) else without_secrets(uri)


def state_in(uri: str, folder: Path) -> MirrorState:
    """Return the progress of a folder's mirror in a store."""
    return state_of(folder / TRACKING, uri=remembered_uri(uri, folder))


@contextmanager
def guarded(uri: str) -> Iterator[None]:
    """Keep MLflow's log lines of this thread from the terminal, and turn whatever goes wrong into a TrackingError."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    before = quiet(on=True)
    try:
        with without_stray_folders(uri):
            yield
    except Exception as error:
        if not isinstance(error, OSError | sqlite3.Error) and not of_mlflow(error):
            raise
        told = f"MLflow at {uri} cannot be written: {_reason(error)}"
        raise TrackingError(without_secrets(told) + _asking_again(uri)) from error
    finally:
        quiet(on=before)


def _asking_again(uri: str) -> str:
    """Return how a password is given for a server's address that has none: what is remembered of one never has."""
    if uri.startswith(SQLITE) or "://" not in uri or uri != without_secrets(uri):
        return ""
    if not uri.startswith(("http://", "https://")):
        return "; a password is never kept: where it needs one, give it again with --tracking-uri"
    if any(os.environ.get(name) for name in _LOGINS):
        return ""
    return (
        "; a password is never kept: where it needs one, give it again with --tracking-uri, or set "
        f"{_LOGINS[0]} and {_LOGINS[1]}"
    )


@contextmanager
def without_stray_folders(uri: str) -> Iterator[None]:
    """Remove the empty folders that MLflow makes for a SQLite file, called as in the URI, where that is escaped."""
    written = Path(uri.removeprefix(SQLITE))
    made = [folder for folder in written.parents if not folder.exists()] if uri.startswith(SQLITE) else []
    try:
        yield
    finally:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()


def _reason(error: BaseException) -> str:
    """Return the message of the system or database behind an error, else the error's first line."""
    text, cause = str(error), error.__cause__ or error.__context__
    while cause:
        if isinstance(cause, (OSError, sqlite3.Error)):
            text = getattr(cause, "strerror", None) or str(cause)
        cause = cause.__cause__ or cause.__context__
    return cut(next(iter(text.strip().splitlines()), type(error).__name__), 300)


def open_store(uri: str, folder: Path) -> Store:
    """Open the store and a folder's MLflow experiment in it, which the arms of a study share. In `guarded`.

    What is missing is created, by one process at a time. A SQLite file with tables that are known is written without
    MLflow.
    """
    name, root = (study_of(folder) or folder).name, root_of(folder)
    if uri.startswith(SQLITE):
        _try_sqlite(sqlite_path(uri))
    artifacts = None if uri.startswith(("http://", "https://")) else (root.resolve() / ARTIFACTS / name).as_uri()
    with (root / _STORE_LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if uri.startswith(SQLITE):
            make_ready(sqlite_path(uri), _cure(uri, root))
        if uri == default_uri(root):
            follow_move(root)
        tables = TableStore.open(sqlite_path(uri), name, artifacts) if uri.startswith(SQLITE) else None
        return tables or ClientStore.open(uri, name, artifacts)


def _cure(uri: str, root: Path) -> str:
    """Say what mends a store that cannot be opened: its runs are written again from the folders."""
    if uri == default_uri(root):
        return f"`hpsearch doctor {shlex.quote(str(root))} --repair` puts it aside and makes it anew from the folders"
    return "move it away, and `hpsearch sync` makes it anew from the folder"


_LOCATIONS = (
    *(("experiments", "artifact_location"), ("runs", "artifact_uri"), ("logged_models", "artifact_location")),
    *(("model_versions", "source"), ("model_versions", "storage_location")),
)
"""Where MLflow's tables keep the absolute places of artifacts."""


def follow_move(root: Path) -> None:
    """Let the store of the experiments of `root` look for artifacts there, after the folder was moved or copied.

    MLflow keeps absolute places and has no call that changes them: new runs would be written to the old place.
    """
    path, here = root / DATABASE, root.resolve()
    if not path.is_file():
        return
    with closing(sqlite3.connect(path, timeout=20)) as connection, connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "experiments" not in tables:
            return
        mark = f"/{ARTIFACTS}/"
        kept = [location for (location,) in connection.execute("SELECT artifact_location FROM experiments")]
        for before, _, name in {str(location).rpartition(mark) for location in kept if location}:
            moved = before.startswith("file://") and before != here.as_uri()
            if not moved or (_path(f"{before}{mark}{name}").exists() and not (here / ARTIFACTS / _path(name)).exists()):
                continue
            for table, column in _LOCATIONS:
                if table in tables:
                    connection.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",  # noqa: S608 -- our own names
                        (here.as_uri(), len(before) + 1, len(before + mark), before + mark),
                    )


def _path(uri: str) -> Path:
    return Path(unquote(uri.removeprefix("file://")))


def _try_sqlite(path: Path) -> None:
    """Open the database file once: MLflow would try for two minutes before it says that it cannot."""
    if path.exists() and not path.is_file():
        raise TrackingError(f"{path} is no file: MLflow's database cannot be there")
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=20)) as connection:
        try:
            connection.execute("PRAGMA schema_version").fetchone()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            return  # make_ready says what it is
