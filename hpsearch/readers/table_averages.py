"""Rows that sum up the others, as tables in papers end: means and average ranks are no further data set."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import pstdev, stdev
from typing import Any

from hpsearch.records import FinishedRun

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
    """Return what a run's data set, fold or seed is called, if it is a summary's name."""
    return next((str(key) for key in (run.dataset, run.fold, run.seed) if isinstance(key, str) and _sums_up(key)), None)


def _held_by(run: FinishedRun, name: str, others: Sequence[FinishedRun]) -> str | None:
    """Return what of others a run holds: their means or their standard deviations."""
    values = {each: [other.metrics[each].value for other in others if each in other.metrics] for each in run.metrics}
    for kind, holds, words in (("means", _is_mean, _MEANS), ("standard deviations", _is_deviation, _DEVIATIONS)):
        named = _words(name) & words
        if named and values and all(holds(found.value, values[each]) for each, found in run.metrics.items()):
            return kind
    return None


def _words(name: Any) -> set[str]:
    return set(re.findall(r"[a-z]+|[^a-z\W]+", str(name).lower()))


def _sums_up(name: Any) -> bool:
    """Say whether a row's name says only that it sums up others."""
    words = _words(name)
    return bool(words & _SUMS) and words <= _SUMS | _BESIDES


def _is_mean(value: float | None, values: Sequence[float | None]) -> bool:
    """Say whether a value is the mean of others, as far as its decimals tell."""
    others = [each for each in values if each is not None]
    return len(others) >= _LEAST_AVERAGED and _is(value, math.fsum(others) / len(others))


def _is_deviation(value: float | None, values: Sequence[float | None]) -> bool:
    """Say whether a value is the standard deviation of others, by n or by n - 1."""
    others = [each for each in values if each is not None]
    return len(others) >= _LEAST_AVERAGED and (_is(value, stdev(others)) or _is(value, pstdev(others)))


def _is(value: float | None, expected: float) -> bool:
    """Say whether a value is another, as far as its decimals tell."""
    return value is not None and abs(value - expected) <= 0.51 * 10.0 ** -len(str(value).partition(".")[2])
