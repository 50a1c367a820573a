"""Does the MLflow store beside an experiment say what the experiment's log says, and what brings it there again.

Only the store that is kept beside the experiments is looked into, and nothing is written by that.
"""

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hpsearch.errors import HpsearchError
from hpsearch.experiment.events import RunEvent
from hpsearch.experiment.layout import LOG, TRACKING, root_of, study_of
from hpsearch.experiment.log import read_past
from hpsearch.experiment.reading import read_resolved
from hpsearch.records import Outcome
from hpsearch.tracking.entries import (
    DROPPED,
    OBJECTIVE,
    MirroredRun,
    MirrorState,
    Status,
    load_state,
    read_changes,
    save_state,
)
from hpsearch.tracking.mlflow.database import Shape, shape_of
from hpsearch.tracking.mlflow.sink import EXPERIMENT_TAG, RUN_TAG, mlflow_mirror
from hpsearch.tracking.mlflow.store import ARTIFACTS, DATABASE
from hpsearch.tracking.mlflow.table_store import LARGEST
from hpsearch.tracking.mlflow.writing import STATUSES

_FOUND = """
    SELECT path.value, status, lifecycle_stage,
           (SELECT CASE WHEN is_nan THEN NULL ELSE value END FROM latest_metrics
            WHERE latest_metrics.run_uuid = runs.run_uuid AND key = ?),
           (SELECT count(*) FROM latest_metrics WHERE latest_metrics.run_uuid = runs.run_uuid AND key = ?)
    FROM runs JOIN tags AS own USING (run_uuid) JOIN tags AS path USING (run_uuid)
    WHERE own.key = ? AND own.value = ? AND path.key = ?
"""


@dataclass(frozen=True)
class _Mirrored:
    """What MLflow says of a run."""

    status: str
    deleted: bool
    value: float | None
    """None if there is no number."""
    has_value: bool


def is_mirrored_beside(folder: Path) -> bool:
    """Check whether an experiment was mirrored to the store that is kept beside it."""
    return (folder / TRACKING).is_file() and load_state(folder / TRACKING).uri is None


def disagreements(folder: Path) -> Iterator[str]:
    """Yield what the store beside an experiment says otherwise than its log, but for runs that were deleted there.

    Raises:
        ExperimentError: the experiment cannot be read.
        sqlite3.Error: the store cannot be read.
    """
    if not is_mirrored_beside(folder):
        return
    identity, database = read_resolved(folder)["id"], root_of(folder) / DATABASE
    if shape_of(database) is not Shape.WHOLE:
        yield "there is no MLflow store that can be read"
        return
    found = _found(database, identity)
    runs: dict[str, list[RunEvent]] = {}
    for event in read_past(folder / LOG).events:
        if isinstance(event, RunEvent):
            runs.setdefault(event.run, []).append(event)
    for run, events in runs.items():
        changes = read_changes(events, MirroredRun(""))
        told = found.get(run)
        if told is None:
            yield f"{run} is not there"
        elif not told.deleted and changes.outcome is not None:
            status = STATUSES[changes.status] if changes.status else told.status
            before = STATUSES[Status.STOPPED] if changes.outcome == Outcome.PRUNED else status  # of earlier versions
            if told.status not in (status, before):
                yield f"{run} is {told.status} there, {status} in the log"
            if changes.value is not None and changes.outcome != DROPPED and not _same(changes.value, told):
                there = told.value if told.has_value else "none"
                yield f"{run} has the value {there} there, {changes.value} in the log"


def _same(value: float, told: _Mirrored) -> bool:
    if math.isinf(value):
        value = math.copysign(LARGEST, value)
    return told.has_value and (math.isnan(value) if told.value is None else told.value == value)


def _found(database: Path, identity: str) -> dict[str, _Mirrored]:
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True, timeout=20)) as connection:
        rows = connection.execute(_FOUND, (OBJECTIVE, OBJECTIVE, EXPERIMENT_TAG, identity, RUN_TAG)).fetchall()
    found: dict[str, _Mirrored] = {}
    for path, status, stage, value, count in rows:
        told = _Mirrored(status, stage == "deleted", value, bool(count))
        if path not in found or found[path].deleted:
            found[path] = told
    return found


def mirror_anew(folder: Path) -> None:
    """Bring the store to what the log says, from the log's beginning: what the store has already is left there.

    Raises:
        TrackingError: the store cannot be written.
        ExperimentError: the experiment cannot be read.
    """
    save_state(folder / TRACKING, MirrorState(uri=load_state(folder / TRACKING).uri))
    mirror = mlflow_mirror(folder)
    try:
        mirror.catch_up(final=True)
    finally:
        mirror.close()


def mirrored_copy(folder: Path, run: str, name: str) -> Path | None:
    """Return the copy of a file that the store beside an experiment has of a run; "" is the experiment's own."""
    try:
        state = load_state(folder / TRACKING)
    except (OSError, HpsearchError):
        return None
    mirrored = state.parent if not run else state.runs.get(run)
    if mirrored is None or state.uri is not None:
        return None
    home = root_of(folder) / ARTIFACTS / (study_of(folder) or folder).name
    path = home / mirrored.id / "artifacts" / name
    return path if path.is_file() else None
