"""What the page shows of a search at a glance, and of each trial in its table. Texts of others are cleaned here."""

from typing import Any

from hpsearch.cleaning import one_line
from hpsearch.console.search_state import SearchState
from hpsearch.console.trainings import Training
from hpsearch.experiment.activity import RUNNING
from hpsearch.report.wording import progress_line, shorten
from hpsearch.web.axes import Axes

LONGEST_REASON = 300
"""Characters of a reason in the table; the trial's own page has the whole."""
SHOWN_NOTES = 8
"""The newest notes about a search."""


def row_of(training: Training, axes: Axes, after: float | None) -> list[Any]:
    """Return a trial as the table has it.

    Number, outcome (None: not ended), value, its step, seconds of training, when it began and ended (Unix seconds),
    after how many seconds of the search it ended, reason, how often it was lost, values of the parameters in the order
    of the axes.
    """
    told = training.told
    return [
        told.number,
        told.outcome,
        told.value,
        told.step,
        told.seconds,
        told.begun_at,
        told.ended_at,
        after,
        None if told.reason is None else shorten(one_line(told.reason), LONGEST_REASON),
        told.lost,
        axes.values(told.params),
    ]


def head_of(search: SearchState, *, live: bool) -> dict[str, Any]:
    """Return the state of a search: how far it is, the best so far, what runs now, the time left as far as known."""
    best = search.best
    return {
        "live": live,
        "state": RUNNING if live else search.state.closing or "not begun",
        "elapsed": search.elapsed,
        "left": search.remaining if live else None,
        "confirming": search.confirming,
        "finished": search.finished,
        "goal_count": search.goal_count,
        "counts": {str(outcome): count for outcome, count in search.counts.items()},
        "best": None if best is None else {"number": best.number, "value": best.score, "step": best.step},
        "workers": search.target.workers,
        "running": [_running(search, training) for training in search.running.values()] if live else [],
        "alarm": search.alarm,
        "notes": [shorten(note, LONGEST_REASON) for note in [*search.notes][-SHOWN_NOTES:]],
    }


def _running(search: SearchState, training: Training) -> dict[str, Any]:
    """Return a training that runs now: how far it is, and for how long it has given no sign of life, if long."""
    moment = search.moments.get(training.run)
    return {
        "run": training.run,
        "number": training.number,
        "title": training.title,
        "step": training.step,
        "length": search.target.length(training.params),
        "value": training.score,
        "seconds": search.seconds_of(training),
        "now": "" if moment is None else progress_line(moment),
        "silent": search.silence(training),
    }
