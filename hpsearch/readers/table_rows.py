"""The rows of a table in long form as runs: their names, keys and places, and which rows are steps of one run.

Rows of one method in two places (the study, project or experiment that an export notes, or one of MLflow's parents) are
two experiments, as they are where the tools' own stores are read.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hpsearch.errors import DataError
from hpsearch.readers import Wanted
from hpsearch.readers.columns import (
    HOLDERS,
    PROJECTS,
    Columns,
    is_empty,
    keys_of,
    names_of,
    number_in,
    outcome_of,
    plain,
    seconds_in,
)
from hpsearch.readers.measurements import Logged, as_step
from hpsearch.readers.naming import UNIT_WORDS, as_trial, folders_above, parse_folder_name, planned, several_settings
from hpsearch.readers.table_file import Table
from hpsearch.records import FinishedRun, Measurement, Outcome, SearchOrigin

_EXACT = 2.0**53
"""Whole numbers below it are exact as floats."""
_IDS = {"run", "run_id"}
"""Columns whose words name one run and no other; a `name` may be many's."""
_MOST_NAMED = 3
"""Rows that one warning names."""
_PARENT, _ID, _NAME = "tags.mlflow.parentrunid", "run_id", "tags.mlflow.runname"
_UNSAID = {"experiment_id", "tags.mlflow.runname", *HOLDERS}
"""Columns that name the methods for want of a better one: a parent's name says more."""
_SHORT = 8
"""Characters of an id in a title."""


class Rows:
    """The rows of a table in long form as runs."""

    def __init__(self, table: Table, columns: Columns, wanted: Wanted) -> None:
        self.path = table.path
        self.columns = columns
        self.warnings = [f"{table.path}: {each}" for each in (*columns.warnings, *_about_rounded(table, columns))]
        self._count = table.rows
        self._cells = {part: table.columns[name] for part, name in columns.parts.items()}
        empty = [None] * self._count
        self._trials = keys_of(self._cells.get("trial", empty), "trial")
        self._runs: list[str | None] = names_of(self._cells.get("run", empty))[0]
        groups = next((cells for name, cells in table.columns.items() if plain(name) == "group"), empty)
        self._groups = names_of(groups)[0]
        self._keys = {unit: keys_of(self._cells[unit], unit) for unit in UNIT_WORDS if unit in self._cells}
        keys = [tuple(keys[row] for keys in self._keys.values()) for row in range(self._count)]
        self._homes = homes_of(table, columns, self._names(), keys, by=wanted.by)
        self._experiments = self._homes.experiments
        self._steps = [number_in(cell, columns.mark) for cell in self._cells.get("step", ())]
        self._titles = [self._title(row) for row in range(self._count)]

    def _names(self) -> list[str]:
        """Return each row's experiment; a row without one is refused."""
        if "experiment" not in self._cells:
            return [self.path.stem] * self._count
        column = self.columns.parts["experiment"]
        found, joined = names_of(self._cells["experiment"])
        names = [name for name in found if name is not None]
        if len(names) < len(found):
            what = f"column '{column}'" if column else "the first column"
            raise DataError(f"{self.path}: row {found.index(None) + 1} belongs to no method: its {what} is empty")
        if joined:
            spelled = _listed([f"'{name}'" for name in joined])
            self.warnings.append(
                f"{self.path}: in column '{column}' {spelled} occurs with spaces around it and without: one name"
            )
        return self._taken_apart(names) if self.columns.exported and plain(column) == "name" else names

    def _taken_apart(self, names: list[str]) -> list[str]:
        """Return the groups of Weights & Biases' runs, else their names without seeds and folds, which become keys."""
        parsed = [parse_folder_name(name) for name in names]
        for unit in dict.fromkeys(unit for each in parsed for unit in each.units):
            noted = self._keys.get(unit, [None] * self._count)
            self._keys[unit] = [
                each.units.get(unit) if key is None else key for each, key in zip(parsed, noted, strict=True)
            ]
        self._runs = [run or name for run, name in zip(self._runs, names, strict=True)]
        rests = [each.rest or name for each, name in zip(parsed, names, strict=True)]
        return [group or rest for group, rest in zip(self._groups, rests, strict=True)]

    def _title(self, row: int) -> str:
        """Return the name of a row's run: as its column says, else by its keys, else by its row."""
        keys = [self._trials[row], *(keys[row] for keys in self._keys.values())]
        words = [str(key) for key in keys if key is not None] or [f"row {row + 1}"]
        return self._runs[row] or "/".join([self._experiments[row], *words])

    def _identity(self, row: int) -> tuple[Any, ...]:
        keys = (keys[row] for keys in self._keys.values())
        return (self._experiments[row], self._homes.places[row], self._runs[row], self._trials[row], *keys)

    def _keyed(self, row: int) -> bool:
        """Check whether anything tells a row's run from the others of its method: many train on one data set."""
        own = (keys[row] for unit, keys in self._keys.items() if unit != "dataset")
        return any(key is not None for key in (self._runs[row], self._trials[row], *own))

    def histories(self) -> list[list[int]] | None:
        """Return the rows of each run, if a run has rows of several steps, or None if each row is a run.

        Raises:
            DataError: a step occurs twice and nothing but a method tells whose it is.
        """
        groups = self._grouped(())
        if not any(self._spans(group) for group in groups):
            return None
        if any(self._repeats(group) for group in groups):
            told = self._grouped([name for name, cells in self.columns.params.items() if len(set(map(str, cells))) > 1])
            if any(self._spans(group) for group in told) and not any(self._repeats(group) for group in told):
                groups = told
        found = [self._newest(group) for group in groups]
        taken = [self._experiments[group[0]] for group in found if len(group) > 1 and not self._keyed(group[0])]
        if taken and "experiment" in self._cells:
            whose = _listed(list(dict.fromkeys(taken)))
            self.warnings.append(
                f"{self.path}: the rows of {whose} have no seed, fold or run and differ in their "
                f"{self.columns.parts['step']}: they count as the steps of one run"
            )
        return found

    def _grouped(self, params: Sequence[str]) -> list[list[int]]:
        groups: dict[Any, list[int]] = {}
        for row in range(len(self._steps)):
            settings = tuple(str(self.columns.params[name][row]) for name in params)
            groups.setdefault((self._identity(row), settings), []).append(row)
        return list(groups.values())

    def _spans(self, group: Sequence[int]) -> bool:
        return len({self._steps[row] for row in group} - {None}) > 1

    def _repeats(self, group: Sequence[int]) -> bool:
        steps = [self._steps[row] for row in group if self._steps[row] is not None]
        return len(set(steps)) < len(steps)

    def _newest(self, group: list[int]) -> list[int]:
        """Return the rows of a run by step; of a run that was resumed from an earlier step the newest attempt's.

        A repeated step of runs that nothing tells apart is refused.
        """
        kept: dict[float, int] = {}
        repeated = False
        for row in group:
            step = self._steps[row]
            if step is None:
                if len(group) > 1:
                    self.warnings.append(f"{self.path}: row {row + 1} has no step and is left out")
                continue
            if step in kept:
                if not repeated:
                    self._say_repeated(kept[step], row)
                repeated = True
                kept = {earlier: each for earlier, each in kept.items() if earlier < step}
            kept[step] = row
        return [kept[step] for step in sorted(kept)] or group[-1:]

    def _say_repeated(self, earlier: int, later: int) -> None:
        where = f"{self.path}: rows {earlier + 1} and {later + 1} are both of step {self._cells['step'][later]}"
        if not self._keyed(later):
            raise DataError(
                f"{where} of {self._experiments[later]}, and nothing tells their runs apart: a column seed, fold or "
                "run would do so"
            )
        self.warnings.append(f"{where} of {self._titles[later]}: the later attempt counts, from that step on")

    def run(self, group: list[int], wanted: Wanted) -> FinishedRun:
        """Return the run of a row, or of the rows of its steps."""
        row = group[-1]
        logged = Logged()
        steps = [as_step(self._steps[each]) if self._steps else None for each in group]
        for number, (each, step) in enumerate(zip(group, steps, strict=True)):
            found = {name: values[each] for name, values in self.columns.metrics.items()}
            logged.add_row(number if step is None else step, found)
        measured = logged.metrics()
        if steps[-1] is None:
            measured = {name: Measurement(metric.value) for name, metric in measured.items()}
        outcome, why = outcome_of(self._cells["status"][row]) if "status" in self._cells else (Outcome.COMPLETE, None)
        units = {unit: keys[row] for unit, keys in self._keys.items()}
        proposed = self._trials[row] is not None and (self.columns.searched or units.get("seed") is None)
        trained = FinishedRun(
            experiment=self._experiments[row],
            run=self._titles[row],
            outcome=outcome,
            reason=why if outcome is not None else None,
            params={name: values[row] for name, values in self.columns.params.items() if values[row] is not None},
            metrics=measured,
            histories=logged.histories(wanted),
            **units,  # type: ignore[arg-type] # its keys are the names of these fields
            trial=self._trials[row],
            search=SearchOrigin("") if proposed else None,
            steps=max((step for step in steps if step is not None), default=None),
            train_size=as_step(self._size("train_size", row)),
            test_size=as_step(self._size("test_size", row)),
            seconds=seconds_in(self._cells["seconds"][row], self.columns.mark) if "seconds" in self._cells else None,
            dropped=why if outcome is None else None,
            source=str(self.path),
            place=self._homes.places[row],
        )
        return as_trial(trained, SearchOrigin(""), self._titles[row]) if row in self._homes.trials else trained

    def is_above(self, group: Sequence[int]) -> bool:
        """Check whether rows are a parent of others that has no value of its own: it trained nothing."""
        return all(row in self._homes.above for row in group)

    def _size(self, part: str, row: int) -> float | None:
        return number_in(self._cells[part][row], self.columns.mark) if part in self._cells else None

    def texts_among_numbers(
        self, groups: Sequence[list[int]], runs: Sequence[FinishedRun], wanted: Wanted
    ) -> list[str]:
        """Return a warning for each column of numbers that holds texts too: those runs do not count."""
        titles = {row: run.run for group, run in zip(groups, runs, strict=True) for row in group}
        return [
            about_texts(self.path, name, self.columns.texts[name], titles)
            for name in self.columns.metrics
            if self.columns.texts.get(name) and wanted.metric in (None, name)
        ]


def _about_rounded(table: Table, columns: Columns) -> list[str]:
    """Name the integer keys that pandas turned into floats because a cell is empty."""
    return [
        f"column '{name}' holds numbers from 2^53 on as floats, which are rounded: two that differ may have become one"
        for name in (columns.parts[unit] for unit in UNIT_WORDS if unit in columns.parts)
        if any(isinstance(cell, float) and abs(cell) >= _EXACT for cell in table.columns[name])
    ]


def each_run_once(
    path: Path, runs: Sequence[FinishedRun], groups: Sequence[list[int]], named_by: str | None
) -> tuple[list[FinishedRun], list[list[int]], list[str]]:
    """Return the runs, with the mean of those that one id names and no key, their rows, and what was averaged.

    Keys make units of which the comparison takes the mean itself.
    """
    same: dict[tuple[Any, ...], list[int]] = {}
    for at, run in enumerate(runs):
        once = plain(named_by or "") in _IDS and run.outcome is Outcome.COMPLETE and run.trial is None
        keyed = any(getattr(run, unit) is not None for unit in UNIT_WORDS)
        same.setdefault((run.experiment, run.place, run.run) if once and not keyed else (at,), []).append(at)
    said = [
        f"{path}: {_listed([f'row {groups[at][-1] + 1}' for at in found])} are all of the run {runs[found[0]].run} of "
        f"{runs[found[0]].experiment}: it counts with their mean"
        for found in same.values()
        if len(found) > 1
    ]
    return (
        [_mean_of([runs[at] for at in found]) for found in same.values()],
        [groups[at[0]] for at in same.values()],
        said,
    )


def _mean_of(runs: Sequence[FinishedRun]) -> FinishedRun:
    if len(runs) == 1:
        return runs[0]
    metrics = {}
    for name in dict.fromkeys(name for run in runs for name in run.metrics):
        values = sorted(float(run.metrics[name].value) for run in runs if name in run.metrics)
        metrics[name] = Measurement(math.fsum(values) / len(values))
    return replace(runs[0], metrics=metrics)


def told_apart(runs: Sequence[FinishedRun], groups: Sequence[list[int]]) -> tuple[FinishedRun, ...]:
    """Return the runs; where several are called alike, their rows tell them apart."""
    counts = Counter(run.run for run in runs)
    return tuple(
        replace(run, run=f"{run.run} (row {group[-1] + 1})") if counts[run.run] > 1 else run
        for run, group in zip(runs, groups, strict=True)
    )


def about_texts(path: Path, name: str, texts: Sequence[tuple[int, str]], titles: Mapping[int, str]) -> str:
    """Return the warning about texts in a column of numbers: `... '-' in row 3 (lstm/0) and 4 more`."""
    told = [f"'{text}' in row {row}" + (f" ({titles[row - 1]})" if row - 1 in titles else "") for row, text in texts]
    return f"{path}: column '{name}' holds cells that are not numbers, which do not count: {_listed(told)}"


def _listed(words: Sequence[str]) -> str:
    more = len(words) - _MOST_NAMED
    return ", ".join(words[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


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
    """Return the place of each row. `keys` are what pairs a row with others; rows that share them would be pooled.

    A column that `by` names is not a place.
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
    """Return the key of a row's experiment, from the columns that distinguish rows."""
    return tuple(f"no {name}" if is_empty(cells[row]) else str(cells[row]).strip() for name, cells in columns)


def _titles(
    parents: Sequence[str | None], ids: dict[str, int], names: Sequence[Any] | None
) -> dict[str, tuple[str, str]]:
    """Return each parent's name, and what distinguishes it from another of that name."""
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
    """Check whether rows of one method and the same keys are below different parents."""
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
