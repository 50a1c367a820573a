"""Runs that keep `metrics.csv`, `metrics.json` or `metrics.jsonl`: hand-written loops, Lightning's CSVLogger.

runs/lr_0.001_dim_256/metrics.json      [{"step": 1, "val_loss": 2.1}, ...], {"val_loss": 2.1}, or columns
runs/lr_0.001_dim_256/config.yaml       the parameters, where there is such a file
mymodel/version_0/metrics.csv           Lightning, with hparams.yaml
"""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpsearch.errors import DataError
from hpsearch.readers import Reading, Wanted
from hpsearch.readers.measurements import Logged, as_step
from hpsearch.readers.naming import parse_folder_name, unit_keys
from hpsearch.readers.parameter_files import read_parameters
from hpsearch.records import FinishedRun

FILES = ("metrics.jsonl", "metrics.json", "metrics.csv")
_STEPS = ("step", "global_step", "iteration", "epoch")
_VERSION = re.compile(r"version_\d+$")
"""Lightning's name of a run, which says nothing."""


def recognises(path: Path) -> bool:
    """Say whether a folder is such a run."""
    return path.is_dir() and any((path / name).is_file() for name in FILES)


def read(path: Path, wanted: Wanted) -> Reading:
    """Return the run. Errors: DataError, which names file and line."""
    file = next(path / name for name in FILES if (path / name).is_file())
    logged = Logged()
    for place, row in enumerate(_rows(file)):
        step = next((found for name in _STEPS if (found := as_step(row.get(name))) is not None), place)
        logged.add_row(step, {name: value for name, value in row.items() if name not in _STEPS})
    titled = path.parent if _VERSION.match(path.name) else path
    name = parse_folder_name(titled.name)
    params = {**name.params, **read_parameters(path)}
    metrics = logged.metrics()
    run = FinishedRun(
        experiment=name.rest or titled.parent.name,
        run=path.name,
        params=params,
        metrics=metrics,
        histories=logged.histories(wanted),
        **{**unit_keys(params), **name.units},  # type: ignore[arg-type] # its keys are the names of these fields
        steps=logged.steps,
        dropped=None if metrics else f"{file.name} holds no number",
        source=str(path),
    )
    return Reading((run,))


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    if file.suffix == ".csv":
        with file.open(encoding="utf-8-sig", newline="") as lines:
            yield from csv.DictReader(lines)
    elif file.suffix == ".jsonl":
        for number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), start=1):
            if line.strip():
                yield from _as_rows(_parse(line, f"{file}:{number}"), f"{file}:{number}")
    else:
        yield from _as_rows(_parse(file.read_text(encoding="utf-8"), str(file)), str(file))


def _parse(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"{place} is not valid JSON: {error}") from error


def _as_rows(content: Any, place: str) -> Iterator[dict[str, Any]]:
    """Yield rows from a list of objects, from one object of numbers, or from one object of columns."""
    if isinstance(content, list) and all(isinstance(row, dict) for row in content):
        yield from content
    elif isinstance(content, dict) and content and all(isinstance(value, list) for value in content.values()):
        for values in zip(*content.values(), strict=False):
            yield dict(zip(content, values, strict=True))
    elif isinstance(content, dict):
        yield content
    else:
        raise DataError(f"{place}: metrics are an object, a list of objects, or an object of lists")
