"""How far an experiment has been mirrored: `tracking.json`, so that a mirror goes on where the last one stopped.

Losing this file costs time, not correctness: the runs are then found again in MLflow by their tags.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpsearch.experiment.files import decode_number, encode_number, write_atomically

STATE_VERSION = 1


@dataclass
class RunState:
    """How far one run has been mirrored."""

    id: str
    start: int = 0
    """The time of its first event, in milliseconds."""
    offset: int = 0
    """Bytes of its metrics.jsonl that have been read."""
    step: int = -1
    """The last step of metrics.jsonl in MLflow."""
    reported: int = -1
    """The last step reported to the search that is in MLflow."""
    value: float | None = None
    """The last objective in MLflow."""
    outcome: str | None = None
    configured: bool = False
    """Whether its config.json is in MLflow."""
    checkpoint: bool = False
    """Whether its best.pt is in MLflow."""
    look: int = -1
    """The last step of histograms.jsonl that has been mirrored."""
    deleted: bool = False
    """Whether the user has deleted it in MLflow; it is then left alone."""


@dataclass
class MirrorState:
    """How far an experiment has been mirrored into the store at `uri` (None: the default store beside the folder)."""

    uri: str | None = None
    experiment: str | None = None
    """MLflow's number of the experiment."""
    parent: RunState | None = None
    log: int = 0
    """Bytes of log.jsonl that have been read."""
    time: int = 0
    """The time of the last event read, in milliseconds."""
    concluded: int = -1
    """The value of `log` when the best trial and the counts were last written."""
    runs: dict[str, RunState] = field(default_factory=dict)
    """In the order in which the runs were first seen, by their path in the experiment's folder."""


def load_state(path: Path) -> MirrorState:
    """Read the state; a file that is missing, damaged or of another version gives an empty one."""
    try:
        document = json.loads(path.read_text())
        if document.pop("version") != STATE_VERSION:
            return MirrorState()
        parent = document.pop("parent")
        runs = {name: _run_state(entry) for name, entry in document.pop("runs").items()}
        return MirrorState(parent=_run_state(parent) if parent else None, runs=runs, **document)
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return MirrorState()


def save_state(path: Path, state: MirrorState) -> None:
    """Write the state atomically."""
    runs = {name: _entry(run) for name, run in state.runs.items()}
    parent = _entry(state.parent) if state.parent else None
    document = {"version": STATE_VERSION, **vars(state), "parent": parent, "runs": runs}
    write_atomically(path, json.dumps(document, allow_nan=False) + "\n")


def _entry(run: RunState) -> dict[str, Any]:
    return {**vars(run), "value": None if run.value is None else encode_number(run.value)}


def _run_state(entry: dict[str, Any]) -> RunState:
    return RunState(**{**entry, "value": decode_number(entry["value"])})
