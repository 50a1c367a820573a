"""The comparison's two tables for a spreadsheet, in full precision, and the warnings beside them."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from hpsearch.comparing.comparison import Comparison
from hpsearch.report.comparison.grouped import GroupedReport


def as_csv(comparison: Comparison) -> dict[str, str]:
    """Return `experiments.csv` and `pairs.csv`: the entries of compare.json, nested ones with dotted names.

    What must be known before them stands in `warnings.csv`, as a line above a table's head would be taken for the head.
    """
    experiments, pairs = _entries(comparison)
    return {
        "warnings.csv": _csv([{"warning": warning} for warning in comparison.warnings], titles=["warning"]),
        "experiments.csv": _csv(experiments),
        "pairs.csv": _csv(pairs),
    }


def as_grouped_csv(report: GroupedReport) -> dict[str, str]:
    """Return the same of all groups, with the group's name in front; and `overview.csv` and `not_compared.csv`."""
    experiments, pairs = [], []
    warnings = [{"group": "", "warning": warning} for warning in report.warnings]
    for group in report.groups:
        named = {"group": group.name, "metric": group.comparison.metric}
        inside = _entries(group.comparison)
        experiments += [named | each for each in inside[0]]
        pairs += [named | each for each in inside[1]]
        warnings += [{"group": group.name, "warning": warning} for warning in group.comparison.warnings]
    overview = [_first_confirmation(each.to_json()) for each in report.entries]
    return {
        "warnings.csv": _csv(warnings, titles=["group", "warning"]),
        "overview.csv": _csv(overview),
        "experiments.csv": _csv(experiments),
        "pairs.csv": _csv(pairs),
        "not_compared.csv": _csv([asdict(each) for each in report.not_compared]),
    }


def _first_confirmation(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry of the overview as a row: of several confirmed winners the first; what is not there is empty."""
    present = {name: value for name, value in entry.items() if value is not None or name not in ("objective", "best")}
    return {**present, "confirmation": next(iter(entry["confirmation"]), {}), "groups": "; ".join(entry["groups"])}


def _entries(comparison: Comparison) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    content = comparison.to_json()
    experiments = [{k: v for k, v in each.items() if k != "runs_dropped"} for each in content["experiments"]]
    pairs = [{k: v for k, v in pair.items() if k not in ("also", "notes")} for pair in content["pairs"]]
    return experiments, pairs


def _csv(entries: Sequence[Mapping[str, Any]], *, titles: Sequence[str] = ()) -> str:
    rows = [_flat(entry) for entry in entries]
    titles = titles or list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, titles, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _flat(entry: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in entry.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        elif name.startswith("ci") and isinstance(value, list):
            flat |= {f"{prefix}{name}.low": value[0], f"{prefix}{name}.high": value[1]}
        elif not (name.startswith("ci") and value is None):
            flat[f"{prefix}{name}"] = value
    return flat
