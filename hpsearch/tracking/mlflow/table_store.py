"""A SQLite file of MLflow's, written without MLflow: its import, its migrations and its ORM take longer than trainings.

The rows are those that MLflow's client would write (`SqlAlchemyStore` in mlflow/store/tracking/sqlalchemy_store.py).
That holds for one revision of the tables, `schema.sql`: a file of another one, or an installed MLflow that wants
another one, is left to the client. Tests hold both, tables and rows, against MLflow's.
"""

import math
import os
import re
import shutil
import sqlite3
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from hpsearch.errors import TrackingError
from hpsearch.experiment.files import remove_leftovers
from hpsearch.tracking.entries import Point, Row, Status
from hpsearch.tracking.mlflow.writing import EXPERIMENT_TAGS, STATUSES, FoundRun, cut_tags

SCHEMA = Path(__file__).with_name("schema.sql")
REVISION = "dc11669786a5"
"""Of the tables that are known here, as Alembic's table has it."""
BUSY_SECONDS = 20.0
"""How long another writer is waited for, as MLflow does."""
_MIGRATIONS = "store/db_migrations/versions"
_BEFORE = re.compile(r"""^down_revision\b.*=\s*['"](\w+)['"]""", re.MULTILINE)
LARGEST = 1.7976931348623157e308
"""What MLflow writes for infinity."""
_NEWER = (
    "INSERT INTO latest_metrics (run_uuid, key, value, timestamp, step, is_nan) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (key, run_uuid) DO UPDATE SET "
    "value = excluded.value, timestamp = excluded.timestamp, step = excluded.step, is_nan = excluded.is_nan "
    "WHERE (excluded.step, excluded.timestamp, excluded.value) > (step, timestamp, value)"
)


@cache
def installed_revision() -> str | None:
    """Return the newest revision of the installed MLflow's tables; None without MLflow, or if it has workspaces."""
    if os.environ.get("MLFLOW_ENABLE_WORKSPACES"):
        return None
    package = find_spec("mlflow")
    places = package.submodule_search_locations if package else None
    files = list((Path(places[0]) / _MIGRATIONS).glob("*_*.py")) if places else []
    before = {found for file in files for found in _BEFORE.findall(file.read_text(encoding="utf-8"))}
    newest = {file.name.partition("_")[0] for file in files} - before - {""}
    return newest.pop() if len(newest) == 1 else None


class TableStore:
    """One experiment in a SQLite file; a transaction lasts from the first writing to `flush`."""

    def __init__(self, connection: sqlite3.Connection, experiment: str, artifacts: str) -> None:
        self._connection = connection
        self._artifacts = artifacts
        self._files: list[tuple[Path, Path]] = []
        self.experiment = experiment

    @classmethod
    def open(cls, file: Path, name: str, artifacts: str | None) -> "TableStore | None":
        """Open the experiment of that name, making it where it is missing; None if that is for MLflow to do.

        A file that is missing or empty gets MLflow's tables.
        """
        if installed_revision() != REVISION or artifacts is None:
            return None
        connection = sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            experiment = _experiment(connection, name, artifacts)
        except BaseException:
            connection.close()
            raise
        if experiment is None:
            connection.close()
            return None
        return cls(connection, *experiment)

    def describe(self, tags: Mapping[str, str]) -> None:
        """Set tags of the experiment itself."""
        self._begin()
        self._connection.executemany(
            "INSERT INTO experiment_tags (experiment_id, key, value) VALUES (?, ?, ?) "
            "ON CONFLICT (key, experiment_id) DO UPDATE SET value = excluded.value",
            [(int(self.experiment), key, text) for key, text in cut_tags(tags).items()],
        )

    def find_runs(self, tag: str, value: str, *, path_tag: str) -> Iterator[FoundRun]:
        """Yield the runs whose `tag` is `value`, the oldest first, deleted ones too."""
        found = self._connection.execute(
            "SELECT run_uuid, path.value, lifecycle_stage FROM runs JOIN tags AS asked USING (run_uuid) "
            "JOIN tags AS path USING (run_uuid) WHERE experiment_id = ? AND asked.key = ? AND asked.value = ? "
            "AND path.key = ? ORDER BY start_time, run_uuid",
            (int(self.experiment), tag, value, path_tag),
        )
        for run, path, stage in found:
            yield FoundRun(run, path, stage == "deleted")

    def last_point(self, run: str, key: str) -> Point | None:
        """Return a metric's latest value of its highest step."""
        found = self._connection.execute(
            "SELECT value, is_nan, timestamp, step FROM metrics WHERE run_uuid = ? AND key = ? "
            "ORDER BY step DESC, timestamp DESC LIMIT 1",
            (run, key),
        ).fetchone()
        if found is None:
            return None
        value, is_nan, when, step = found
        return Point(key, math.nan if is_nan else value, when, step)

    def create_run(self, title: str, *, start: int, tags: Mapping[str, str]) -> str:
        """Create a run and return its id."""
        self._begin()
        run = uuid.uuid4().hex
        self._connection.execute(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, "
            "start_time, source_version, lifecycle_stage, artifact_uri, experiment_id) "
            "VALUES (?, ?, 'UNKNOWN', '', '', 'unknown', 'RUNNING', ?, '', 'active', ?, ?)",
            (run, title, start, f"{self._artifacts}/{run}/artifacts", int(self.experiment)),
        )
        self._write_tags(run, cut_tags(tags) | {"mlflow.runName": title})
        return run

    def params(self, run: str) -> dict[str, str]:
        """Return the parameters that a run has."""
        return dict(self._connection.execute("SELECT key, value FROM params WHERE run_uuid = ?", (run,)).fetchall())

    def log(
        self,
        run: str,
        *,
        rows: Sequence[Row] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write metrics, parameters and tags; the newest value of each metric is kept besides."""
        if not (rows or params or tags):
            return
        self._begin()
        self._require_active(run)
        points = [(run, *_stored(point)) for row in rows for point in row]
        self._connection.executemany(
            "INSERT OR IGNORE INTO metrics (run_uuid, key, value, timestamp, step, is_nan) VALUES (?, ?, ?, ?, ?, ?)",
            points,
        )
        self._connection.executemany(_NEWER, points)
        self._connection.executemany(
            "INSERT INTO params (run_uuid, key, value) VALUES (?, ?, ?)",
            [(run, key, text) for key, text in (params or {}).items()],
        )
        self._write_tags(run, cut_tags(tags or {}))

    def _write_tags(self, run: str, tags: Mapping[str, str]) -> None:
        self._connection.executemany(
            "INSERT INTO tags (run_uuid, key, value) VALUES (?, ?, ?) "
            "ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value",
            [(run, key, text) for key, text in tags.items()],
        )

    def log_file(self, run: str, path: Path, *, folder: str | None = None) -> None:
        """Copy a file to the run's artifacts once what was written so far stays: nobody waits for a large one."""
        self._require_active(run)
        uri = self._connection.execute("SELECT artifact_uri FROM runs WHERE run_uuid = ?", (run,)).fetchone()[0]
        self._files.append((path, Path(os.fsdecode(unquote_to_bytes(urlsplit(uri).path))) / (folder or "") / path.name))

    def set_status(self, run: str, status: Status, *, end: int) -> None:
        """Set a run's status; one that is not RUNNING comes with the time at which it was reached."""
        self._begin()
        self._require_active(run)
        self._connection.execute("UPDATE runs SET status = ? WHERE run_uuid = ?", (STATUSES[status], run))
        if status is not Status.RUNNING:
            self._connection.execute("UPDATE runs SET end_time = ? WHERE run_uuid = ?", (end, run))

    def _begin(self) -> None:
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN IMMEDIATE")

    def _require_active(self, run: str) -> None:
        """Refuse to write to a run that the user has deleted since the store was opened, as MLflow does."""
        found = self._connection.execute("SELECT lifecycle_stage FROM runs WHERE run_uuid = ?", (run,)).fetchone()
        if found != ("active",):
            raise TrackingError(f"the run {run} was deleted in MLflow a moment ago")

    def flush(self) -> None:
        """End the transaction, then copy the files."""
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")
        for source, target in self._files:
            target.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(target.parent, target.name)
            beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
            try:
                shutil.copy2(source, beside)
                beside.replace(target)
            finally:
                beside.unlink(missing_ok=True)
        self._files.clear()

    def close(self) -> None:
        """Let go of the file; what was not flushed is not written."""
        self._files.clear()
        self._connection.close()


def _stored(point: Point) -> tuple[str, float, int, int, bool]:
    """Return a point as MLflow's tables hold it, which have no number for infinity or none at all."""
    value, missing = point.value, math.isnan(point.value)
    if math.isinf(value):
        value = math.copysign(LARGEST, value)
    return point.key, 0.0 if missing else value, point.time, point.step, missing


def _experiment(connection: sqlite3.Connection, name: str, artifacts: str) -> tuple[str, str] | None:
    """Return the number of an experiment and the place of its artifacts; None if it is for MLflow to make or change.

    A file without tables gets them, and the experiment that MLflow looks for when it opens a store.
    """
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
        for statement in statements(SCHEMA.read_text(encoding="utf-8")):
            connection.execute(statement)
        _add_experiment(connection, "Default", f"{artifacts.rpartition('/')[0]}/0", number=0)
    known = [] if not _has_revision(connection) else connection.execute("SELECT * FROM alembic_version").fetchall()
    if known != [(REVISION,)]:
        connection.execute("ROLLBACK")
        return None
    found = connection.execute(
        "SELECT experiment_id, artifact_location, lifecycle_stage FROM experiments "
        "WHERE name = ? AND workspace = 'default'",
        (name,),
    ).fetchone()
    if found is None:
        found = _add_experiment(connection, name, artifacts), artifacts, "active"
        connection.executemany(
            "INSERT INTO experiment_tags (experiment_id, key, value) VALUES (?, ?, ?)",
            [(found[0], key, text) for key, text in EXPERIMENT_TAGS.items()],
        )
    number, place, stage = found
    local = stage == "active" and str(place).startswith("file:///")
    connection.execute("COMMIT" if local else "ROLLBACK")
    return (str(number), str(place).rstrip("/")) if local else None


def _add_experiment(connection: sqlite3.Connection, name: str, artifacts: str, *, number: int | None = None) -> int:
    """Add an experiment and return its number, the next one unless it is given."""
    now = round(time.time() * 1000)
    made = connection.execute(
        "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time, "
        "last_update_time, workspace) VALUES (?, ?, ?, 'active', ?, ?, 'default')",
        (number, name, artifacts, now, now),
    )
    return int(made.lastrowid or 0)


def _has_revision(connection: sqlite3.Connection) -> bool:
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'")
    return found.fetchone() is not None


def statements(script: str) -> Iterator[str]:
    """Yield the statements of a script, each of which begins a line."""
    lines: list[str] = []
    for line in script.splitlines(keepends=True):
        lines.append(line)
        if sqlite3.complete_statement("".join(lines)):
            yield "".join(lines)
            lines.clear()
