"""Runs that keep `metrics.csv`, `metrics.json` or `metrics.jsonl`: hand-written loops, Lightning's CSVLogger.

runs/lr_0.001_dim_256/metrics.json      [{"step": 1, "val_loss": 2.1}, ...], {"val_loss": 2.1}, or columns
runs/lr_0.001_dim_256/config.yaml       the parameters, where there is such a file
mymodel/version_0/metrics.csv           Lightning, with hparams.yaml
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpsearch.errors import DataError
from hpsearch.readers import Reading, Wanted
from hpsearch.readers.measurements import Logged, as_step
from hpsearch.readers.naming import flatten, home_of, unit_keys
from hpsearch.readers.numerals import COMMA, decimal_mark, parse_number
from hpsearch.readers.text_files import MOST_JSON, bounded_rows, is_cut_off, json_lines, read_parameters, read_text
from hpsearch.records import FinishedRun

FILES = ("metrics.jsonl", "metrics.json", "metrics.csv")
_SEPARATORS = ";\t|"
_STEPS = ("step", "global_step", "iteration", "epoch")

Rows = Sequence[Mapping[str, Any]]


def recognises(path: Path) -> bool:
    """Check whether a folder is such a run."""
    return path.is_dir() and any((path / name).is_file() for name in FILES)


def read(path: Path, wanted: Wanted) -> Reading:
    """Return the run.

    Raises:
        DataError: a file cannot be read; it names file and line.
    """
    file = next(path / name for name in FILES if (path / name).is_file())
    logged = Logged(in_time=True)
    rows, warnings = _rows(file, wanted)
    _collect(rows, logged)
    noted = read_parameters(path)
    home = home_of(path, dataset=unit_keys(noted).get("dataset"))
    params = {**home.params, **noted}
    metrics = logged.metrics()
    run = FinishedRun(
        experiment=home.experiment,
        run=path.name,
        params=params,
        metrics=metrics,
        histories=logged.histories(wanted),
        **{**unit_keys(params), **home.units},  # type: ignore[arg-type] # its keys are the names of these fields
        steps=logged.steps,
        dropped=None if metrics else f"{file.name} holds no number",
        source=str(path),
        place=home.place,
    )
    return Reading((run,), warnings=(*warnings, *logged.restart_warning(file, wanted)))


def _collect(rows: Rows, logged: Logged) -> None:
    """Take in the rows at the steps of one column, the most telling that any row has; else they are counted.

    A row without that step, such as one for an epoch between those for steps, belongs to the step before it.
    """
    column = next((name for name in _STEPS if any(as_step(row.get(name)) is not None for row in rows)), None)
    last = 0
    for number, row in enumerate(rows):
        step = as_step(row.get(column)) if column else number
        last = max(last, number) if step is None else step
        logged.add_row(last, {name: value for name, value in row.items() if name not in _STEPS})


def _rows(file: Path, wanted: Wanted) -> tuple[Rows, tuple[str, ...]]:
    """Return the rows of a file, nested names dotted, and what was left out of it."""
    if file.suffix == ".csv":
        return _table_rows(file, wanted), ()
    if file.suffix == ".jsonl":
        lines, warnings = json_lines(file)
        return [row for number, value in lines for row in _as_rows(value, f"{file}:{number}")], warnings
    text = read_text(file, most=MOST_JSON)
    try:
        return (_as_rows(json.loads(text), str(file)) if text.strip(" \t\r\n\0") else []), ()
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file} is not valid JSON: {error}") from error


def _table_rows(file: Path, wanted: Wanted) -> Rows:
    """Return the rows of a table; one that was cut off, with fewer cells and no end of line, is left out.

    Semicolons, tabs and bars separate cells where the header has no comma; then a comma may be the decimal mark.
    """
    text = read_text(file)
    header = text.lstrip("\r\n").partition("\n")[0]
    separator = next((mark for mark in (COMMA, *_SEPARATORS) if mark in header), COMMA)
    try:
        lines = list(bounded_rows(csv.reader(io.StringIO(text, newline=""), delimiter=separator), file))
    except csv.Error as error:
        raise DataError(f"{file} cannot be read as a table: {error}") from error
    lines = [cells for cells in lines if cells]
    if not lines:
        return []
    names = [name.strip() for name in lines[0]]
    cut = len(lines[-1]) < len(names) or is_cut_off(lines[-1][-1])
    if cut and not text.endswith(("\n", "\r")):
        del lines[-1]
    rows = [dict(zip(names, cells, strict=False)) for cells in lines[1:]]
    if separator == COMMA:
        return rows
    columns = {name: [row.get(name) for row in rows] for name in names}
    mark = wanted.decimal or decimal_mark(columns, separator=separator, place=str(file))
    return [{name: parse_number(cell, mark) for name, cell in row.items()} for row in rows]


def _as_rows(content: Any, place: str) -> Rows:
    """Return rows from a list of objects or an object of them by step, from one of numbers, or one of columns."""
    if isinstance(content, list) and all(isinstance(row, dict) for row in content):
        return [flatten(row) for row in content]
    if not isinstance(content, dict):
        raise DataError(f"{place}: metrics are an object, a list of objects, or an object of lists")
    if content and all(str(name).isdecimal() and isinstance(row, dict) for name, row in content.items()):
        return [{"step": int(step), **flatten(row)} for step, row in content.items()]
    flat = flatten(content)
    columns = {name: value for name, value in flat.items() if isinstance(value, list)}
    if not columns:
        return [flat]
    rows = _column_rows(columns)
    rows[-1] |= {name: value for name, value in flat.items() if name not in {*columns, *_STEPS}}
    return rows


def _column_rows(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return rows from columns, each with its own length.

    A column that is shorter by a whole factor was written at every second or third step, as by Keras'
    `validation_freq`; another shorter one is counted from the first step.
    """
    longest = max(1, *map(len, columns.values()))
    rows: list[dict[str, Any]] = [{} for _ in range(longest)]
    for name, values in columns.items():
        every = longest // len(values) if values and longest % len(values) == 0 else 1
        for number, value in enumerate(values, start=1):
            rows[number * every - 1][name] = value
    return rows
