"""Tables with a row for each test example of each run: a column `example` says so, `cluster` which examples are alike.

    experiment,seed,example,cluster,accuracy
    ours,0,17,speaker 3,1

The rows of one run have all other names, keys and settings in common; its scores are their means.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hpsearch.readers import Wanted
from hpsearch.readers.columns import Columns, plain, understand
from hpsearch.readers.table_file import Table
from hpsearch.records import ExampleScores

_EXAMPLE, _CLUSTER = {"example", "example_id"}, {"cluster", "cluster_id"}


@dataclass(frozen=True)
class ByExample:
    """A table with a row for each run, how it is to be read, and the scores by example of each row."""

    table: Table
    wanted: Wanted
    scores: list[ExampleScores]


def by_example(table: Table, wanted: Wanted) -> ByExample | None:
    """Return a table of examples as one of runs; None if it is none.

    It is one if its column of examples tells the rows of each run apart, and each run has several of them.
    """
    example, cluster = (
        next((name for name in table.columns if plain(name) in words and name != wanted.by), None)
        for words in (_EXAMPLE, _CLUSTER)
    )
    if example is None:
        return None
    rest = replace(table, columns={name: own for name, own in table.columns.items() if name not in (example, cluster)})
    columns = understand(rest, wanted)
    groups = _runs(rest, columns)
    names = [str(cell).strip() for cell in table.columns[example]]
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
            None if cluster is None else tuple(str(table.columns[cluster][row]).strip() for row in rows),
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
