"""Ray Tune's folders: trials with `result.json` and `params.json`. Needs no Ray and unpickles nothing."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpsearch.readers import Reading, Wanted
from hpsearch.readers.measurements import Logged, as_step
from hpsearch.readers.naming import as_trial, flatten, place_of, planned, several_settings, unit_keys
from hpsearch.readers.text_files import json_lines, parse_json
from hpsearch.records import FinishedRun, Outcome, SearchOrigin

RESULT, PARAMS, ERROR = "result.json", "params.json", "error.txt"
_NAN = "null"
"""What Ray writes for a NaN of NumPy's, as text."""
_BOOKKEEPING = {
    *("timestamp", "pid", "time_this_iter_s", "time_total_s", "time_since_restore", "iterations_since_restore"),
    *("training_iteration", "done", "config", "date", "hostname", "node_ip", "trial_id", "experiment_tag"),
    *("checkpoint_dir_name", "timesteps_total", "timesteps_since_restore", "episodes_total", "warmup_time"),
}


def recognises(path: Path) -> bool:
    """Check whether a folder holds trials of Ray Tune."""
    return path.is_dir() and any((folder / RESULT).is_file() for folder in _trials(path))


def read(path: Path, wanted: Wanted) -> Reading:
    """Return a run for each trial; Ray does not tell which of them a scheduler stopped, but their steps do."""
    statuses, warnings = _statuses(path), list[str]()
    runs = [_read_trial(path, folder, wanted, statuses, warnings) for folder in _trials(path)]
    params, origin = [run.params for run in runs], SearchOrigin(metric="")
    if several_settings(params):
        repeating = planned(params)
        runs = [run if own else as_trial(run, origin, run.run) for run, own in zip(runs, repeating, strict=True)]
    return Reading(tuple(runs), warnings=tuple(warnings))


def _trials(path: Path) -> Iterator[Path]:
    """Yield the trials' folders, of those too that failed before they reported anything."""
    for folder in (file.parent for file in sorted(path.glob(f"*/{PARAMS}"))):
        if (folder / RESULT).is_file() or (folder / ERROR).is_file():
            yield folder


def _read_trial(path: Path, folder: Path, wanted: Wanted, statuses: dict[str, str], warnings: list[str]) -> FinishedRun:
    logged, last = Logged(in_time=True), dict[str, Any]()
    lines, left_out = json_lines(folder / RESULT) if (folder / RESULT).is_file() else ([], ())
    warnings += left_out
    for last in (line for _, line in lines if isinstance(line, dict)):
        row = {name: value for name, value in flatten(last).items() if name.split(".")[0] not in _BOOKKEEPING}
        row = {name: math.nan if value == _NAN else value for name, value in row.items()}
        logged.add_row(as_step(last.get("training_iteration")) or 0, row)
    warnings += logged.restart_warning(folder / RESULT, wanted)
    params = flatten(parse_json(folder / PARAMS))
    status = statuses.get(str(last.get("trial_id")))
    # A trial that failed, was tried again and completed keeps its error.txt: the state knows better.
    error = status == "ERROR" if status is not None else (folder / ERROR).exists()
    ended = status in (None, "ERROR", "TERMINATED")
    return FinishedRun(
        experiment=place_of(path)[0],
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
        place=place_of(path)[1:],
    )


def _statuses(path: Path) -> dict[str, str]:
    """Return the outcome of each trial, from the newest state of the experiment."""
    states = sorted(path.glob("experiment_state-*.json"))
    if not states:
        return {}
    content = parse_json(states[-1])
    trials = [json.loads(entry[0]) if isinstance(entry, list) else entry for entry in content.get("trial_data", [])]
    return {str(trial.get("trial_id")): str(trial.get("status")) for trial in trials}
