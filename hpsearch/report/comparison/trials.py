"""The trials behind a comparison as tables: all of them, how they ended, and the complete ones from best to worst."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from hpsearch.records import FinishedRun, Goal, Outcome
from hpsearch.report.wording import UNKNOWN, duration, number, plain, short_names

MOST_ROWS = 200
"""Trials that a table shows at most."""


class TrialTable(NamedTuple):
    """The trials of one search; `left` of them are not shown."""

    name: str
    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int


def trials_of(runs: Iterable[FinishedRun]) -> Mapping[str, Sequence[FinishedRun]]:
    """Return the trials of each search that have ended."""
    found: dict[str, list[FinishedRun]] = defaultdict(list)
    for run in runs:
        if run.search is not None and run.outcome is not None:
            found[run.experiment].append(run)
    return found


def searched_metric(trials: Sequence[FinishedRun], metric: str) -> str:
    """Return what the search chose by, or else the metric of the comparison."""
    origin = trials[0].search
    known = any(metric in trial.metrics for trial in trials)
    return metric if known or origin is None or not origin.metric else origin.metric


def ranked(trials: Sequence[FinishedRun], metric: str, goal: Goal) -> list[FinishedRun]:
    """Return the complete trials from best to worst, then the others in their order."""

    def place(run: FinishedRun) -> tuple[bool, float]:
        value = value_of(run, metric)
        return value is None, 0.0 if value is None else -goal.sign * value

    return sorted(trials, key=place)


def value_of(run: FinishedRun, metric: str) -> float | None:
    """Return the value of a complete trial; those of others are of a smaller budget."""
    if run.outcome is not Outcome.COMPLETE or run.dropped is not None or metric not in run.metrics:
        return None
    value = run.metrics[metric].value
    return value if math.isfinite(value) else None


def trial_tables(runs: Sequence[FinishedRun], goal: Goal, metric: str) -> list[TrialTable]:
    """Return a table for each search."""
    tables = []
    for name, trials in trials_of(runs).items():
        shown = searched_metric(trials, metric)
        names = short_names(dict.fromkeys(path for run in trials for path in run.params))
        rows = tuple(
            (
                *(plain(UNKNOWN if run.trial is None else run.trial), _outcome(run), number(value_of(run, shown))),
                *(plain(run.params[path]) if path in run.params else "" for path in names),
                *(duration(run.seconds), run.reason or run.dropped or ""),
            )
            for run in ranked(trials, shown, goal)[:MOST_ROWS]
        )
        titles = ("trial", "outcome", shown, *names.values(), "time", "reason")
        tables.append(TrialTable(name, titles, rows, max(0, len(trials) - MOST_ROWS)))
    return tables


def _outcome(run: FinishedRun) -> str:
    return "unfinished" if run.outcome is None else run.outcome.replace("_", " ")
