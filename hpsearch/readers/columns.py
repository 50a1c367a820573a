"""What the columns of a table in long form are: names, keys, metrics, parameters, or nothing that tells of a run.

And what their cells say: numbers, names, keys, an outcome, or the values of a parameter.

Besides tables that people write these are known: what MLflow's `search_runs`, Optuna's `trials_dataframe` and Ray's
`get_dataframe` return, and Weights & Biases' export of a project's runs.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hpsearch.readers import Wanted
from hpsearch.readers.naming import UNIT_WORDS, as_key, is_gap
from hpsearch.readers.numerals import MARKS, POINT, decimal_mark, parse_number
from hpsearch.readers.table_file import Table, is_unnamed
from hpsearch.records import Key, Outcome

_PARTS: Mapping[str, tuple[str, ...]] = {
    "experiment": ("experiment", "method", "model", "algorithm", "arm", "group", "name"),
    "status": ("status", "outcome", "state"),
    "step": ("step", "epoch", "global_step", "_step", "iteration", "training_iteration"),
    "trial": ("trial", "number", "trial_id"),
    "run": ("run", "run_id", "run_name", "tags.mlflow.runname", "name"),
    "seconds": ("seconds", "time", "duration", "runtime", "time_total_s", "_runtime"),
    **UNIT_WORDS,
}
"""The words for each part, the more telling first; a column plays one part."""
PROJECTS = ("project", "project_name")
"""What holds experiments where seeds or the like tell runs apart; projects may also be the data, a row for each."""
HOLDERS = ("study_name", "study", "experiment_id", *PROJECTS)
"""Columns of what holds experiments; their numbers are names."""
_PARAMETER = re.compile(r"(params?|config|hparams|hyperparameters)[./]", re.IGNORECASE)
_OPTUNAS = re.compile(r"params_")
_METRIC = re.compile(r"metrics\.", re.IGNORECASE)
_RATE = re.compile(r"(^|\W)(lr|learning_rate)$")
"""A number that is a parameter where a row is a whole training, though its column does not say `params.`."""
_ABOUT_THE_PROGRAM = re.compile(
    r"(artifact_uri|experiment_id|(start|end)_time|tags\.mlflow\..*"  # MLflow
    r"|datetime_(start|complete)|system_attrs_.*"  # Optuna
    r"|checkpoint_dir_name|should_checkpoint|experiment_tag|hostname|node_ip|pid|logdir|timestamp|date|done"
    r"|time_this_iter_s|time_since_restore|iterations_since_restore"  # Ray
    r"|_timestamp|_wandb)"  # Weights & Biases
)
"""Columns that tell when, where and by whom a run was made: neither metrics nor parameters."""
_OWN = {"number", "outcome", "value", "attempts"}
"""The columns in every table of trials that hpsearch exports, and those next to them."""
_OF_OWN = {"reason", "attempts", "replicate", "folds", "seeds", "sd"}
_OF_AN_EXPORT = {"notes", "user", "tags", "created", "sweep", "id", "job_type"}
"""Columns of that kind in Weights & Biases' export, which has `Name` and `State` too."""
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
class Columns:
    """The columns of a table by what they are; lists hold a value for each row, None for an empty cell.

    `parts` names the column of each part. `texts` has the row (from 1) and the text of each cell that holds one in a
    column of numbers. `mark` is the decimal mark. `exported` marks Weights & Biases' export of runs, `searched` trials
    of a search, by Optuna or hpsearch.
    """

    parts: dict[str, str]
    metrics: dict[str, Sequence[float | None]]
    params: dict[str, Sequence[Any]]
    texts: dict[str, Sequence[tuple[int, str]]]
    mark: str
    exported: bool
    searched: bool
    warnings: list[str]


def understand(table: Table, wanted: Wanted) -> Columns:
    """Say what each column of a table in long form is; the metric and the parameter that are asked for are those.

    Raises:
        DataError: the decimal mark is open.
    """
    filled = {name: cells for name, cells in table.columns.items() if not all(map(is_empty, cells))}
    optuna = {"number", "state"} <= filled.keys()
    titles = {name: _title(name, filled, wanted, optuna=optuna) for name in filled}
    parts = _parts(filled, titles, wanted, optuna=optuna)
    names = {plain(name) for name in table.columns}
    exported = {"name", "state"} <= names
    aside = (_OF_AN_EXPORT if exported else set()) | (_OF_OWN if names >= _OWN else set())
    searched = optuna or (names >= _OWN and "replicate" not in names)
    rest = {name: cells for name, cells in filled.items() if name not in parts.values() or _is_parameter(name, optuna)}
    mark = number_mark(table, rest, wanted)
    found = Columns(parts, {}, {}, {}, mark, exported, searched, [])
    running: dict[str, Sequence[float | None]] = {}
    for name, cells in rest.items():
        title = titles[name]
        asked = _is_asked(name, title, wanted.metric, wanted.by)
        if not asked and "run" in parts and plain(name) in _PARTS["run"] and _all_differ(cells):
            continue  # a second name of each run is not a setting
        if not asked and (plain(name) in aside or _ABOUT_THE_PROGRAM.fullmatch(plain(name))):
            continue
        named = _is_parameter(name, optuna) or _is_asked(name, title, wanted.by) or (not asked and _is_name(title))
        numbers = None if named else as_numbers(cells, mark)
        if numbers is None:
            found.params[title] = values_of(cells, mark)
            found.warnings.extend(_about_other_mark(name, cells, mark) if table.separator else ())
        elif asked or not is_running(name, numbers.values):
            found.metrics[title], found.texts[title] = numbers.values, numbers.texts
        elif not is_unnamed(name):
            running[title] = numbers.values
    return found if found.metrics else replace(found, metrics=running)


def rates_as_parameters(columns: Columns, wanted: Wanted) -> Columns:
    """Return the columns with learning rates among the parameters, unless they are all that there is or asked for."""
    rates = [name for name in columns.metrics if _RATE.search(name.lower()) and name != wanted.metric]
    if len(rates) == len(columns.metrics):
        return columns
    metrics = {name: values for name, values in columns.metrics.items() if name not in rates}
    return replace(
        columns, metrics=metrics, params={**columns.params, **{name: columns.metrics[name] for name in rates}}
    )


def number_mark(table: Table, columns: Mapping[str, Sequence[Any]], wanted: Wanted) -> str:
    """Return the decimal mark of a table's numbers: as asked for, or as those columns show it.

    Raises:
        DataError: the decimal mark is open.
    """
    if not table.separator:
        return POINT
    return wanted.decimal or decimal_mark(columns, separator=table.separator, place=str(table.path))


def _about_other_mark(name: str, cells: Sequence[Any], mark: str) -> list[str]:
    """Say of a column of texts that it would be one of numbers by the other decimal mark."""
    (other,) = {*MARKS} - {mark}
    if as_numbers(cells, other) is None or as_numbers(cells, mark) is not None:
        return []
    first = next(cell for cell in cells if not is_empty(cell))
    said = f"column '{name}' is read as text, as its '{first}' has another decimal mark than the table"
    return [f"{said} (--decimal says which it is)"]


def _title(name: str, columns: Iterable[str], wanted: Wanted, *, optuna: bool) -> str:
    """Return the name of a metric or parameter: without `params.` and `metrics.`, if that is not another column's."""
    prefix = _PARAMETER.match(name) or _METRIC.match(name) or (_OPTUNAS.match(name) if optuna else None)
    short = name[prefix.end() :] if prefix else name
    return name if short in columns or not short or name in (wanted.metric, wanted.by) else short


def _is_parameter(name: str, optuna: bool) -> bool:
    return bool(_PARAMETER.match(name) or (optuna and _OPTUNAS.match(name)))


def _is_name(title: str) -> bool:
    """Check whether a column's numbers are names: of seeds other than the one that counts, of studies, of projects."""
    word = plain(title).rpartition(".")[2]
    return word in HOLDERS or word.endswith("seed") or any(word in words for words in UNIT_WORDS.values())


def _is_asked(name: str, title: str, *asked: str | None) -> bool:
    return name in asked or title in asked


def _parts(
    columns: Mapping[str, Sequence[Any]], titles: Mapping[str, str], wanted: Wanted, *, optuna: bool
) -> dict[str, str]:
    """Return the column of each part; a parameter may be one too, as `params.seed` and `config/train.seed` are."""
    own: dict[str, str] = {}
    parameters: dict[str, str] = {}
    nested: dict[str, str] = {}
    for name in sorted(columns, key=lambda name: titles[name].count(".")):
        title = titles[name]
        measured = _is_asked(name, title, wanted.metric) and any(as_numbers(columns[name], mark) for mark in MARKS)
        if measured or _is_asked(name, title, wanted.by) or _METRIC.match(name):
            continue
        (parameters if _is_parameter(name, optuna) else own).setdefault(plain(title), name)
        nested.setdefault(plain(title).rpartition(".")[2], name)
    experiment = _experiment(columns, own, parameters)
    if wanted.by and experiment and plain(experiment) == "name" and _all_differ(columns[experiment]):
        experiment = None  # what `--by` groups are the runs that these names name
    parts = {} if experiment is None else {"experiment": experiment}
    for part, words in _PARTS.items():
        found = [own[word] for word in words if word in own and own[word] not in parts.values()]
        if part in UNIT_WORDS:
            found += [nested[word] for word in words if word in nested]
        if found and part != "experiment":
            parts[part] = found[0]
    for part in ("train_size", "test_size"):
        if part in own and all(number > 1 for number in _counts(columns[own[part]])):
            parts[part] = own[part]
    first = next(iter(columns))
    if first not in parts.values() and is_unnamed(first) and as_numbers(columns[first], POINT) is None:
        parts.setdefault("run", first)
    return parts


def _all_differ(cells: Sequence[Any]) -> bool:
    return len(set(map(str, cells))) == len(cells)


def _counts(cells: Sequence[Any]) -> list[float]:
    """Return the numbers of a column, all of which are whole; else a zero."""
    found = [number for cell in cells if not is_empty(cell) for number in [number_in(cell, POINT)]]
    return [number if number is not None and number % 1 == 0 else 0 for number in found]


def _experiment(
    columns: Mapping[str, Sequence[Any]], own: Mapping[str, str], parameters: Mapping[str, str]
) -> str | None:
    """Return the column that names the methods: the first by its word, but names that rows share before a constant."""
    words = _PARTS["experiment"]
    found = [own[word] for word in words if word in own]
    found = [name for name in found if plain(name) != "group" or not any(map(is_empty, columns[name]))]
    found += [
        parameters[word] for word in words if word in parameters and not any(map(is_empty, columns[parameters[word]]))
    ]
    first = next(iter(columns))
    if not found and is_unnamed(first) and as_numbers(columns[first], POINT) is None:
        found = [first]
    for last in ("study_name", "study", "experiment_id", "tags.mlflow.runname"):
        if not found and last in own and 1 < len(set(columns[own[last]])) < len(columns[own[last]]):
            found = [own[last]]
    if not found or len(set(map(str, columns[found[0]]))) > 1:
        return next(iter(found), None)
    return next((name for name in found if 1 < len(set(map(str, columns[name]))) < len(columns[name])), found[0])


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers, with the row (from 1) and text of each cell that holds none."""

    values: list[float | None]
    texts: list[tuple[int, str]]


def plain(name: str) -> str:
    """Return a column's name in the form in which words are looked up: `Random Seed` is `random_seed`."""
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def as_numbers(cells: Sequence[Any], mark: str) -> NumberColumn | None:
    """Return a column of numbers, or None if it is none: most cells that are not empty must be numbers.

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
    """Check whether a column only numbers the rows: 0, 1, 2 ...; one without a name, or called `index`, in any order.

    Such a column may start again within a table that was put together from several.
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
    """Return the keys in a column. Data sets are called by any text; where others are numbers, `NA` is not a number.

    Two texts of one number, such as `1` and `1.0`, are one seed, but two data sets.
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
    """Check whether a cell holds nothing; a text such as `NA` is something."""
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
