"""What is written to MLflow, whoever writes it: the contract of a store, and the limits of what it takes."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hpsearch.experiment.files import printable
from hpsearch.tracking.entries import Point, Row, Status

PARAM_LENGTH = 6000
TAG_LENGTH = 5000
METRICS_IN_BATCH = 800
"""With 100 parameters and 100 tags the thousand entries that MLflow takes in one request."""
TEXTS_IN_BATCH = 100
BYTES_IN_BATCH = 300_000
"""For the parameters and for the tags of one request: MLflow refuses one of a megabyte."""
STATUSES = {
    Status.RUNNING: "RUNNING",
    Status.FINISHED: "FINISHED",
    Status.STOPPED: "KILLED",
    Status.FAILED: "FAILED",
}
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""Opens the page on the training runs, not on language models."""


@dataclass(frozen=True)
class FoundRun:
    """A run that MLflow holds already; `path` is the run's folder in the experiment."""

    id: str
    path: str
    deleted: bool


class Store(Protocol):
    """One MLflow experiment in an open store. Calls are made inside `guarded`, in one thread.

    What was written is there for others, and stays, from `flush` on at the latest.
    """

    experiment: str
    """Its number in MLflow."""

    def describe(self, tags: Mapping[str, str]) -> None:
        """Set tags of the experiment itself."""
        ...

    def find_runs(self, tag: str, value: str, *, path_tag: str) -> Iterator[FoundRun]:
        """Yield the runs whose `tag` is `value`, the oldest first, deleted ones too."""
        ...

    def last_point(self, run: str, key: str) -> Point | None:
        """Return a metric's latest value of its highest step."""
        ...

    def create_run(self, title: str, *, start: int, tags: Mapping[str, str]) -> str:
        """Create a run and return its id."""
        ...

    def params(self, run: str) -> dict[str, str]:
        """Return the parameters that a run has; they are never changed."""
        ...

    def log(
        self,
        run: str,
        *,
        rows: Sequence[Row] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write metrics, parameters and tags of a run, which was not deleted. Points that are there are left out."""
        ...

    def log_file(self, run: str, path: Path, *, folder: str | None = None) -> None:
        """Copy a file to the run's artifacts, or a folder of them, over one of the same name."""
        ...

    def set_status(self, run: str, status: Status, *, end: int) -> None:
        """Set a run's status; one that is not RUNNING comes with the time at which it was reached."""
        ...

    def flush(self) -> None:
        """Make sure that what was written stays."""
        ...

    def close(self) -> None:
        """Let go of the store; what was not flushed is lost."""
        ...


def param_text(value: Any) -> str:
    """Return a parameter's value as text, cut at MLflow's limit."""
    text = json.dumps(value) if isinstance(value, (list, dict)) else str(value)
    return cut(printable(text), PARAM_LENGTH)


def cut_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags with their texts cut at MLflow's limit."""
    return {key: cut(printable(text), TAG_LENGTH) for key, text in tags.items()}


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
