"""What the page shows of a search at a glance, and of each trial in its table. Texts of others are cleaned here."""

from collections.abc import Iterable
from typing import Any

from hpsearch.cleaning import one_line
from hpsearch.console.search_state import SearchState
from hpsearch.console.trainings import Training
from hpsearch.experiment.activity import RUNNING
from hpsearch.experiment.events import RefuseEvent
from hpsearch.experiment.reading import ending_of
from hpsearch.records import Note
from hpsearch.report.wording import over_seeds, progress_line, shorten
from hpsearch.web.axes import Axes

LONGEST_REASON = 300
"""Characters of a reason in the table; the trial's own page has the whole."""
LONGEST_NOTE = 1000
"""Characters of a note that are shown."""


def row_of(training: Training, axes: Axes, after: float | None) -> list[Any]:
    """Return a trial as the table has it.

    Number, outcome (None: not ended), value, its step, seconds of training, when it began and ended (Unix seconds),
    after how many seconds of the search it ended, reason, how often it was lost, values of the parameters in the order
    of the axes, notes, whether somebody has ordered its end.
    """
    told = training.told
    outcome, reason = ending_of(told)
    return [
        told.number,
        outcome,
        told.mean,
        told.step,
        told.seconds,
        told.begun_at,
        told.ended_at,
        after,
        None if reason is None else shorten(one_line(reason), LONGEST_REASON),
        told.lost,
        axes.values(told.params),
        _notes(told.notes),
        told.told_to_stop and told.outcome is None,
    ]


def _notes(notes: Iterable[Note]) -> list[list[Any]]:
    return [[each.time, shorten(one_line(each.text), LONGEST_NOTE)] for each in notes]


def _best(best: Training) -> dict[str, Any]:
    seeds = over_seeds(best.by_seed)
    return {"number": best.number, "value": best.standing, "step": best.step, "seeds": seeds}


def head_of(
    search: SearchState, *, live: bool, refused: Iterable[RefuseEvent] = (), waiting: int = 0
) -> dict[str, Any]:
    """Return the state of a search: how far it is, the best so far, what runs now, the time left as far as known.

    `waiting` orders of people have not been obeyed yet, `refused` ones will not be.
    """
    best = search.best
    return {
        "live": live,
        "state": RUNNING if live else search.state.closing or "not begun",
        "elapsed": search.elapsed,
        "searched": search.state.search_seconds
        + (0.0 if search.confirming else max(0.0, search.elapsed - search.state.elapsed)),
        "left": search.remaining if live else None,
        "confirming": search.confirming,
        "finished": search.finished,
        "goal_count": search.goal_count,
        "trials": search.trials_to_come,
        "budget": search.budget,
        "counts": {str(outcome): count for outcome, count in search.trial_counts.items()},
        "best": None if best is None else _best(best),
        "workers": search.target.workers,
        "running": [_running(search, training) for training in search.running.values()] if live else [],
        "alarm": search.alarm,
        "paused": live and search.state.paused,
        "waiting": waiting,
        "refused": [[each.order, each.kind, one_line(each.reason)] for each in refused],
        "notes": _notes(search.state.notes),
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
