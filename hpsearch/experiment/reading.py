"""Reading a finished or running experiment back from its folder."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.errors import ExperimentError
from hpsearch.experiment.files import decode_number, read_lines
from hpsearch.experiment.layout import BASELINES_RUN, FORMAT_VERSION, LOG, METRICS, RESOLVED, is_experiment
from hpsearch.experiment.log import Event, read_log
from hpsearch.records import BaselineRecord, Change, ExperimentRecord, Goal, Monitor, Outcome, RunRecord


def read_resolved(folder: Path) -> dict[str, Any]:
    """Return resolved.json. Errors: ExperimentError when the folder is no experiment or from a newer hpsearch."""
    if not is_experiment(folder):
        raise ExperimentError(f"{folder} is not an experiment: it has no {RESOLVED}{_neighbours(folder)}")
    try:
        resolved: dict[str, Any] = json.loads((folder / RESOLVED).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ExperimentError(f"{folder / RESOLVED} is not valid JSON: {error}") from error
    if isinstance(resolved, dict) and resolved.get("version", 0) > FORMAT_VERSION:
        raise ExperimentError(f"{folder} was written by a newer hpsearch (format {resolved['version']})")
    if not isinstance(resolved, dict) or "space" not in resolved:
        raise ExperimentError(f"{folder / RESOLVED} does not describe an experiment")
    return resolved


def _neighbours(folder: Path) -> str:
    """Name the experiments that stand nearby, for somebody who mistyped one."""
    for place in (folder, folder.parent):
        names = sorted(path.parent.name for path in place.glob(f"*/{RESOLVED}")) if place.is_dir() else []
        if names:
            return f"; {place} holds: {', '.join(names)}"
    return ""


def read_experiment(folder: Path) -> ExperimentRecord:
    """Return the record of an experiment; a torn end of its log is left out and named in the warnings."""
    resolved = read_resolved(folder)
    runs: dict[str, RunRecord] = {}
    baselines: list[BaselineRecord] = []
    elapsed, dropped = 0.0, set[int]()
    for event in read_log(folder / LOG):
        elapsed = max(elapsed, event["elapsed"])
        run = event.get("run", "")
        if run.startswith(f"{BASELINES_RUN}/"):
            if event["event"] == "outcome":
                baselines.append(BaselineRecord(run.removeprefix(f"{BASELINES_RUN}/"), event["scores"]))
        elif event["event"] == "drop":
            dropped.add(runs.pop(run).number)
        elif event["event"] == "exploit":
            runs[run] = _copied(runs[run], runs[event["donor"]], event)
        elif run:
            runs[run] = _after(runs.get(run), event)
    space = resolved["space"]
    return ExperimentRecord(
        name=folder.name,
        folder=str(folder),
        family=space["family"],
        objective=Monitor(space["objective"]["metric"], Goal(space["objective"]["goal"])),
        at=space["objective"]["at"],
        trials=_sorted(record for record in runs.values() if record.replicate is None),
        replicates=_sorted(
            record for record in runs.values() if record.replicate is not None and record.number not in dropped
        ),
        baselines=tuple(baselines),
        unit=resolved.get("unit", "epoch"),
        elapsed=elapsed,
        warnings=tuple(_warnings(folder, len(dropped))),
    )


def _sorted(records: Iterable[RunRecord]) -> tuple[RunRecord, ...]:
    return tuple(sorted(records, key=lambda record: (record.number, record.replicate or 0)))


def _after(record: RunRecord | None, event: Event) -> RunRecord:
    """Return the record of a run after one more event."""
    kind = event["event"]
    if record is None or kind == "ask":
        return RunRecord(
            run=event["run"],
            number=event["number"],
            params=event["params"],
            seed=event["seed"],
            replicate=event.get("replicate"),
        )
    if kind == "begin":
        return replace(record, attempts=event["attempt"])
    if kind == "report":
        history = (*record.history, (event["step"], event["value"]))
        return replace(record, history=history, value=event["value"], step=event["at"], seconds=event["seconds"])
    if kind == "outcome":
        return replace(
            record,
            outcome=Outcome(event["outcome"]),
            reason=event["reason"],
            value=event["value"],
            step=event["step"],
            seconds=event["seconds"],
            scores=event["scores"],
        )
    return record


def _copied(record: RunRecord, donor: RunRecord, event: Event) -> RunRecord:
    """Return the record of a run that goes on as a copy of another, with other parameters."""
    change = Change(event["step"], event["donor"], donor.params, event["params"])
    return replace(
        donor,
        run=record.run,
        number=record.number,
        attempts=record.attempts,
        params=event["params"],
        changes=(*donor.changes, change),
    )


def _warnings(folder: Path, dropped: int) -> list[str]:
    found = []
    if dropped:
        found.append(f"{dropped} earlier trials do not fit the changed space and are left out")
    log = folder / LOG
    ends = [0, *(behind for _, behind in read_lines(log))]
    rest = log.read_bytes()[ends[-1] :] if log.exists() else b""
    if b"\n" in rest[:-1]:
        found.append(f"{log}: line {len(ends)} is damaged; it and all behind it were left out")
    elif rest:
        found.append(f"{log}: the last line is torn and was left out")
    return found


def read_metrics(folder: Path, run: str) -> list[dict[str, Any]]:
    """Return the rows of a run's metrics file: `step`, `seconds` and flat metric names."""
    return [
        {name: decode_number(value) for name, value in row.items()} for row, _ in read_lines(folder / run / METRICS)
    ]
