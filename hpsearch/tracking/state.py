"""How far an experiment has been mirrored, so that a mirror goes on where the last one stopped.

It stands in `tracking.json` for MLflow, in `tracking-<name>.json` for the other tools. Losing MLflow's costs time, not
correctness: the runs are then found again by their tags.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpsearch.experiment.files import decode_number, encode_number, write_atomically

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
    """How far an experiment has been mirrored into the store at `uri` (None: the default one beside the folder)."""

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
    write_atomically(path, json.dumps(document, allow_nan=False) + "\n")


def _entry(run: MirroredRun) -> dict[str, Any]:
    return {**vars(run), "value": None if run.value is None else encode_number(run.value)}


def _run_state(entry: dict[str, Any]) -> MirroredRun:
    return MirroredRun(**{**entry, "value": decode_number(entry["value"])})
