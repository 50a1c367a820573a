"""A store written by MLflow's own client: the explicit one, never the fluent API, never a global tracking URI."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

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


class ClientStore:
    """Any store that MLflow knows: a server, a database; everything is there for others at once."""

    def __init__(self, client: "MlflowClient", experiment: str) -> None:
        self._client = client
        self.experiment = experiment

    @classmethod
    def open(cls, uri: str, name: str, artifacts: str | None) -> "ClientStore":
        """Open the experiment of that name, which is made, or taken out of the bin, where that is needed."""
        client = mlflow_client(uri)
        found = client.get_experiment_by_name(name)
        if found is None:
            return cls(client, client.create_experiment(name, artifact_location=artifacts, tags=EXPERIMENT_TAGS))
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
        run = self._client.create_run(self.experiment, start_time=start, tags=cut_tags(tags), run_name=title)
        return str(run.info.run_id)

    def params(self, run: str) -> dict[str, str]:
        """Return the parameters that a run has; MLflow refuses to change one."""
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
        from mlflow.entities import Metric, Param, RunTag

        texts = text_batches(params or {}), text_batches(cut_tags(tags or {}))
        for points, some, others in zip_longest(metric_batches(rows), *texts):
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
            self._client.update_run(run, status=STATUSES[status])
        else:
            self._client.set_terminated(run, status=STATUSES[status], end_time=end)

    def flush(self) -> None:
        """Do nothing: MLflow has it already."""

    def close(self) -> None:
        """Do nothing."""
