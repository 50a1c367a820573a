"""Tables of results: CSV, Parquet or JSON lines, in long form (a row for each run) or in wide form.

long     experiment,seed,status,accuracy        a row is a run; further number columns are metrics, but for
         baseline,0,complete,0.91               learning rates: they, texts, true and false are parameters
         with a column example: a row for each test example of a run, see table_examples.py
wide     dataset,baseline,ours                  a row is a seed, fold or data set, a column a method
         iris,0.95,0.96

Rows that sum up the others, as tables in papers end (means, average ranks), are no further data set.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import pstdev, stdev
from typing import Any

from hpsearch.errors import DataError, UnknownNameError
from hpsearch.readers import Reading, Wanted
from hpsearch.readers.columns import (
    Columns,
    NumberColumn,
    as_numbers,
    is_running,
    keys_of,
    number_mark,
    plain,
    rates_as_parameters,
    understand,
)
from hpsearch.readers.naming import UNIT_WORDS
from hpsearch.readers.numerals import parse_number
from hpsearch.readers.table_examples import by_example
from hpsearch.readers.table_file import ENDINGS, Table, is_unnamed, load_table
from hpsearch.readers.table_rows import Rows, about_texts, each_run_once, told_apart
from hpsearch.records import FinishedRun, Key, Measurement

SCORE = "score"
"""The metric of a wide table, which does not name it."""
_NOUNS = {"dataset": "data set"}
_METRIC_NAMES, _VALUES = {"metric", "metric_name", "measure", "variable"}, {"value", "score", "result", "metric_value"}
_LEAST_AVERAGED = 2
_MEANS = {"mean", "average", "avg", "overall", "total", "all"}
_RANKS = {"rank", "ranks", "ranking"}
_DEVIATIONS = {"std", "stdev", "sd", "deviation"}
_SUMS = {*_MEANS, *_RANKS, *_DEVIATIONS, "median", "gmean", "wins", "ties", "losses"}
_BESIDES = {
    "score",
    "scores",
    "arithmetic",
    "geometric",
    "of",
    "the",
    "deviation",
    "standard",
    "dev",
    "win",
    "tie",
    "loss",
}
"""Words that may accompany these: `Avg. rank`, `Mean score`."""


def recognises(path: Path) -> bool:
    """Check whether a file is a table, by its ending."""
    return path.is_file() and path.suffix.lower() in ENDINGS


def read(path: Path, wanted: Wanted) -> Reading:
    """Return a run for each row, or for each group of rows that differ in the step or in the example only.

    Raises:
        DataError: the table has no scores, or cannot be understood; it says where.
    """
    table = load_table(path, wanted)
    _check_header(table)
    examples = by_example(table, wanted)
    if examples is not None:
        table, wanted = examples.table, examples.wanted
    columns = understand(table, wanted)
    if not columns.metrics:
        besides = ", ".join(sorted(columns.parts.values())) or "none"
        raise DataError(f"{path} has no column of numbers besides {besides}{_text_among_numbers(table, columns)}")
    _check_tidy(table, columns, wanted)
    rows = Rows(table, columns, wanted)
    groups = rows.histories()
    if groups is None:
        groups = [[row] for row in range(table.rows)]
        rows = Rows(table, rates_as_parameters(columns, wanted), wanted)
    groups = [group for group in groups if not rows.is_above(group)]
    read = [rows.run(group, wanted) for group in groups]
    if examples is not None:
        scores = [examples.scores[group[-1]] for group in groups]
        read = [replace(run, by_example=own) for run, own in zip(read, scores, strict=True)]
    read, groups, averaged = each_run_once(path, read, groups, columns.parts.get("run"))
    runs = told_apart(read, groups)
    kept, doubtful = without_averages(path, runs)
    return Reading(
        kept,
        warnings=(
            *table.warnings,
            *doubtful,
            *rows.warnings,
            *averaged,
            *rows.texts_among_numbers(groups, runs, wanted),
        ),
    )


def _check_header(table: Table) -> None:
    """Refuse a table of text whose first line is one of values."""
    for name in table.columns if table.separator else ():
        found = parse_number(name)
        if found is not None and math.isfinite(found):
            raise DataError(
                f"{table.path}: the first line has the number {name} where it should name a column (a table with a "
                "column for each method is read with --wide)"
            )


def _check_tidy(table: Table, columns: Columns, wanted: Wanted) -> None:
    """Refuse a table with a row for each metric of a run, whose values are of different kinds."""
    (value, *more) = columns.metrics
    for name, cells in columns.params.items():
        kinds = list(dict.fromkeys(cell for cell in cells if isinstance(cell, str)))
        if (
            plain(name) in _METRIC_NAMES
            and plain(value) in _VALUES
            and not more
            and len(kinds) > 1
            and name != wanted.by
        ):
            raise DataError(
                f"{table.path}: column '{name}' names several metrics ({', '.join(kinds[:3])}), each with rows of its "
                "own: give each a column, as pandas' pivot does"
            )


def _text_among_numbers(table: Table, columns: Columns) -> str:
    """Name the first cell that keeps a column from being one of numbers."""
    for name, cells in table.columns.items():
        texts = [(row, cell) for row, cell in enumerate(cells, start=1) if isinstance(cell, str)]
        strange = [(row, text) for row, text in texts if parse_number(text, columns.mark, grouped=True) is None]
        if name not in columns.parts.values() and strange and any(re.search(r"\d", text) for _, text in strange):
            row, text = next((row, text) for row, text in strange if re.search(r"\d", text))
            return f"; column '{name}' holds the text '{text}' in row {row}"
    return ""


def read_wide(path: Path, unit: str, wanted: Wanted | None = None) -> Reading:
    """Return a run for each cell of a table whose rows are seeds, folds or data sets and whose columns are methods.

    The unit's column is the one of that name, else the first; columns of other units are keys too.

    Raises:
        DataError: a row occurs twice, or the table cannot be understood.
        UnknownNameError: there is no such unit.
    """
    if unit not in UNIT_WORDS:
        raise UnknownNameError("unit of a wide table", unit, UNIT_WORDS)
    wanted = wanted or Wanted()
    table = load_table(path, wanted)
    named = _key_columns(table, unit)
    keys = {each: keys_of(table.columns[name], each) for each, name in named.items()}
    _check_rows(path, keys, unit)
    rest = {name: cells for name, cells in table.columns.items() if name not in named.values()}
    mark = number_mark(table, rest, wanted)
    found = {name: numbers for name, cells in rest.items() if (numbers := as_numbers(cells, mark)) is not None}
    methods = {
        name: numbers for name, numbers in found.items() if not (is_unnamed(name) and is_running(name, numbers.values))
    }
    if not methods:
        raise DataError(f"{path} has no column of numbers besides '{named[unit]}'")
    left_out, told = rows_left_out(
        path, table.columns[named[unit]], {name: each.values for name, each in methods.items()}
    )
    runs = [
        run
        for row in range(table.rows)
        if row not in left_out
        for run in _cells_of(path, {each: found[row] for each, found in keys.items()}, row, methods)
    ]
    told += [about_texts(path, method, numbers.texts, {}) for method, numbers in methods.items() if numbers.texts]
    return Reading(tuple(runs), main=SCORE, warnings=(*table.warnings, *told))


def _cells_of(
    path: Path, units: Mapping[str, Key | None], row: int, methods: Mapping[str, NumberColumn]
) -> Iterator[FinishedRun]:
    """Yield the run of each method in a row."""
    words = "/".join(str(key) for key in units.values() if key is not None)
    for method, numbers in methods.items():
        value = numbers.values[row]
        yield FinishedRun(
            experiment=method,
            run=f"{method}/{words}",
            metrics={} if value is None else {SCORE: Measurement(float(value))},
            **units,  # type: ignore[arg-type] # its keys are the names of these fields
            source=str(path),
        )


def _key_columns(table: Table, unit: str) -> dict[str, str]:
    """Return the column of the unit that was named first, and those of the other units that there are."""
    words = {word: each for each, listed in UNIT_WORDS.items() for word in listed}
    named = {each: name for name in reversed(table.columns) if (each := words.get(plain(name))) is not None}
    first, *others = table.columns
    if unit not in named:
        numbered = unit == "dataset" and is_unnamed(first) and as_numbers(table.columns[first], ".") is not None
        texts = [name for name in others if name not in named.values() and as_numbers(table.columns[name], ".") is None]
        named[unit] = texts[0] if numbered and texts else first
    return {unit: named[unit], **{each: name for each, name in named.items() if each != unit}}


def _check_rows(path: Path, keys: Mapping[str, Sequence[Key | None]], unit: str) -> None:
    """Refuse rows without a key and rows that have all keys in common.

    Raises:
        DataError: there are such rows; it names them.
    """
    first: dict[tuple[Key | None, ...], int] = {}
    for row, found in enumerate(zip(*keys.values(), strict=True), start=1):
        if found[0] is None:
            raise DataError(f"{path}: row {row} names no {_NOUNS.get(unit, unit)}: its cell is empty")
        if found in first:
            said = ", ".join(f"{_NOUNS.get(each, each)} '{key}'" for each, key in zip(keys, found, strict=True))
            raise DataError(f"{path}: {said} is in rows {first[found]} and {row}: the rows of a wide table must differ")
        first[found] = row


def rows_left_out(
    path: Path, keys: Sequence[Any], methods: Mapping[str, Sequence[float | None]]
) -> tuple[list[int], list[str]]:
    """Return the rows of a wide table that sum up all others, by their names and their values, and what is to be said.

    A row that is called so and holds something else counts as what it is called, which is said too.
    """
    called = [row for row, key in enumerate(keys) if _sums_up(key)]
    own = [row for row in range(len(keys)) if row not in called]
    left_out, said = [], []
    for row in called:
        held = next((name for name, holds in _KINDS.items() if holds(_words(keys[row]), row, own, methods)), None)
        if held is None:
            said.append(
                f"{path}: row {row + 1} is called '{keys[row]}', as rows that sum up others are: it counts like them"
            )
        else:
            said.append(f"{path}: row {row + 1} holds the {held} of the other rows and is left out")
            left_out.append(row)
    return left_out, said


def _hold_means(words: set[str], row: int, own: Sequence[int], methods: Mapping[str, Sequence[float | None]]) -> bool:
    named = bool(words & _MEANS) and not words & _RANKS
    return named and all(_is_mean(values[row], [values[each] for each in own]) for values in methods.values())


def _hold_ranks(words: set[str], row: int, own: Sequence[int], methods: Mapping[str, Sequence[float | None]]) -> bool:
    if not words & _RANKS:
        return False
    whole = [[values[each] for values in methods.values()] for each in own]
    stated = [values[row] for values in methods.values()]
    if not own or any(None in each for each in (*whole, stated)):
        return False
    return any(
        all(_is_mean(value, ranks) for value, ranks in zip(stated, zip(*ranked, strict=True), strict=True))
        for sign in (1, -1)
        for ranked in [[_ranked([sign * (value or 0.0) for value in each]) for each in whole]]
    )


def _hold_deviations(
    words: set[str], row: int, own: Sequence[int], methods: Mapping[str, Sequence[float | None]]
) -> bool:
    named = bool(words & _DEVIATIONS)
    return named and all(_is_deviation(values[row], [values[each] for each in own]) for values in methods.values())


_KINDS = {"means": _hold_means, "average ranks": _hold_ranks, "standard deviations": _hold_deviations}


def _ranked(values: Sequence[float]) -> list[float]:
    """Return the rank of each value, 1 for the smallest; equal values share the average of theirs."""
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2 for value in values
    ]


def without_averages(path: Path, runs: Sequence[FinishedRun]) -> tuple[tuple[FinishedRun, ...], list[str]]:
    """Drop runs whose data set, fold or seed is called a summary, if they hold that of their method's others.

    Those that hold something else count, and are named.
    """
    called = [_summary_of(run) for run in runs]
    own: dict[str, list[FinishedRun]] = {}
    for run, name in zip(runs, called, strict=True):
        if name is None:
            own.setdefault(run.experiment, []).append(run)
    kept, doubtful = list[FinishedRun](), dict[str, None]()
    for run, name in zip(runs, called, strict=True):
        held = None if name is None else _held_by(run, name, own.get(run.experiment, []))
        if name is not None and held is None:
            doubtful[name] = None
        kept.append(run if held is None else replace(run, dropped=f"holds the {held} of {run.experiment}"))
    return tuple(kept), [
        f"{path}: '{name}' is called as rows that sum up others are: it counts like them" for name in doubtful
    ]


def _summary_of(run: FinishedRun) -> str | None:
    """Return the name of a run's data set, fold or seed if it is that of a summary."""
    return next((str(key) for key in (run.dataset, run.fold, run.seed) if isinstance(key, str) and _sums_up(key)), None)


def _held_by(run: FinishedRun, name: str, others: Sequence[FinishedRun]) -> str | None:
    """Return which summary of other runs a run holds: their means or their standard deviations."""
    values = {each: [other.metrics[each].value for other in others if each in other.metrics] for each in run.metrics}
    for kind, holds, words in (("means", _is_mean, _MEANS), ("standard deviations", _is_deviation, _DEVIATIONS)):
        named = _words(name) & words
        if named and values and all(holds(found.value, values[each]) for each, found in run.metrics.items()):
            return kind
    return None


def _words(name: Any) -> set[str]:
    return set(re.findall(r"[a-z]+|[^a-z\W]+", str(name).lower()))


def _sums_up(name: Any) -> bool:
    """Check whether a row's name says only that it sums up others."""
    words = _words(name)
    return bool(words & _SUMS) and words <= _SUMS | _BESIDES


def _is_mean(value: float | None, values: Sequence[float | None]) -> bool:
    """Check whether a value is the mean of others, as far as its decimals tell."""
    others = [each for each in values if each is not None]
    return len(others) >= _LEAST_AVERAGED and _is(value, math.fsum(others) / len(others))


def _is_deviation(value: float | None, values: Sequence[float | None]) -> bool:
    """Check whether a value is the standard deviation of others, by n or by n - 1."""
    others = [each for each in values if each is not None]
    return len(others) >= _LEAST_AVERAGED and (_is(value, stdev(others)) or _is(value, pstdev(others)))


def _is(value: float | None, expected: float) -> bool:
    """Check whether a value is another, as far as its decimals tell."""
    return value is not None and abs(value - expected) <= 0.51 * 10.0 ** -len(str(value).partition(".")[2])
