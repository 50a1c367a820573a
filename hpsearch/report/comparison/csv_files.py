"""The comparison's two tables for a spreadsheet, in full precision, and the warnings beside them."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from hpsearch.compare.comparison import Comparison


def as_csv(comparison: Comparison) -> dict[str, str]:
    """Return `experiments.csv` and `pairs.csv`: the entries of compare.json, nested ones with dotted names.

    What must be known before them stands in `warnings.csv`, as a line above a table's head would be taken for the head.
    """
    content = comparison.to_json()
    experiments = [{k: v for k, v in each.items() if k != "runs_dropped"} for each in content["experiments"]]
    pairs = [{k: v for k, v in pair.items() if k not in ("also", "notes")} for pair in content["pairs"]]
    warnings = [{"warning": warning} for warning in content["warnings"]]
    return {
        "warnings.csv": _csv(warnings, titles=["warning"]),
        "experiments.csv": _csv(experiments),
        "pairs.csv": _csv(pairs),
    }


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
