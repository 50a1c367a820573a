"""An experiment as JSON: what `show --json` prints."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from hpsearch.health import Finding
from hpsearch.records import ExperimentRecord, RunRecord
from hpsearch.report.health import finding_json
from hpsearch.report.replicates import fold_fields, scored, summarise


def show_json(record: ExperimentRecord, *, health: Sequence[Finding] | None = None) -> dict[str, Any]:
    """Return `experiment`, `trials`, `best`, `confirm` and, if examined, `health`.

    Numbers that are not finite become None.
    """
    best = record.best
    shown: dict[str, Any] = finite(
        {
            "experiment": record.name,
            "trials": [_trial(trial) for trial in record.trials],
            "best": None if best is None else _fields(best, "number", "value", "step", "params"),
            "confirm": _confirm(record),
            **({} if health is None else {"health": [finding_json(finding) for finding in health]}),
        }
    )
    return shown


def _fields(run: RunRecord, *names: str) -> dict[str, Any]:
    return {name: getattr(run, name) for name in names}


def _trial(trial: RunRecord) -> dict[str, Any]:
    shown = _fields(trial, "number", "outcome", "reason", "value", "step", "params", "seed", "seconds")
    changes = [{"step": change.step, "donor": change.donor, "params": change.params} for change in trial.changes]
    return {**shown, "changes": changes}


def _confirm(record: ExperimentRecord) -> dict[str, Any] | None:
    if not record.replicates and not record.baselines:
        return None
    return {
        "replicates": [_replicate(replicate) for replicate in record.replicates],
        "summary": {
            str(group): {metric: asdict(summary) for metric, summary in metrics.items()}
            for group, metrics in summarise(scored(record)[0].replicates).items()
        },
        "baselines": {baseline.title: baseline.scores for baseline in record.baselines},
    }


def _replicate(replicate: RunRecord) -> dict[str, Any]:
    names = ("number", "replicate", "seed", "outcome", "reason", "value", "step", "scores", "seconds")
    return {**_fields(replicate, *names), **fold_fields(replicate)}


def finite(value: Any) -> Any:
    """Return plain data in which the numbers that JSON has no word for are None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, Sequence):
        return [finite(item) for item in value]
    return value
