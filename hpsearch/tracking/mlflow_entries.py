"""What the log and the metrics of a run become in MLflow; needs no MLflow."""

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from hpsearch.experiment.files import decode_number, read_lines
from hpsearch.experiment.layout import BASELINES_RUN, baseline_title
from hpsearch.experiment.log import Event
from hpsearch.records import Outcome
from hpsearch.tracking.mlflow_state import RunState

KEY_LENGTH = 250
PARAM_LENGTH = 6000
TAG_LENGTH = 5000
METRICS_IN_BATCH = 800
"""With 100 parameters and 100 tags the thousand entries that MLflow takes in one request."""
TEXTS_IN_BATCH = 100
BYTES_IN_BATCH = 300_000
"""For the parameters and for the tags of one request: MLflow refuses one of a megabyte."""

OBJECTIVE = "objective"
SECONDS = "seconds"
"""Logged as the last metric of every row: its last step in MLflow says which rows have arrived."""

STATUSES: dict[str, str] = {Outcome.COMPLETE: "FINISHED", Outcome.PRUNED: "KILLED"}
SESSION_STATUSES = {"interrupted": "KILLED", "failed": "FAILED"}

DROPPED = "dropped"
"""Stands in the state for the outcome of a trial that does not fit the changed space any more."""


class Point(NamedTuple):
    """One value of one metric; the time is in milliseconds."""

    key: str
    value: float
    time: int
    step: int


Row = list[Point]
"""Points that belong together and are written in one transaction."""


@dataclass
class Changes:
    """What a stretch of the log says about one run."""

    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    status: str | None = None
    end: int = 0
    reported: int = -1
    value: float | None = None
    outcome: str | None = None


def milliseconds(event: Event) -> int:
    """Return the time of an event as MLflow counts it."""
    return round(float(event["time"]) * 1000)


def run_title(path: str) -> str:
    """Return the name of a run in MLflow: `trial-0007`, `confirm-0007-seed-002`, `baseline-sloreta`.

    On a fold they are `confirm-0007-repeat-0-fold-3-of-5` and `baseline-repeat-0-fold-3-of-5-sloreta`.
    """
    path = re.sub(r"^trials/", "trial/", path)
    if path.startswith(f"{BASELINES_RUN}/"):
        path = f"baseline/{baseline_title(path)}"
    return path.replace("/", "-")


def run_kind(path: str) -> str:
    """Return `trial`, `replicate` or `baseline`."""
    if path.startswith("trials/"):
        return "trial"
    return "baseline" if path.startswith(BASELINES_RUN) else "replicate"


def read_changes(events: Iterable[Event], run: RunState) -> Changes:
    """Collect what the events of one run change, given what is in MLflow already."""
    changes = Changes(reported=run.reported, value=run.value, outcome=run.outcome)
    for event in events:
        kind = event["event"]
        if kind == "ask":
            changes.params |= event.get("params") or {}
            changes.tags |= _tags(event, "number", "seed", "replicate", "fold", "folds", "repeat")
        elif kind == "adopt":
            changes.params |= event["params"]
        elif kind == "begin":
            changes.tags |= _tags(event, "attempt", attempt="attempts")
            if changes.outcome is not None:
                changes.outcome, changes.status = None, "RUNNING"
        elif kind == "report":
            _add_report(changes, event)
        elif kind == "exploit":
            changes.tags |= _exploit(event)
        elif kind == "lost":
            changes.tags |= _tags(event, "reason", reason="lost")
        elif kind == "outcome":
            _add_outcome(changes, event)
        elif kind == "drop":
            _add_drop(changes, event)
    return changes


def _exploit(event: Event) -> dict[str, str]:
    """Parameters are written once in MLflow: those that a run gets later stand in a tag, by the step."""
    told = {"step": event["step"], "donor": event["donor"], "params": event["params"]}
    return {f"hpsearch.exploit.{event['step']:06d}": cut(json.dumps(told), TAG_LENGTH)}


def _add_report(changes: Changes, event: Event) -> None:
    value = _number(event.get("value"))
    if event["step"] > changes.reported and value is not None:
        changes.reported, changes.value = event["step"], value
        changes.rows.append([Point(OBJECTIVE, value, milliseconds(event), event["step"])])


def _add_outcome(changes: Changes, event: Event) -> None:
    changes.outcome, changes.end = event["outcome"], milliseconds(event)
    changes.status = STATUSES.get(event["outcome"], "FAILED")
    changes.tags |= _tags(event, "outcome", "reason", "step", "seconds", "train_size", "test_size")
    row: Row = []
    value = _number(event.get("value"))
    if value is not None and (value != changes.value or changes.reported < 0):
        # MLflow's table shows the latest of the highest step: this one has to come behind the last report
        row.append(Point(OBJECTIVE, value, changes.end + 1, max(changes.reported, event.get("step") or 0)))
        changes.value = value
    for name, score in (event.get("scores") or {}).items():
        if (number := _number(score)) is not None:
            row.append(Point(clean_key(name), number, changes.end, event.get("step") or 0))
    changes.rows.append(row)


def _add_drop(changes: Changes, event: Event) -> None:
    if changes.outcome is None:
        changes.status, changes.end = "KILLED", milliseconds(event)
    changes.outcome = DROPPED
    changes.tags |= _tags(event, "reason", reason="dropped")


def _tags(event: Event, *names: str, **titles: str) -> dict[str, str]:
    return {f"hpsearch.{titles.get(name, name)}": str(event[name]) for name in names if event.get(name) is not None}


def _number(value: Any) -> float | None:
    value = decode_number(value)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def read_rows(path: Path, run: RunState) -> tuple[list[Row], int, int]:
    """Return the new rows of a metrics.jsonl with the offset and the step behind them.

    A training that was killed takes its file up again from its last checkpoint, so that the file may have become
    shorter and steps may come twice; a step is mirrored once.
    """
    rows, step = [], run.step
    start = end = run.offset if _starts_a_line(path, run.offset) else 0
    for entry, end in read_lines(path, offset=start):  # noqa: B007 - the end of the last line is returned
        if isinstance(entry.get("step"), int) and entry["step"] > step:
            step = entry["step"]
            rows.append(_row(entry, run.start))
    return rows, end, step


def _starts_a_line(path: Path, offset: int) -> bool:
    if offset == 0 or not path.exists():
        return True
    with path.open("rb") as file:
        file.seek(offset - 1)
        return file.read(1) == b"\n"


def _row(entry: Mapping[str, Any], start: int) -> Row:
    seconds = _number(entry.get("seconds")) or 0.0
    time = start + round(seconds * 1000)
    others = ((name, _number(value)) for name, value in entry.items() if name not in ("step", "seconds"))
    row = [Point(clean_key(name), value, time, entry["step"]) for name, value in others if value is not None]
    return [*row, Point(SECONDS, seconds, time, entry["step"])]


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Turn nested dictionaries into one with dotted names; lists and empty dictionaries are values."""
    if not isinstance(value, Mapping) or not value:
        return {prefix: value} if prefix else {}
    flat: dict[str, Any] = {}
    for name, item in value.items():
        flat |= flatten(item, f"{prefix}.{name}" if prefix else str(name))
    return flat


def clean_key(name: str) -> str:
    """Return a name that MLflow accepts for a metric or a parameter."""
    name = posixpath.normpath(re.sub(r"[^/\w.\- :]", "_", name).strip("/") or "_")
    return re.sub(r"^\.", "_", name)[:KEY_LENGTH].rstrip("/")


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
