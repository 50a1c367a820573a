"""What the columns of a table in long form are: names, keys, metrics, parameters, or nothing that tells of a run.

Besides tables that people write these are known: what MLflow's `search_runs`, Optuna's `trials_dataframe` and Ray's
`get_dataframe` return, and Weights & Biases' export of a project's runs.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hpsearch.readers import Wanted
from hpsearch.readers.naming import UNIT_WORDS
from hpsearch.readers.numerals import MARKS, POINT, decimal_mark
from hpsearch.readers.table_cells import as_numbers, is_empty, is_running, number_in, plain, values_of
from hpsearch.readers.table_file import Table, is_unnamed

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
"""What stands in every table of trials that hpsearch exports, and there beside them."""
_OF_OWN = {"reason", "attempts", "replicate", "folds"}
_OF_AN_EXPORT = {"notes", "user", "tags", "created", "sweep", "id", "job_type"}
"""Columns of that kind in Weights & Biases' export, which has `Name` and `State` too."""


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

    Errors: DataError where the decimal mark is open.
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
            continue  # a second name of each run is no setting of it
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
    """Return the decimal mark of a table's numbers: as asked for, or as those columns show it. Errors: DataError."""
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
    """Say whether a column's numbers are names: of seeds beside the one that counts, of studies, of projects."""
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
