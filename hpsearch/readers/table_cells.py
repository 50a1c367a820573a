"""What the cells of a table's column say: numbers, names, keys, an outcome, or the values of a parameter."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.readers.naming import as_key, is_gap
from hpsearch.readers.numerals import parse_number
from hpsearch.readers.table_file import is_unnamed
from hpsearch.records import Key, Outcome

_COUNTERS = {"id", "idx", "index", "no", "nr", "#", "row", "row_id", "row_number", "line"}
_LEAST_RUNNING = 3
"""Rows from which on 0, 1, 2 ... in a column of another name are a running number."""
_COMPLETE = {"complete", "completed", "finished", "ok", "success", "succeeded", "terminated", "done"}
_NOT_ENDED = {
    *("running", "pending", "waiting", "queued", "scheduled", "created", "starting", "started", "initializing"),
    *("paused", "in progress", "in_progress", "unfinished"),
}
_SPAN = re.compile(r"(?:(\d+) days? )?(\d+):(\d\d):(\d\d(?:\.\d+)?)", re.ASCII)
"""How pandas writes a duration."""
_LARGEST = 10**300
"""Where integers end that are numbers of a metric."""
_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers, with the row (from 1) and text of each cell that holds none."""

    values: list[float | None]
    texts: list[tuple[int, str]]


def plain(name: str) -> str:
    """Return a column's name in the form in which words are looked up: `Random Seed` is `random_seed`."""
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def as_numbers(cells: Sequence[Any], mark: str) -> NumberColumn | None:
    """Return a column of numbers, or None if it is none: most cells that say something have to be numbers.

    Where every number is followed by a percent sign, percents are its unit.
    """
    if all(isinstance(cell, bool) or is_empty(cell) for cell in cells):
        return None
    cells = [cell.strip() if isinstance(cell, str) else cell for cell in cells]
    percents = {cell.endswith("%") for cell in cells if isinstance(cell, str) and not is_gap(cell)} == {True}
    values: list[float | None] = []
    texts = []
    for row, cell in enumerate(cells, start=1):
        found = number_in(cell.removesuffix("%") if percents and isinstance(cell, str) else cell, mark)
        values.append(found)
        if found is None and not is_empty(cell):
            texts.append((row, str(cell)))
    numbers = sum(value is not None and not math.isnan(value) for value in values)
    others = sum(not is_gap(text) for _, text in texts)
    return NumberColumn(values, texts) if numbers > others else None


def is_running(name: str, values: Sequence[float | None]) -> bool:
    """Say whether a column only numbers the rows: 0, 1, 2 ...; one without a name, or called `index`, in any order.

    Such a column may begin anew within a table that was put together from several.
    """
    counts = [int(value) for value in values if value is not None and math.isfinite(value) and value == int(value)]
    if len(counts) < len(values):
        return False
    if is_unnamed(name) or plain(name) in _COUNTERS:
        return min(counts) >= 0
    return len(counts) >= _LEAST_RUNNING and counts[0] in (0, 1) and counts == [*range(counts[0], counts[-1] + 1)]


def names_of(cells: Sequence[Any]) -> tuple[list[str | None], list[str]]:
    """Return the names in a column, None for an empty cell, and those that spaces around them made two of.

    The number 0 and the text "0" stay two names.
    """
    texts = {str(cell).strip() for cell in cells if isinstance(cell, str)}
    others = {str(cell) for cell in cells if not isinstance(cell, str) and not is_empty(cell)}
    found: list[str | None] = []
    spelled: dict[str, set[str]] = {}
    for cell in cells:
        if is_empty(cell) or not str(cell).strip():
            found.append(None)
            continue
        name = str(cell).strip()
        spelled.setdefault(name, set()).add(str(cell))
        found.append(f'"{name}"' if isinstance(cell, str) and name in texts & others else name)
    return found, [name for name, spellings in spelled.items() if len(spellings) > 1]


def keys_of(cells: Sequence[Any], unit: str) -> list[Key | None]:
    """Return the keys in a column. Data sets are called by any text; where others are numbers, `NA` is no number.

    Two texts that stand for one number, such as `1` and `1.0`, are one seed, but two data sets.
    """
    keys = [as_key(cell) for cell in cells]
    if unit == "dataset":
        spelled: dict[Key | None, set[tuple[bool, str]]] = {}
        for key, cell in zip(keys, cells, strict=True):
            spelled.setdefault(key, set()).add((isinstance(cell, str), str(cell).strip()))
        return [
            cell.strip() if isinstance(cell, str) and len(spelled[key]) > 1 and key is not None else key
            for key, cell in zip(keys, cells, strict=True)
        ]
    if all(isinstance(key, int) or is_gap(key) for key in keys):
        return [key if isinstance(key, int) else None for key in keys]
    return keys


def is_empty(cell: Any) -> bool:
    """Say whether a cell holds nothing; a text such as `NA` is something."""
    return cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell))


def number_in(cell: Any, mark: str) -> float | None:
    """Return the number that a cell is, or None."""
    if isinstance(cell, str):
        return parse_number(cell, mark, grouped=True)
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return None
    return cell if isinstance(cell, float) or abs(cell) < _LARGEST else None


def values_of(cells: Sequence[Any], mark: str) -> list[Any]:
    """Return a parameter's values: true and false, numbers, or texts where numbers would make one of two."""
    if not all(isinstance(cell, str) or is_empty(cell) for cell in cells):
        return list(cells)
    cells = [cell.strip() if isinstance(cell, str) else None for cell in cells]
    filled = [cell for cell in cells if cell]
    if all(cell.lower() in _TRUTH for cell in filled):
        return [_TRUTH[cell.lower()] if cell else None for cell in cells]
    numbers = {cell: found for cell in filled if (found := parse_number(cell, mark)) is not None and found == found}
    if len(set(numbers.values())) < len(numbers):
        return cells
    return [numbers.get(cell, cell) for cell in cells]


def seconds_in(cell: Any, mark: str) -> float | None:
    """Return a duration in seconds, also of `0 days 00:01:30.5`."""
    span = _SPAN.fullmatch(cell.strip()) if isinstance(cell, str) else None
    if span:
        days, hours, minutes, seconds = (float(part or 0) for part in span.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    return number_in(cell, mark)


def outcome_of(status: Any) -> tuple[Outcome | None, str | None]:
    """Return the outcome that a status says, None for a run that has not ended, and why such a run does not count.

    An unknown word is a failure with that word as its reason.
    """
    word = "" if status is None else str(status).strip().lower()
    if word in _COMPLETE:
        return Outcome.COMPLETE, None
    if is_gap(word):
        return None, "its status is not noted"
    if word in _NOT_ENDED:
        return None, f"its status is '{status}': it has not ended"
    known = word if word in set(Outcome) else Outcome.FAILED.value
    return Outcome(known), f"its status is '{status}'"
