"""The one place that calls MLflow: an explicit client, never the fluent API, never a global tracking URI."""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from hpsearch.errors import TrackingError
from hpsearch.experiment.addresses import SQLITE, absolute_url, sqlite_path, sqlite_url
from hpsearch.experiment.layout import TRACKING, root_of, study_of
from hpsearch.tracking.entries import MirrorState, Point, Row, Status, load_state, state_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

DATABASE = "mlflow.db"
ARTIFACTS = "mlartifacts"
_STORE_LOCK = "mlflow.lock"
_PAGE = 1000

PARAM_LENGTH = 6000
TAG_LENGTH = 5000
METRICS_IN_BATCH = 800
"""With 100 parameters and 100 tags the thousand entries that MLflow takes in one request."""
TEXTS_IN_BATCH = 100
BYTES_IN_BATCH = 300_000
"""For the parameters and for the tags of one request: MLflow refuses one of a megabyte."""
_STATUSES = {
    Status.RUNNING: "RUNNING",
    Status.FINISHED: "FINISHED",
    Status.STOPPED: "KILLED",
    Status.FAILED: "FAILED",
}

_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""Opens the page on the training runs, not on language models."""

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
    """Return the store that a folder's state names; None for the default, so that folders can be moved."""
    return None if uri == default_uri(root_of(folder)) else uri


def state_in(uri: str, folder: Path) -> MirrorState:
    """Return the progress of a folder's mirror in a store."""
    return state_of(folder / TRACKING, uri=remembered_uri(uri, folder))


@contextmanager
def guarded(uri: str) -> Iterator[None]:
    """Keep MLflow's log lines of this thread from the terminal, and turn whatever goes wrong into a TrackingError."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow.exceptions import MlflowException
    from mlflow.utils.logging_utils import should_suppress_logs_in_thread

    quiet: Any = should_suppress_logs_in_thread  # its methods carry no types
    before = quiet.get()
    quiet.set(True)
    try:
        with without_stray_folders(uri):
            yield
    except (MlflowException, OSError, sqlite3.Error) as error:
        raise TrackingError(f"MLflow at {uri} cannot be written: {_reason(error)}") from error
    finally:
        quiet.set(before)


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


@dataclass(frozen=True)
class FoundRun:
    """A run that MLflow holds already; `path` is the run's folder in the experiment."""

    id: str
    path: str
    deleted: bool


class Store:
    """One MLflow experiment in an open store. Calls are made inside `guarded`."""

    def __init__(self, client: "MlflowClient", experiment: str) -> None:
        self._client = client
        self.experiment = experiment

    @classmethod
    def open(cls, uri: str, folder: Path) -> "Store":
        """Open the store and a folder's MLflow experiment in it, which the arms of a study share.

        What is missing is created, by one process at a time.
        """
        from mlflow import MlflowClient

        name, root = (study_of(folder) or folder).name, root_of(folder)
        if uri.startswith(SQLITE):
            _try_sqlite(sqlite_path(uri))
        artifacts = None if uri.startswith(("http://", "https://")) else (root.resolve() / ARTIFACTS / name).as_uri()
        with (root / _STORE_LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if uri == default_uri(root):
                follow_move(root)
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            found = client.get_experiment_by_name(name)
            if found is None:
                return cls(client, client.create_experiment(name, artifact_location=artifacts, tags=_EXPERIMENT_TAGS))
            if found.lifecycle_stage == "deleted":
                client.restore_experiment(found.experiment_id)
            return cls(client, found.experiment_id)

    def find_runs(self, tag: str, value: str, *, path_tag: str) -> Iterator[FoundRun]:
        """Yield the runs whose `tag` is `value`, the oldest first, deleted ones too."""
        from mlflow.entities import ViewType

        token = None
        while True:
            page = self._client.search_runs(
                [self.experiment],
                f"tags.`{tag}` = '{value}'",
                run_view_type=ViewType.ALL,
                max_results=_PAGE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            for run in page:
                yield FoundRun(run.info.run_id, run.data.tags[path_tag], run.info.lifecycle_stage == "deleted")
            if not (token := page.token):
                return

    def last_point(self, run: str, key: str) -> Point | None:
        """Return a metric's latest value of its highest step."""
        history = self._client.get_metric_history(run, key)
        points = [Point(metric.key, metric.value, metric.timestamp, metric.step) for metric in history]
        return max(points, key=lambda point: (point.step, point.time), default=None)

    def create_run(self, title: str, *, start: int, tags: Mapping[str, str]) -> str:
        """Create a run and return its id."""
        tags = {key: cut(text, TAG_LENGTH) for key, text in tags.items()}
        run = self._client.create_run(self.experiment, start_time=start, tags=tags, run_name=title)
        return str(run.info.run_id)

    def params(self, run: str) -> dict[str, str]:
        """Return the parameters that a run has; MLflow refuses to change one."""
        return dict(self._client.get_run(run).data.params)

    def log(
        self,
        run: str,
        *,
        rows: Iterable[Row] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write metrics, parameters and tags in as few requests as MLflow's limits allow."""
        from mlflow.entities import Metric, Param, RunTag

        short = {key: cut(text, TAG_LENGTH) for key, text in (tags or {}).items()}
        for points, some, others in zip_longest(metric_batches(rows), text_batches(params or {}), text_batches(short)):
            self._client.log_batch(
                run,
                metrics=[Metric(point.key, point.value, point.time, point.step) for point in points or ()],
                params=[Param(key, text) for key, text in (some or {}).items()],
                tags=[RunTag(key, text) for key, text in (others or {}).items()],
                synchronous=True,
            )

    def log_file(self, run: str, path: Path, *, folder: str | None = None) -> None:
        """Copy a file to the run's artifacts, or a folder of them, over one of the same name."""
        self._client.log_artifact(run, str(path), folder)

    def set_status(self, run: str, status: Status, *, end: int) -> None:
        """Set a run's status; one that is not RUNNING comes with the time at which it was reached."""
        if status is Status.RUNNING:
            self._client.update_run(run, status=_STATUSES[status])
        else:
            self._client.set_terminated(run, status=_STATUSES[status], end_time=end)


def param_text(value: Any) -> str:
    """Return a parameter's value as text, cut at MLflow's limit."""
    return cut(json.dumps(value) if isinstance(value, (list, dict)) else str(value), PARAM_LENGTH)


def cut(text: str, length: int) -> str:
    """Return the text, or its beginning with a mark that something is missing."""
    return text if len(text) <= length else text[: length - 1] + "…"


def metric_batches(rows: Iterable[Row]) -> Iterator[list[Point]]:
    """Put whole rows together up to MLflow's limit; only a row above the limit is torn."""
    batch: list[Point] = []
    for row in rows:
        if batch and len(batch) + len(row) > METRICS_IN_BATCH:
            yield batch
            batch = []
        batch.extend(row)
        while len(batch) > METRICS_IN_BATCH:
            yield batch[:METRICS_IN_BATCH]
            batch = batch[METRICS_IN_BATCH:]
    if batch:
        yield batch


def text_batches(texts: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Put parameters or tags together up to MLflow's limits of number and size."""
    batch: dict[str, str] = {}
    size = 0
    for key, text in texts.items():
        length = len(json.dumps(key)) + len(json.dumps(text))
        if batch and (len(batch) == TEXTS_IN_BATCH or size + length > BYTES_IN_BATCH):
            yield batch
            batch, size = {}, 0
        batch[key] = text
        size += length
    if batch:
        yield batch


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
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=20)) as connection:
        connection.execute("PRAGMA schema_version").fetchone()
