"""An experiment as pandas tables."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from hpsearch.records import ExperimentRecord, RunRecord
from hpsearch.report.replicates import fold_fields

_TRIAL = ("number", "outcome", "reason", "value", "step", "seconds", "seed", "attempts")
_REPLICATE = ("number", "replicate", "outcome", "reason", "value", "step", "seconds", "seed", "attempts")
_FOLD = ("folds", "repeat", "fold", "train_size", "test_size")
_KINDS = {"value": "float64", "seconds": "float64", "step": "Int64", "outcome": "str", "reason": "str"}
_KINDS |= dict.fromkeys(_FOLD, "Int64")


def trials_frame(record: ExperimentRecord) -> pd.DataFrame:
    """Return a row for each trial; parameters are columns `params.<name>`, missing where it has none."""
    rows = [_row(trial, _TRIAL) | {f"params.{k}": v for k, v in trial.params.items()} for trial in record.trials]
    return _frame(rows, _TRIAL)


def replicates_frame(record: ExperimentRecord) -> pd.DataFrame:
    """Return a row for each replicate; its test scores are columns of their own names, and so are folds."""
    rows = [_row(each, _REPLICATE) | fold_fields(each) | dict(each.scores) for each in record.replicates]
    on_folds = any(each.fold is not None for each in record.replicates)
    return _frame(rows, (*_REPLICATE, *_FOLD) if on_folds else _REPLICATE)


def history_frame(record: ExperimentRecord) -> pd.DataFrame:
    """Return what the trials reported to the search: a row for each step of each trial."""
    rows = [(trial.number, step, value) for trial in record.trials for step, value in trial.history]
    kinds = {"number": "int64", "step": "int64", "value": "float64"}
    return pd.DataFrame(rows, columns=list(kinds)).astype(kinds)


def _row(run: RunRecord, names: Iterable[str]) -> dict[str, Any]:
    row = {name: getattr(run, name) for name in names}
    return row | {"outcome": None if run.outcome is None else run.outcome.value}


def _frame(rows: list[dict[str, Any]], names: Iterable[str]) -> pd.DataFrame:
    columns = list(dict.fromkeys([*names, *(name for row in rows for name in row)]))
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({name: kind for name, kind in _KINDS.items() if name in columns})
