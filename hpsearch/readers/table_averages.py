"""Rows that sum up the others, as tables in papers end: means and average ranks are no further data set."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.records import FinishedRun

_LEAST_AVERAGED = 2
_MEANS = {"mean", "average", "avg", "overall", "total", "all"}
_RANKS = {"rank", "ranks", "ranking"}
_SUMS = {*_MEANS, *_RANKS, "median", "std", "stdev", "sd", "gmean", "wins", "ties", "losses"}
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
"""Words that may stand beside these: `Avg. rank`, `Mean score`."""


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


_KINDS = {"means": _hold_means, "average ranks": _hold_ranks}


def _ranked(values: Sequence[float]) -> list[float]:
    """Return the rank of each value, 1 for the smallest; equal values share the average of theirs."""
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2 for value in values
    ]


def without_averages(path: Path, runs: Sequence[FinishedRun]) -> tuple[tuple[FinishedRun, ...], list[str]]:
    """Drop runs on data sets that are called averages, if they hold the means of their method's others.

    Those that hold something else count, and are named.
    """
    called = [run.dataset is not None and _sums_up(run.dataset) for run in runs]
    own: dict[str, list[FinishedRun]] = {}
    for run, summing in zip(runs, called, strict=True):
        if not summing:
            own.setdefault(run.experiment, []).append(run)
    averages = [
        summing and _holds_means(run, own.get(run.experiment, [])) for run, summing in zip(runs, called, strict=True)
    ]
    kept = tuple(
        replace(run, dropped=f"holds the means of {run.experiment}") if average else run
        for run, average in zip(runs, averages, strict=True)
    )
    doubtful = {str(run.dataset): None for run, is_, was in zip(runs, called, averages, strict=True) if is_ and not was}
    return kept, [
        f"{path}: data set '{name}' is called as rows that sum up others are: it counts like them" for name in doubtful
    ]


def _words(name: Any) -> set[str]:
    return set(re.findall(r"[a-z]+|[^a-z\W]+", str(name).lower()))


def _sums_up(name: Any) -> bool:
    """Say whether a row's name says only that it sums up others."""
    words = _words(name)
    return bool(words & _SUMS) and words <= _SUMS | _BESIDES


def _holds_means(run: FinishedRun, others: Sequence[FinishedRun]) -> bool:
    values = {name: [other.metrics[name].value for other in others if name in other.metrics] for name in run.metrics}
    return bool(values) and all(_is_mean(found.value, values[name]) for name, found in run.metrics.items())


def _is_mean(value: float | None, values: Sequence[float | None]) -> bool:
    """Say whether a value is the mean of others, as far as its decimals tell."""
    others = [each for each in values if each is not None]
    if value is None or len(others) < _LEAST_AVERAGED:
        return False
    decimals = len(str(value).partition(".")[2])
    return abs(value - math.fsum(others) / len(others)) <= 0.51 * 10.0**-decimals
