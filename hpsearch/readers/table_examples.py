"""Tables with a row for each test example of each run: a column `example` says so, `cluster` which examples are alike.

    experiment,seed,example,cluster,accuracy
    ours,0,17,speaker 3,1

The rows of one run have all other names, keys and settings in common; its scores are their means.
"""

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import CONFIG
from hpsearch.readers import Wanted
from hpsearch.readers.columns import Columns, as_numbers, number_mark, plain, understand
from hpsearch.readers.table_file import Table, load_table
from hpsearch.records import ExampleScores

_EXAMPLE, _CLUSTER = {"example", "example_id"}, {"cluster", "cluster_id"}


@dataclass(frozen=True)
class ByExample:
    """A table with a row for each run, how it is to be read, and the scores by example of each row."""

    table: Table
    wanted: Wanted
    scores: list[ExampleScores]


def written_by_program(folder: Path, scores: Collection[str]) -> ExampleScores | None:
    """Return the scores by example of a replicate of a program, from the table that its space names.

    None if it names none, or if there is no such table, or none that can be read. A column is the score of `scores`
    that is called like it, with `test/` or without.
    """
    try:
        named = json.loads((folder / CONFIG).read_bytes())["config"]["metrics"]["examples"]
        table = load_table(folder / named, Wanted())
    except (OSError, ValueError, LookupError, TypeError, HpsearchError):
        return None
    example, cluster = _columns_of_examples(table, None)
    if example is None or len(set(table.columns[example])) < table.rows:
        return None
    rest = {name: own for name, own in table.columns.items() if name not in (example, cluster)}
    values = {}
    for name, cells in rest.items():
        metric = name if name in scores else f"test/{name}"
        found = as_numbers(cells, number_mark(table, rest, Wanted())) if metric in scores else None
        known = [] if found is None else [value for value in found.values if value is not None]
        if len(known) == table.rows:
            values[metric] = tuple(map(float, known))
    clusters = None if cluster is None else tuple(map(_name, table.columns[cluster]))
    return ExampleScores(tuple(map(_name, table.columns[example])), values, clusters)


def _name(cell: Any) -> str:
    return str(cell).strip()


def _columns_of_examples(table: Table, by: str | None) -> tuple[str | None, str | None]:
    """Return the columns of examples and of their clusters; one that `by` names is neither."""
    example, cluster = (
        next((name for name in table.columns if plain(name) in words and name != by), None)
        for words in (_EXAMPLE, _CLUSTER)
    )
    return example, cluster


def by_example(table: Table, wanted: Wanted) -> ByExample | None:
    """Return a table of examples as one of runs; None if it is none.

    It is one if its column of examples tells the rows of each run apart, and each run has several of them.
    """
    example, cluster = _columns_of_examples(table, wanted.by)
    if example is None:
        return None
    rest = replace(table, columns={name: own for name, own in table.columns.items() if name not in (example, cluster)})
    columns = understand(rest, wanted)
    groups = _runs(rest, columns)
    names = [_name(cell) for cell in table.columns[example]]
    if any(len(rows) < 2 or len({names[row] for row in rows}) < len(rows) for rows in groups):
        return None
    scores = [
        ExampleScores(
            tuple(names[row] for row in rows),
            {
                metric: tuple(float(values[row] or 0.0) for row in rows)
                for metric, values in columns.metrics.items()
                if all(values[row] is not None for row in rows)
            },
            None if cluster is None else tuple(_name(table.columns[cluster][row]) for row in rows),
        )
        for rows in groups
    ]
    shown = {name: [own[rows[0]] for rows in groups] for name, own in rest.columns.items()}
    for metric, values in columns.metrics.items():
        name = metric if metric in shown else next(each for each in shown if each.endswith(f".{metric}"))
        shown[name] = [_mean([values[row] for row in rows], rest, columns.mark) for rows in groups]
    asked = replace(wanted, decimal=columns.mark) if table.separator else wanted
    return ByExample(replace(rest, columns=shown), asked, scores)


def _runs(table: Table, columns: Columns) -> list[list[int]]:
    """Return the rows of each run: those that have all names, keys and settings in common."""
    told = [table.columns[name] for name in columns.parts.values() if name] + list(columns.params.values())
    groups: dict[tuple[str, ...], list[int]] = {}
    for row in range(table.rows):
        groups.setdefault(tuple(str(cells[row]) for cells in told), []).append(row)
    return list(groups.values())


def _mean(values: Sequence[float | None], table: Table, mark: str) -> float | str | None:
    """Return the mean as a cell of the table: a text in a table of texts."""
    known = [value for value in values if value is not None]
    if not known:
        return "" if table.separator else None
    mean = math.fsum(known) / len(known)
    return repr(mean).replace(".", mark) if table.separator else mean
