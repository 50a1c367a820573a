"""An experiment's runs as pandas tables, and as files for other programs."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from hpsearch.cleaning import csv_cell
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.extras import Extra, require
from hpsearch.records import ExperimentRecord, RunRecord
from hpsearch.report.replicates import fold_fields
from hpsearch.report.wording import plain, spread

_TRIAL = ("number", "outcome", "reason", "value", "step", "seconds", "seed", "attempts")
_REPLICATE = ("number", "replicate", "outcome", "reason", "value", "step", "seconds", "seed", "attempts")
_FOLD = ("folds", "repeat", "fold", "train_size", "test_size")
_KINDS = {"value": "float64", "seconds": "float64", "step": "Int64", "outcome": "str", "reason": "str"}
_KINDS |= dict.fromkeys(_FOLD, "Int64")


def trials_frame(record: ExperimentRecord) -> pd.DataFrame:
    """Return a row for each trial; parameters are columns `params.<name>`, missing where it has none.

    Where seeds were raced, `seeds` says of how many the value is the mean, and `sd` their standard deviation.
    """
    rows = [_row(trial, _TRIAL) | {f"params.{k}": v for k, v in trial.params.items()} for trial in record.trials]
    if record.reruns:
        for row, trial in zip(rows, record.trials, strict=True):
            row |= {"seeds": len(trial.by_seed) or 1, "sd": spread(trial.by_seed)}
    return _frame(rows, _TRIAL)


def replicates_frame(record: ExperimentRecord) -> pd.DataFrame:
    """Return a row for each replicate; its test scores are columns of their own names, and so are folds."""
    rows = [_row(each, _REPLICATE) | fold_fields(each) | dict(each.scores) for each in record.replicates]
    on_folds = any(each.fold is not None for each in record.replicates)
    return _frame(rows, (*_REPLICATE, *_FOLD) if on_folds else _REPLICATE)


def _row(run: RunRecord, names: Iterable[str]) -> dict[str, Any]:
    row = {name: getattr(run, name) for name in names}
    return row | {"outcome": None if run.outcome is None else run.outcome.value}


def _frame(rows: list[dict[str, Any]], names: Iterable[str]) -> pd.DataFrame:
    columns = list(dict.fromkeys([*names, *(name for row in rows for name in row)]))
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({name: kind for name, kind in _KINDS.items() if name in columns})


TABLE_FORMATS = ("csv", "parquet")


def export_table(record: ExperimentRecord, path: str | Path, to: str | None = None) -> None:
    """Write a row for each trial `to` csv or parquet, by default as the file's ending says; an existing file is kept.

    In Parquet a parameter whose values are of several kinds, or lists, becomes text.

    Raises:
        UnknownNameError: If the format is another one.
        HpsearchError: If the file exists, or its folder does not; if Parquet needs a package that is not installed.

    """
    path = Path(path)
    to = path.suffix.removeprefix(".") if to is None else to
    if to not in TABLE_FORMATS:
        raise UnknownNameError("table format", to, TABLE_FORMATS)
    if path.exists():
        raise HpsearchError(f"{path} exists; hpsearch does not write over files")
    if not path.parent.is_dir():
        raise HpsearchError(f"the folder {path.parent} does not exist")
    frame = trials_frame(record)
    if to == "csv":
        texts = {name: frame[name].map(csv_cell) for name in frame.select_dtypes(["object", "str"]).columns}
        frame.assign(**texts).rename(columns=csv_cell).to_csv(path, index=False)
        return
    require("a table in Parquet", Extra.PARQUET)
    mixed: list[str] = list(frame.select_dtypes("object", exclude="str").columns)
    for name in mixed:
        frame[name] = frame[name].map(_text, na_action="ignore")
    frame.to_parquet(path, index=False)


def _text(value: Any) -> str:
    return plain(value)
