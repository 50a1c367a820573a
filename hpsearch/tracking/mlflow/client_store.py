"""A store written by MLflow's own client: the explicit one, never the fluent API, never a global tracking URI."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import copy_context
from functools import partial
from itertools import zip_longest
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING, Any

from hpsearch.errors import TrackingError
from hpsearch.tracking.entries import Point, Row, Status
from hpsearch.tracking.mlflow.writing import (
    EXPERIMENT_TAGS,
    STATUSES,
    FoundRun,
    cut_tags,
    metric_batches,
    text_batches,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

_PAGE = 1000
_AT_ONCE = 4
"""Runs that are written at the same time: as many as a tracking server has workers, unless told otherwise."""
_ERRORS = (
    ("mlflow.exceptions", "MlflowException"),
    ("sqlalchemy.exc", "SQLAlchemyError"),
    ("alembic.util.exc", "CommandError"),
)


def mlflow_client(uri: str) -> "MlflowClient":
    """Return a client of a store, once MLflow's log lines of this thread are kept from the terminal."""
    from mlflow import MlflowClient
    from mlflow.utils import logging_utils  # noqa: F401 -- for `quiet`

    quiet(on=True)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def quiet(*, on: bool) -> bool:
    """Keep MLflow's log lines of this thread from the terminal, or let them through; return what held before.

    Where nobody has imported MLflow there is nothing to do.
    """
    logging_utils: Any = sys.modules.get("mlflow.utils.logging_utils")
    if logging_utils is None:
        return False
    switch = logging_utils.should_suppress_logs_in_thread
    before = bool(switch.get())
    switch.set(on)
    return before


def of_mlflow(error: Exception) -> bool:
    """Check whether MLflow raised an error to say that something went wrong, or let one of its database's through."""
    return any(_is(error, module, name) for module, name in _ERRORS)


def of_database(error: Exception) -> bool:
    """Check whether an error is one of MLflow's database that MLflow let through."""
    return _is(error, "sqlalchemy.exc", "SQLAlchemyError")


def _is(error: Exception, module: str, name: str) -> bool:
    return isinstance(error, getattr(sys.modules.get(module), name, ()))


class Lanes:
    """Threads that make requests: those of one run in the same thread, and in their order.

    After one that failed the others are left out. Python does not wait for these threads when it ends.
    """

    def __init__(self, count: int) -> None:
        self._queues: list[Queue[Callable[[], None] | None]] = [Queue() for _ in range(count)]
        self._threads: list[Thread] = []
        self._lanes: dict[str, int] = {}
        self._errors: list[BaseException] = []

    def send(self, run: str, request: Callable[[], None]) -> None:
        """Have a request made."""
        if not self._threads:
            self._threads = [Thread(target=self._work, args=(queue,), daemon=True) for queue in self._queues]
            for thread in self._threads:
                thread.start()
        lane = self._lanes.setdefault(run, len(self._lanes) % len(self._queues))
        self._queues[lane].put(request)

    def _work(self, queue: Queue[Callable[[], None] | None]) -> None:
        while (request := queue.get()) is not None:
            try:
                if not self._errors:
                    request()
            except BaseException as error:  # noqa: BLE001 -- `wait` raises it
                self._errors.append(error)
            finally:
                queue.task_done()

    def wait(self) -> None:
        """Wait for all requests, and raise what went wrong with one."""
        for queue in self._queues:
            queue.join()
        self._lanes.clear()
        errors, self._errors = self._errors, []
        if errors:
            raise errors[0]

    def close(self) -> None:
        """Make no request any more, and end the threads."""
        self._errors.append(InterruptedError())
        for queue in self._queues:
            queue.put(None)
        for thread in self._threads:
            thread.join()


class ClientStore:
    """Any store that MLflow knows: a server, a database.

    Requests cost the way to a server and back: several runs are written at the same time; `flush` raises what went
    wrong.
    """

    def __init__(self, client: "MlflowClient", experiment: str) -> None:
        self._client = client
        self.experiment = experiment
        self._lanes = Lanes(_AT_ONCE)
        self._places: dict[str, str] = {}
        """Where the artifacts of the runs that were created here go: nobody has to ask for it."""

    @classmethod
    def open(cls, uri: str, name: str, artifacts: str | None) -> "ClientStore":
        """Open the experiment of that name, which is made, or taken out of the bin, where that is needed.

        Raises:
            TrackingError: The database needs a package that is not installed.
        """
        client = mlflow_client(uri)
        try:
            found = client.get_experiment_by_name(name)
        except ImportError as error:
            raise TrackingError(
                f"the driver {error.name} of MLflow's database is missing; pip install {error.name}"
            ) from error
        if found is None:
            return cls(client, client.create_experiment(name, artifact_location=artifacts, tags=EXPERIMENT_TAGS))
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return cls(client, found.experiment_id)

    def describe(self, tags: Mapping[str, str]) -> None:
        """Set tags of the experiment itself."""
        for key, text in cut_tags(tags).items():
            self._client.set_experiment_tag(self.experiment, key, text)

    def find_runs(self, tag: str, value: str, *, path_tag: str) -> Iterator[FoundRun]:
        """Yield the runs whose `tag` is `value`, the oldest first, deleted ones too."""
        self.flush()
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
        self.flush()
        history = self._client.get_metric_history(run, key)
        points = [Point(metric.key, metric.value, metric.timestamp, metric.step) for metric in history]
        return max(points, key=lambda point: (point.step, point.time), default=None)

    def create_run(self, title: str, *, start: int, tags: Mapping[str, str]) -> str:
        """Create a run and return its id."""
        run = self._client.create_run(self.experiment, start_time=start, tags=cut_tags(tags), run_name=title)
        identity = str(run.info.run_id)
        self._places[identity] = run.info.artifact_uri
        return identity

    def params(self, run: str) -> dict[str, str]:
        """Return the parameters that a run has; MLflow refuses to change one."""
        self.flush()
        return dict(self._client.get_run(run).data.params)

    def log(
        self,
        run: str,
        *,
        rows: Sequence[Row] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write metrics, parameters and tags in as few requests as MLflow's limits allow."""
        texts = text_batches(params or {}), text_batches(cut_tags(tags or {}))
        for points, some, others in zip_longest(metric_batches(rows), *texts):
            self._send(run, self._log, points or (), some or {}, others or {})

    def _log(self, run: str, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        from mlflow.entities import Metric, Param, RunTag

        self._client.log_batch(
            run,
            metrics=[Metric(point.key, point.value, point.time, point.step) for point in points],
            params=[Param(key, text) for key, text in params.items()],
            tags=[RunTag(key, text) for key, text in tags.items()],
            synchronous=True,
        )

    def log_file(self, run: str, path: Path, *, folder: str | None = None) -> None:
        """Copy a file to the run's artifacts, or a folder of them, over one of the same name."""
        self._send(run, self._copy, path, folder)

    def _copy(self, run: str, path: Path, folder: str | None) -> None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        if run in self._places:
            place = get_artifact_repository(self._places[run], tracking_uri=self._client.tracking_uri)
            place.log_artifact(str(path), folder)  # type: ignore[no-untyped-call] # MLflow's
        else:
            self._client.log_artifact(run, str(path), folder)

    def set_status(self, run: str, status: Status, *, end: int) -> None:
        """Set a run's status; one that is not RUNNING comes with the time at which it was reached."""
        self._send(run, self._set_status, status, end)

    def _set_status(self, run: str, status: Status, end: int) -> None:
        if status is Status.RUNNING:
            self._client.update_run(run, status=STATUSES[status])
        else:
            self._client.set_terminated(run, status=STATUSES[status], end_time=end)

    def _send(self, run: str, request: Callable[..., None], *arguments: Any) -> None:
        """Have a request made behind those of the same run; MLflow's log lines are kept from the terminal there too."""
        self._lanes.send(run, partial(copy_context().run, request, run, *arguments))

    def flush(self) -> None:
        """Wait for all requests, and raise what went wrong with one."""
        self._lanes.wait()

    def close(self) -> None:
        """Let go of the threads; what was not flushed is lost."""
        self._lanes.close()
