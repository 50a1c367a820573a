"""Tables of results: CSV, Parquet or JSON lines, in long form (a row for each run) or in wide form.

long     experiment,seed,status,accuracy        a row is a run; further number columns are metrics, but for
         baseline,0,complete,0.91               learning rates: they and texts are parameters
wide     dataset,baseline,ours                  a row is a seed, fold or data set, a column a method
         iris,0.95,0.96
"""

import re
from pathlib import Path
from typing import Any

import pandas as pd

from hpsearch.errors import DataError, UnknownNameError
from hpsearch.readers import Reading, Wanted
from hpsearch.readers.measurements import Logged, as_number, as_step
from hpsearch.readers.naming import UNIT_WORDS, as_key
from hpsearch.records import FinishedRun, Measurement, Outcome, SearchOrigin

ENDINGS = (".csv", ".tsv", ".parquet", ".jsonl")
SCORE = "score"
"""The metric of a wide table, which does not name it."""
_EXPERIMENT = ("experiment", "method", "model", "algorithm", "arm", "name")
_STATUS, _STEP, _TRIAL, _RUN = ("status", "outcome", "state"), ("step", "epoch"), ("trial", "number"), ("run", "run_id")
_SECONDS = ("seconds", "time", "duration")
_RATE = re.compile(r"(^|\W)(lr|learning_rate)$")
"""A number that is a parameter where a row is a whole training, though its column does not say `params.`."""
_COMPLETE = {"complete", "completed", "finished", "ok", "success", "succeeded", "terminated", "done"}


def recognises(path: Path) -> bool:
    """Say whether a file is a table, by its ending."""
    return path.is_file() and path.suffix.lower() in ENDINGS


def read(path: Path, wanted: Wanted) -> Reading:
    """Return a run for each row, or for each group of rows that differ in the step only. Errors: DataError."""
    frame = _load(path)
    named = _columns(frame)
    taken = set(named.values())
    metrics = [name for name in frame.columns if name not in taken and pd.api.types.is_numeric_dtype(frame[name])]
    metrics = [name for name in metrics if not str(name).startswith("params.")]
    if not metrics:
        besides = ", ".join(sorted(map(str, taken))) or "none"
        raise DataError(f"{path} has no column of numbers besides {besides}{_texts_among_numbers(frame, taken)}")
    groups = _histories(frame, named)
    if groups is None:
        groups = [[row] for row in frame.to_dict("records")]
        metrics = [name for name in metrics if not _RATE.search(str(name).lower())] or metrics
    return Reading(tuple(_long(path, group, named, metrics, wanted) for group in groups))


def _histories(frame: pd.DataFrame, named: dict[str, str]) -> list[list[dict[Any, Any]]] | None:
    """Return the rows of each run, where a run has rows of several steps; None where each row is a run."""
    if "step" not in named:
        return None
    identity = [column for part, column in named.items() if part not in ("step", "status", "seconds")]
    groups: dict[Any, list[dict[Any, Any]]] = {}
    for row in frame.to_dict("records"):
        groups.setdefault(tuple(str(row[name]) for name in identity), []).append(row)
    several = any(len({str(row[named["step"]]) for row in group}) > 1 for group in groups.values())
    return list(groups.values()) if several else None


def _texts_among_numbers(frame: pd.DataFrame, taken: set[str]) -> str:
    """Name the first cell that keeps a column from being one of numbers, if most of the column's cells are."""
    for name in (name for name in frame.columns if name not in taken):
        filled = frame[name].dropna()
        texts = filled[pd.to_numeric(filled, errors="coerce").isna()]
        if 0 < len(texts) < len(filled) / 2:
            row = list(frame.index).index(texts.index[0]) + 1
            return f"; column '{name}' holds the text '{texts.iloc[0]}' in row {row}"
    return ""


def read_wide(path: Path, unit: str) -> Reading:
    """Return a run for each cell of a table whose rows are seeds, folds or data sets and whose columns are methods.

    The unit's column is the one of that name, else the first. Errors: DataError; UnknownNameError for another unit.
    """
    if unit not in UNIT_WORDS:
        raise UnknownNameError("unit of a wide table", unit, UNIT_WORDS)
    frame = _load(path)
    key = next((name for name in frame.columns if str(name).lower() in UNIT_WORDS[unit]), frame.columns[0])
    methods = [name for name in frame.columns if name != key and pd.api.types.is_numeric_dtype(frame[name])]
    if len(methods) < 1:
        raise DataError(f"{path} has no column of numbers besides '{key}'")
    runs = [
        FinishedRun(
            experiment=str(method),
            run=f"{method}/{row[key]}",
            metrics={SCORE: Measurement(float(row[method]))},
            **{unit: as_key(row[key])},  # type: ignore[arg-type] # the name of the field
            source=str(path),
        )
        for row in frame.to_dict("records")
        for method in methods
    ]
    return Reading(tuple(runs), main=SCORE)


def _load(path: Path) -> pd.DataFrame:
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        if path.suffix.lower() == ".jsonl":
            return pd.read_json(path, lines=True)
        return pd.read_csv(path, sep="\t" if path.suffix.lower() == ".tsv" else ",")
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path} is empty") from error
    except (ValueError, OSError, pd.errors.ParserError) as error:
        raise DataError(f"{path} cannot be read as a table: {' '.join(str(error).split())}") from error


def _columns(frame: pd.DataFrame) -> dict[str, str]:
    """Return which column plays which part."""
    words = {"experiment": _EXPERIMENT, "status": _STATUS, "step": _STEP, "trial": _TRIAL, "run": _RUN}
    words |= {"seconds": _SECONDS, **UNIT_WORDS}
    lower = {str(name).lower(): str(name) for name in frame.columns}
    return {part: lower[word] for part, names in words.items() for word in reversed(names) if word in lower}


def _long(
    path: Path, group: list[dict[Any, Any]], named: dict[str, str], metrics: list[str], wanted: Wanted
) -> FinishedRun:
    row = group[-1]
    logged = Logged()
    for number, each in enumerate(group):
        step = as_step(each[named["step"]]) if "step" in named else number
        if step is None:
            continue  # a row without a step belongs nowhere
        logged.add_row(step, {name: each[name] for name in metrics if not pd.isna(each[name]) or len(group) == 1})
    units = {unit: as_key(row[named[unit]]) for unit in UNIT_WORDS if unit in named}
    trial = as_key(row[named["trial"]]) if "trial" in named else None
    experiment = str(row[named["experiment"]]) if "experiment" in named else path.stem
    words = [str(part) for part in (trial, *units.values()) if part is not None]
    outcome, reason = _outcome(str(row[named["status"]]) if "status" in named else "complete")
    measured = logged.metrics()
    if "step" not in named:
        measured = {name: Measurement(metric.value) for name, metric in measured.items()}
    return FinishedRun(
        experiment=experiment,
        run=str(row[named["run"]]) if "run" in named else "/".join([experiment, *words]),
        outcome=outcome,
        reason=reason,
        params={re.sub(r"^params\.", "", str(name)): row[name] for name in row if _is_parameter(name, named, metrics)},
        metrics=measured,
        histories=logged.histories(wanted),
        **units,  # type: ignore[arg-type] # its keys are the names of these fields
        trial=trial,
        search=SearchOrigin("") if trial is not None and units.get("seed") is None else None,
        steps=logged.steps if "step" in named else None,
        seconds=as_number(row[named["seconds"]]) if "seconds" in named else None,
        source=str(path),
    )


def _is_parameter(name: Any, named: dict[str, str], metrics: list[str]) -> bool:
    return name not in named.values() and name not in metrics


def _outcome(status: str) -> tuple[Outcome, str | None]:
    """Return the outcome that a status says; an unknown word is a failure with that word as its reason."""
    word = status.strip().lower()
    if word in _COMPLETE:
        return Outcome.COMPLETE, None
    known = word if word in set(Outcome) else Outcome.FAILED.value
    return Outcome(known), f"its status is '{status}'"
