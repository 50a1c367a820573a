"""Where the rows of a table stand: the study, project or experiment that an export notes, and MLflow's parents.

Rows of one method in two such places are two experiments, as they are where the tools' own stores are read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.readers.columns import HOLDERS, PROJECTS, Columns
from hpsearch.readers.naming import folders_above
from hpsearch.readers.searching import planned, several_settings
from hpsearch.readers.table_cells import is_empty, plain
from hpsearch.readers.table_file import Table

_PARENT, _ID, _NAME = "tags.mlflow.parentrunid", "run_id", "tags.mlflow.runname"
_UNSAID = {"experiment_id", "tags.mlflow.runname", *HOLDERS}
"""Columns that name the methods for want of a better one: a parent's name says more."""
_SHORT = 8
"""Characters of an id in a title."""


@dataclass(frozen=True)
class Homes:
    """For each row its experiment and place. `above` are parents without a value of their own, `trials` a search's."""

    experiments: list[str]
    places: list[tuple[str, ...]]
    above: frozenset[int]
    trials: frozenset[int]


def homes_of(
    table: Table, columns: Columns, experiments: Sequence[str], keys: Sequence[tuple[Any, ...]], *, by: str | None
) -> Homes:
    """Return where each row stands. `keys` are what pairs a row with others; rows that share them would be pooled.

    A column that `by` names is no place.
    """
    named_by = columns.parts.get("experiment")
    keyed = any(key is not None for found in keys for key in found)
    holders = {*HOLDERS} - (set() if keyed else {*PROJECTS})
    held = [
        (name, column)
        for name, column in table.columns.items()
        if plain(name) in holders and name not in (named_by, by) and len(set(map(str, column))) > 1
    ]
    places = [_held(held, row) for row in range(table.rows)]
    cells = {plain(name): column for name, column in table.columns.items()}
    if _PARENT not in cells or _ID not in cells:
        return Homes(list(experiments), _within(table, places), frozenset(), frozenset())
    ids = {str(cell): row for row, cell in enumerate(cells[_ID])}
    parents = [None if is_empty(cell) else str(cell) for cell in cells[_PARENT]]
    titles = _titles(parents, ids, cells.get(_NAME))
    own = named_by is not None and plain(named_by) not in _UNSAID
    names = list(experiments)
    if not own or _would_be_pooled(names, parents, keys):
        for row, parent in enumerate(parents):
            if parent is not None:
                title, told = titles[parent]
                names[row] = names[row] if own else title
                places[row] = ((f"{title} {told}".strip(),) if own else (told,) if told else ()) + places[row]
    nothing = [all(values[row] is None for values in columns.metrics.values()) for row in range(table.rows)]
    return Homes(
        names,
        _within(table, places),
        frozenset(row for name, row in ids.items() if name in titles and nothing[row]),
        frozenset(_proposed(parents, columns)),
    )


def _within(table: Table, places: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the places with the file's; none where the table notes no other, as the file is then everything's."""
    file = table.path.resolve()
    return [(*place, file.name, *folders_above(file)) if any(places) else () for place in places]


def _held(columns: Sequence[tuple[str, Sequence[Any]]], row: int) -> tuple[str, ...]:
    """Return what holds a row's experiment, by the columns that tell some rows from others."""
    return tuple(f"no {name}" if is_empty(cells[row]) else str(cells[row]).strip() for name, cells in columns)


def _titles(
    parents: Sequence[str | None], ids: dict[str, int], names: Sequence[Any] | None
) -> dict[str, tuple[str, str]]:
    """Return what each parent is called, and what tells it from another of its name."""
    known = dict.fromkeys(parent for parent in parents if parent is not None)
    called = {
        each: f"parent {each[:_SHORT]}"
        if names is None or each not in ids or is_empty(names[ids[each]])
        else str(names[ids[each]]).strip()
        for each in known
    }
    taken = list(called.values())
    short = len({each[:_SHORT] for each in known}) == len(known)
    return {
        each: (name, f"run {each[:_SHORT] if short else each}" if taken.count(name) > 1 else "")
        for each, name in called.items()
    }


def _would_be_pooled(names: Sequence[str], parents: Sequence[str | None], keys: Sequence[Any]) -> bool:
    """Say whether rows of one method and the same keys stand below different parents."""
    found: dict[Any, set[str]] = {}
    for name, parent, key in zip(names, parents, keys, strict=True):
        if parent is not None:
            found.setdefault((name, key), set()).add(parent)
    return any(len(each) > 1 for each in found.values())


def _proposed(parents: Sequence[str | None], columns: Columns) -> list[int]:
    """Return the rows below a parent that try configurations and repeat none."""
    below: dict[str, list[int]] = {}
    for row, parent in enumerate(parents):
        if parent is not None:
            below.setdefault(parent, []).append(row)
    found = []
    for rows in below.values():
        params = [{name: values[row] for name, values in columns.params.items()} for row in rows]
        if several_settings(params) and not any(planned(params)):
            found += rows
    return found
