"""Orders to a search that runs, or that will go on: try this, stop that, pause, another budget, a note.

These are `hpsearch.add`, `stop`, `pause`, `resume`, `budget` and `note`.
"""

import operator
import time as clock
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.api.arguments import Overrides, StrPath, find_experiment, settings_of
from hpsearch.errors import ExperimentBusyError, ExperimentError, HpsearchError
from hpsearch.experiment.activity import in_use, locked
from hpsearch.experiment.events import (
    AddEvent,
    BudgetEvent,
    NoteEvent,
    OrderEvent,
    PauseEvent,
    RefuseEvent,
    ResumeEvent,
    StopEvent,
)
from hpsearch.experiment.layout import LOG, RunKind, is_study, study_of, trial_run
from hpsearch.experiment.log import Log, read_events, read_state
from hpsearch.experiment.orders import new_order, place
from hpsearch.experiment.reading import read_resolved
from hpsearch.experiment.studies import arm_folders
from hpsearch.space import read_given
from hpsearch.space.search_settings import parse_duration
from hpsearch.trust import trusting
from hpsearch.workers.steering import known_configuration, refusal_of_budget, refusal_to_stop

_LOOK_SECONDS = 0.2
_PATIENCE = 0.5
"""Seconds in which a page that looks, for a moment each time, has let go of the folder."""
_TOO_LARGE = 2**53
"""From here on a whole number of JSON is no longer read as what it is."""


@dataclass(frozen=True)
class Placed:
    """An order: its id, the experiment's folder, and whether the log has it.

    One that is not `obeyed` yet waits in the folder for the search that runs, which looks about once a second.
    """

    order: str
    folder: Path
    obeyed: bool
    offset: int = 0
    """Bytes of the log when it was placed."""


def add(experiment: StrPath, *, set: Overrides | None = None, trust: bool | None = None) -> Placed:  # noqa: A002 -- the option's name
    """Have a configuration tried next, on top of the budget; `hpsearch add` in Python.

    What is left open, the sampler fills in.

    Example:
        hpsearch.add("experiments/char_lm", set={"train.learning_rate": 3e-3})

    Args:
        experiment: The experiment's folder, or its name below experiments/.
        set: Values by the names of their ranges, of which the last part will do where it is plain which one is meant.
        trust: Whether code from outside this project may run; by default it may, but a command asks (SECURITY.md).

    Raises:
        SpaceError: A name or a value is none of the space.
        HpsearchError: A trial has just these values, or the experiment is an arm of a study.
    """
    folder = _own_budget(experiment, "a configuration would be one more for it")
    with trusting(trust):
        from hpsearch.running.loading import open_space  # the family, for its settings

        space = open_space(folder, programs=False)
        params = read_given(settings_of(set), space)
    if known := known_configuration(params, read_state(folder / LOG), space):
        raise HpsearchError(f"{known}: nothing is added")
    return _order(folder, AddEvent(order=new_order(), params=params))


def stop(experiment: StrPath, *, trial: int | None = None) -> Placed:
    """Stop a trial, or the whole search as one Ctrl-C does; `hpsearch stop` in Python.

    The trial ends at its next report or step, with the outcome `stopped` and the value that it has by then.

    Example:
        hpsearch.stop("experiments/char_lm", trial=3)

    Args:
        experiment: The experiment's folder, or its name below experiments/.
        trial: The trial's number; without it the search ends, and goes on when it is run again.

    Raises:
        HpsearchError: Nothing runs, or there is no such trial, or it has ended.
    """
    folder, run = _experiment(experiment), _run(trial)
    _require_running(folder)
    if run is not None and (reason := refusal_to_stop(run, read_state(folder / LOG))):
        raise HpsearchError(f"{folder}: {reason}")
    return _order(folder, StopEvent(order=new_order(), run=run))


def pause(experiment: StrPath) -> Placed:
    """Let a search rest: running trials pause at their next report or step, no other begins.

    `hpsearch pause` in Python. The time of a pause is not taken from the search's.

    Example:
        hpsearch.pause("experiments/char_lm")

    Args:
        experiment: The experiment's folder, or its name below experiments/.

    Raises:
        HpsearchError: Nothing runs, or it rests already.
    """
    folder = _experiment(experiment)
    _require_running(folder)
    if read_state(folder / LOG).paused:
        raise HpsearchError(f"{folder} is paused; `hpsearch resume {folder}` goes on")
    return _order(folder, PauseEvent(order=new_order()))


def resume(experiment: StrPath) -> Placed:
    """Go on with a search that is paused; `hpsearch resume` in Python. One that has ended is run again to go on.

    Example:
        hpsearch.resume("experiments/char_lm")

    Args:
        experiment: The experiment's folder, or its name below experiments/.

    Raises:
        HpsearchError: Nothing runs, or it is not paused.
    """
    folder = _experiment(experiment)
    _require_running(folder)
    if not read_state(folder / LOG).paused:
        raise HpsearchError(f"{folder} is not paused")
    return _order(folder, ResumeEvent(order=new_order()))


def budget(experiment: StrPath, *, trials: int | None = None, time: str | float | None = None) -> Placed:
    """Give a search another budget, now or when it is run again; `hpsearch budget` in Python.

    It holds until the space file or the command says another number than it did.

    Example:
        hpsearch.budget("experiments/char_lm", trials=80, time="2h")

    Args:
        experiment: The experiment's folder, or its name below experiments/.
        trials: How many trials there may be in all; those that were added come on top.
        time: How long the search may take in all, such as "2h", or seconds.

    Raises:
        HpsearchError: It is no budget, or the experiment is an arm of a study.
    """
    folder = _own_budget(experiment, "another one would not be equal")
    search = read_resolved(folder)["space"].get("search", {})
    trials, seconds = _whole("trials", trials), None if time is None else _seconds(time)
    said = {"trials": (trials, search.get("trials")), "seconds": (seconds, search.get("time"))}
    instead = {name: before for name, (now, before) in said.items() if now is not None}
    order = BudgetEvent(order=new_order(), trials=trials, seconds=seconds, instead=instead)
    if reason := refusal_of_budget(order):
        raise HpsearchError(f"--trials, --time: {reason}")
    return _order(folder, order)


def note(experiment: StrPath, text: str, *, trial: int | None = None) -> Placed:
    """Pin a note to an experiment or one of its trials; `hpsearch note` in Python. `show` and MLflow have it.

    Example:
        hpsearch.note("experiments/char_lm", "the loss spikes at epoch 3", trial=7)

    Args:
        experiment: The experiment's folder, or its name below experiments/.
        text: What is to be remembered.
        trial: The trial's number; without it the note is the experiment's.

    Raises:
        HpsearchError: The note is empty or no text, or there is no such trial.
    """
    folder, run = _experiment(experiment), _run(trial)
    if not isinstance(text, str):
        raise HpsearchError(f"the note is {text!r}, not a text")
    if not text.strip():
        raise HpsearchError("the note is empty")
    if run is not None and run not in read_state(folder / LOG).runs:
        raise HpsearchError(f"{folder} has no trial {trial}")
    return _order(folder, NoteEvent(order=new_order(), run=run, text=text.strip()))


def answered(placed: Placed, *, seconds: float) -> OrderEvent | RefuseEvent | None:
    """Wait until a search has obeyed or refused an order, but no longer; return the event that says so, or None."""
    deadline = clock.monotonic() + seconds
    while True:
        for event, _ in read_events(placed.folder / LOG, offset=placed.offset):
            if isinstance(event, OrderEvent | RefuseEvent) and event.order == placed.order:
                return event
        if clock.monotonic() > deadline:
            return None
        clock.sleep(_LOOK_SECONDS)


def confirms(placed: Placed) -> bool:
    """Check whether the search behind an order confirms its winner: nothing new is tried then."""
    begun = [run for run in read_state(placed.folder / LOG).runs.values() if run.asked]
    return bool(begun) and begun[-1].kind not in (RunKind.TRIAL, RunKind.RERUN)


def _experiment(experiment: StrPath) -> Path:
    """Return the folder of an experiment.

    Raises:
        ExperimentError: It is none, or a study.
    """
    folder = find_experiment(experiment)
    if is_study(folder):
        arms = ", ".join(f"{folder}/{each.name}" for each in arm_folders(folder)) or "none has begun"
        raise ExperimentError(f"{folder} is a study; say which of its arms: {arms}")
    read_resolved(folder)
    return folder


def _own_budget(experiment: StrPath, why: str) -> Path:
    folder = _experiment(experiment)
    if study := study_of(folder):
        raise HpsearchError(f"{folder} is an arm of {study}, whose arms have equal budgets: {why}; change the study's")
    return folder


def _require_running(folder: Path) -> None:
    if not in_use(folder):
        raise HpsearchError(f"nothing runs in {folder}; the command that began it goes on with it")


def _seconds(time: str | float) -> float:
    try:
        value = parse_duration(time)
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise HpsearchError(f"--time: {error}") from None


def _whole(name: str, value: Any) -> int | None:
    """Return a whole number that the caller gave, NumPy's too, as the one that the log can keep.

    Raises:
        HpsearchError: It is none, or negative, or too large.
    """
    if value is None:
        return None
    try:
        number = -1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = -1
    if not 0 <= number < _TOO_LARGE:
        raise HpsearchError(f"--{name}: {value!r} is not a whole number from 0 on")
    return number


def _run(trial: int | None) -> str | None:
    number = _whole("trial", trial)
    return None if number is None else trial_run(number)


def _order(folder: Path, order: OrderEvent) -> Placed:
    """Write an order into the log where nobody else does, else place it for the one who does."""
    if not in_use(folder) and not isinstance(order, StopEvent | PauseEvent | ResumeEvent):
        try:
            _write(folder, order)
        except ExperimentBusyError:  # a session has begun meanwhile
            pass
        else:
            return Placed(order.order, folder, obeyed=True)
    written = (folder / LOG).stat().st_size if (folder / LOG).exists() else 0
    place(folder, order)
    return Placed(order.order, folder, obeyed=False, offset=written)


def _write(folder: Path, order: OrderEvent) -> None:
    with locked(folder, patience=_PATIENCE) as hold, closing(Log(folder / LOG, check=hold.lease.check)) as log:
        log.append(order, durable=True)
