"""The contents of the log and of a run's files, as a mirror takes them: the one reader of events in this room.

How far an experiment has been mirrored is kept in `tracking.json` for MLflow, in `tracking-<name>.json` for the other
tools, so that a mirror goes on where the last one stopped. Losing MLflow's costs time, not correctness: the runs are
then found again by their tags.
"""

import json
import math
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum, auto
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from hpsearch.experiment.addresses import without_secrets
from hpsearch.experiment.events import (
    AdoptEvent,
    AskEvent,
    BeginEvent,
    DropEvent,
    EndEvent,
    Event,
    ExploitEvent,
    LostEvent,
    NoteEvent,
    OutcomeEvent,
    ReportEvent,
    RunEvent,
    SessionEvent,
)
from hpsearch.experiment.files import decode_number, encode_number, read_lines, write_compact_json
from hpsearch.experiment.layout import BASELINES_RUN, RunKind, baseline_title, run_kind
from hpsearch.experiment.log import read_events
from hpsearch.records import Fold, Outcome

STATE_VERSION = 1


@dataclass
class MirroredRun:
    """How far one run has been mirrored."""

    id: str
    """In the tool."""
    start: int = 0
    """The time of its first event, in milliseconds."""
    offset: int = 0
    """Bytes of its metrics.jsonl that have been read."""
    step: int = -1
    """The last step of metrics.jsonl that has been mirrored."""
    reported: int = -1
    """The last step reported to the search that has been mirrored."""
    value: float | None = None
    """The last objective that has been mirrored."""
    outcome: str | None = None
    configured: bool = False
    """Whether its config.json has been mirrored."""
    checkpoint: bool = False
    """Whether its best.pt has been mirrored."""
    look: int = -1
    """The last step of histograms.jsonl that has been mirrored."""
    deleted: bool = False
    """Whether the user has deleted it in the tool; it is then left alone."""


@dataclass
class MirrorState:
    """How far an experiment has been mirrored into the store at `uri` (None: the default one in the parent folder)."""

    uri: str | None = None
    experiment: str | None = None
    """The tool's number of the experiment."""
    parent: MirroredRun | None = None
    log: int = 0
    """Bytes of log.jsonl that have been read."""
    time: int = 0
    """The time of the last event read, in milliseconds."""
    concluded: int = -1
    """The value of `log` when the best trial and the counts were last written."""
    runs: dict[str, MirroredRun] = field(default_factory=dict)
    """In the order in which the runs were first seen, by their path in the experiment's folder."""


def load_state(path: Path) -> MirrorState:
    """Read the state; a file that is missing, damaged or of another version gives an empty one."""
    try:
        document = json.loads(path.read_text())
        if document.pop("version") != STATE_VERSION:
            return MirrorState()
        parent = document.pop("parent")
        document["uri"] = document.get("uri") and without_secrets(document["uri"])  # earlier versions kept them
        runs = {name: _run_state(entry) for name, entry in document.pop("runs").items()}
        return MirrorState(parent=_run_state(parent) if parent else None, runs=runs, **document)
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return MirrorState()


def state_of(path: Path, *, uri: str | None) -> MirrorState:
    """Read how far the store at `uri` has everything; an empty state if the file is about another store."""
    state = load_state(path)
    return state if state.uri == uri else MirrorState(uri=uri)


def save_state(path: Path, state: MirrorState) -> None:
    """Write the state atomically."""
    runs = {name: _entry(run) for name, run in state.runs.items()}
    parent = _entry(state.parent) if state.parent else None
    document = {"version": STATE_VERSION, **vars(state), "parent": parent, "runs": runs}
    write_compact_json(path, document)


def _entry(run: MirroredRun) -> MirroredRun | dict[str, Any]:
    """Return what is written of a run: itself, but for a number that JSON has no word for."""
    if run.value is None or math.isfinite(run.value):
        return run
    return {**vars(run), "value": encode_number(run.value)}


def _run_state(entry: dict[str, Any]) -> MirroredRun:
    return MirroredRun(**{**entry, "value": decode_number(entry["value"])})


KEY_LENGTH = 250
"""MLflow's limit, the strictest; the names are the same in all tools."""
EVENTS_AT_ONCE = 200
"""How much of the log is mirrored at least before the state is written."""

OBJECTIVE = "objective"
SECONDS = "seconds"
"""The last metric of every row: where it has arrived, the row has."""

DROPPED = "dropped"
"""Stands in the state for the outcome of a trial that does not fit the changed space any more."""


class Status(StrEnum):
    """The state of a run or a session; each tool has its own words for these."""

    RUNNING = auto()
    FINISHED = auto()
    STOPPED = auto()
    """By the search or by the user."""
    FAILED = auto()


_OUTCOMES = dict.fromkeys((Outcome.COMPLETE, Outcome.PRUNED, Outcome.STOPPED), Status.FINISHED)
"""A trial that was pruned, or stopped by a person, ended as it was meant to; its outcome is in a tag. Others failed."""
_ENDS = {"interrupted": Status.STOPPED, "failed": Status.FAILED}


class Point(NamedTuple):
    """One value of one metric; the time is in milliseconds."""

    key: str
    value: float
    time: int
    step: int


Row = list[Point]
"""Points that belong together and are written in one transaction."""


@dataclass(frozen=True)
class MirroredSession:
    """The experiment's status after the last session event of a stretch, and since when, in milliseconds."""

    status: Status
    time: int
    ended: bool
    """Whether a session ended in the stretch, even if another began after it."""


@dataclass(frozen=True)
class Stretch:
    """Successive events of a log: those of each run, and what they say of the experiment; times in milliseconds."""

    runs: Mapping[str, Sequence[RunEvent | NoteEvent]]
    session: MirroredSession | None
    start: int
    end: int
    offset: int
    """Bytes of the log up to its end."""


@dataclass
class Changes:
    """What a stretch of the log says about one run."""

    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    status: Status | None = None
    end: int = 0
    reported: int = -1
    value: float | None = None
    outcome: str | None = None
    copied: bool = False
    """Whether it goes on as a copy of another run: its metrics are in another file from here on."""


def milliseconds(seconds: float) -> int:
    """Return a time in milliseconds."""
    return round(float(seconds) * 1000)


def read_stretch(path: Path, *, offset: int, known: int = 0) -> Stretch | None:
    """Read the next events of a log; None at its end.

    `known` runs are in the state, which is written behind each stretch: the more they are, the longer it is, so that
    writing it takes no larger part of the time.
    """
    found = list(islice(read_events(path, offset=offset), max(EVENTS_AT_ONCE, known)))
    if not found:
        return None
    events = [event for event, _ in found]
    runs: dict[str, list[RunEvent | NoteEvent]] = {}
    for event in events:
        if isinstance(event, RunEvent | NoteEvent) and event.run is not None:
            runs.setdefault(event.run, []).append(event)
    start, end = milliseconds(events[0].time), milliseconds(events[-1].time)
    return Stretch(runs, read_session(events), start, end, found[-1][1])


def read_session(events: Iterable[Event]) -> MirroredSession | None:
    """Return the state of the last session, or None if no session begins or ends in these events."""
    own = [event for event in events if isinstance(event, SessionEvent | EndEvent)]
    if not own:
        return None
    last = own[-1]
    status = _ENDS.get(last.why, Status.FINISHED) if isinstance(last, EndEvent) else Status.RUNNING
    return MirroredSession(status, milliseconds(last.time), ended=any(isinstance(event, EndEvent) for event in own))


def run_title(path: str) -> str:
    """Return the name of a run in the tools: `trial-0007`, `confirm-0007-seed-002`, `baseline-sloreta`.

    On a fold they are `confirm-0007-repeat-0-fold-3-of-5` and `baseline-repeat-0-fold-3-of-5-sloreta`.
    """
    if run_kind(path) is RunKind.TRIAL:
        path = f"trial/{path.rpartition('/')[2]}"
    if path.startswith(f"{BASELINES_RUN}/"):
        path = f"baseline/{baseline_title(path)}"
    return path.replace("/", "-")


def read_changes(events: Iterable[RunEvent | NoteEvent], run: MirroredRun) -> Changes:
    """Collect what the events of one run change, given what has been mirrored already."""
    changes = Changes(reported=run.reported, value=run.value, outcome=run.outcome)
    for event in events:
        _CHANGES[type(event)](changes, event)
    return changes


def _add_ask(changes: Changes, event: AskEvent) -> None:
    changes.params |= event.params
    changes.tags |= _tags(event, "number", "seed", "replicate", "rerun")
    if event.fold is not None:
        changes.tags |= _tags(event.fold, "fold", "folds", "repeat")


def _add_adopted(changes: Changes, event: AdoptEvent) -> None:
    changes.params |= event.params


def _add_begin(changes: Changes, event: BeginEvent) -> None:
    changes.tags |= _tags(event, "attempt", attempt="attempts")
    if changes.outcome is not None:
        changes.outcome, changes.status = None, Status.RUNNING


def _add_report(changes: Changes, event: ReportEvent) -> None:
    """Remember the value: it is written once, at the end. Its course is the metric's own."""
    if event.step > changes.reported:
        changes.reported, changes.value = event.step, event.value


def _add_exploit(changes: Changes, event: ExploitEvent) -> None:
    """Parameters are written once: those that a run gets later are in a tag, by the step."""
    told = {"step": event.step, "donor": event.donor, "params": event.params}
    changes.tags[f"hpsearch.exploit.{event.step:06d}"] = json.dumps(told)
    changes.copied = True


def _add_loss(changes: Changes, event: LostEvent) -> None:
    changes.tags |= _tags(event, "reason", reason="lost")


def _add_outcome(changes: Changes, event: OutcomeEvent) -> None:
    changes.outcome, changes.end = event.outcome.value, milliseconds(event.time)
    changes.status = _OUTCOMES.get(event.outcome, Status.FAILED)
    changes.tags |= _tags(event, "outcome", "reason", "step", "seconds", "train_size", "test_size")
    row: Row = []
    changes.value = changes.value if event.value is None else event.value
    if changes.value is not None:  # behind what earlier versions wrote at every report: tables show the latest
        row.append(Point(OBJECTIVE, changes.value, changes.end + 1, max(changes.reported, event.step or 0)))
    for name, score in event.scores.items():
        if (number := _number(score)) is not None:
            row.append(Point(clean_key(name), number, changes.end, event.step or 0))
    if row:
        changes.rows.append(row)


def _add_drop(changes: Changes, event: DropEvent) -> None:
    if changes.outcome is None:
        changes.status, changes.end = Status.STOPPED, milliseconds(event.time)
    changes.outcome = DROPPED
    changes.tags |= _tags(event, "reason", reason="dropped")


def _add_note(changes: Changes, event: NoteEvent) -> None:
    """Tags of a name replace one another: each note has its own, by when it was written."""
    changes.tags[f"hpsearch.note.{datetime.fromtimestamp(event.time, UTC):%Y-%m-%d %H:%M:%S}"] = event.text


_CHANGES: Mapping[type[RunEvent | NoteEvent], Callable[[Changes, Any], None]] = {
    AskEvent: _add_ask,
    AdoptEvent: _add_adopted,
    BeginEvent: _add_begin,
    ReportEvent: _add_report,
    ExploitEvent: _add_exploit,
    LostEvent: _add_loss,
    OutcomeEvent: _add_outcome,
    DropEvent: _add_drop,
    NoteEvent: _add_note,
}


def _tags(told: RunEvent | Fold, *names: str, **titles: str) -> dict[str, str]:
    values = ((name, getattr(told, name)) for name in names)
    return {f"hpsearch.{titles.get(name, name)}": str(value) for name, value in values if value is not None}


def _number(value: Any) -> float | None:
    value = decode_number(value)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def read_rows(path: Path, run: MirroredRun) -> tuple[list[Row], int, int]:
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


def clean_key(name: str) -> str:
    """Return a name that every tool accepts for a metric or a parameter."""
    name = posixpath.normpath(re.sub(r"[^/\w.\- :]", "_", name).strip("/") or "_")
    return re.sub(r"^\.", "_", name)[:KEY_LENGTH].rstrip("/")
