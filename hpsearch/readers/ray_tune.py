"""Ray Tune's folders: trials with `result.json` and `params.json`. Needs no Ray and unpickles nothing."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.errors import DataError
from hpsearch.readers import Reading, Wanted
from hpsearch.readers.measurements import Logged
from hpsearch.readers.naming import flatten, unit_keys
from hpsearch.readers.parameter_files import parse_json
from hpsearch.records import FinishedRun, Outcome, SearchOrigin

RESULT, PARAMS = "result.json", "params.json"
_NAN = "null"
"""What Ray writes for a NaN of NumPy's, as text."""
_BOOKKEEPING = {
    *("timestamp", "pid", "time_this_iter_s", "time_total_s", "time_since_restore", "iterations_since_restore"),
    *("training_iteration", "done", "config", "date", "hostname", "node_ip", "trial_id", "experiment_tag"),
    *("checkpoint_dir_name", "timesteps_total", "timesteps_since_restore", "episodes_total", "warmup_time"),
}


def recognises(path: Path) -> bool:
    """Say whether a folder holds trials of Ray Tune."""
    return path.is_dir() and next(_trials(path), None) is not None


def read(path: Path, wanted: Wanted) -> Reading:
    """Return a run for each trial; Ray does not tell which of them a scheduler stopped, but their steps do."""
    statuses = _statuses(path)
    runs = [_read_trial(path, folder, wanted, statuses) for folder in _trials(path)]
    proposed = _are_proposed(runs)
    origin = SearchOrigin(metric="")
    return Reading(tuple(replace(run, search=origin, trial=run.run) if proposed else run for run in runs))


def _trials(path: Path) -> Iterator[Path]:
    yield from (file.parent for file in sorted(path.glob(f"*/{PARAMS}")) if (file.parent / RESULT).is_file())


def _read_trial(path: Path, folder: Path, wanted: Wanted, statuses: dict[str, str]) -> FinishedRun:
    logged, last = Logged(), dict[str, Any]()
    for last in _rows(folder / RESULT):
        row = {name: value for name, value in flatten(last).items() if name.split(".")[0] not in _BOOKKEEPING}
        row = {name: math.nan if value == _NAN else value for name, value in row.items()}
        logged.add_row(int(last.get("training_iteration", 0)), row)
    params = flatten(parse_json(folder / PARAMS))
    status = statuses.get(str(last.get("trial_id")))
    # A trial that failed, was tried again and completed keeps its error.txt: the state knows better.
    error = status == "ERROR" if status is not None else (folder / "error.txt").exists()
    ended = status in (None, "ERROR", "TERMINATED")
    return FinishedRun(
        experiment=path.name,
        run=folder.name,
        outcome=Outcome.FAILED if error else Outcome.COMPLETE if ended else None,
        params=params,
        metrics=logged.metrics(),
        histories=logged.histories(wanted),
        **unit_keys(params),  # type: ignore[arg-type] # its keys are the names of these fields
        steps=logged.steps,
        seconds=last.get("time_total_s"),
        dropped="it reported nothing" if not last else None if ended else f"its status is {status}: it has not ended",
        source=str(folder),
    )


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the reports; a last line that was cut off when the process ended is left out. Errors: DataError."""
    lines = [line for line in file.read_text(encoding="utf-8").split("\n") if line.strip()]
    for number, line in enumerate(lines, start=1):
        try:
            yield json.loads(line)
        except ValueError as error:
            if number < len(lines):
                raise DataError(f"{file}: report {number} is not valid JSON: {error}") from error


def _statuses(path: Path) -> dict[str, str]:
    """Return how each trial ended, from the newest state of the experiment."""
    states = sorted(path.glob("experiment_state-*.json"))
    if not states:
        return {}
    content = parse_json(states[-1])
    trials = [json.loads(entry[0]) if isinstance(entry, list) else entry for entry in content.get("trial_data", [])]
    return {str(trial.get("trial_id")): str(trial.get("status")) for trial in trials}


def _are_proposed(runs: list[FinishedRun]) -> bool:
    """Say whether the trials are those of a search: of several configurations, none planned for a seed or fold."""
    planned = any(unit_keys(run.params) for run in runs)
    return not planned and len({json.dumps(run.params, sort_keys=True, default=str) for run in runs}) > 1
