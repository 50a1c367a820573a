"""What people order while a search runs: which orders can be obeyed, and what of them is still to be done."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from hpsearch.experiment.codec import kind_of
from hpsearch.experiment.events import (
    AddEvent,
    BudgetEvent,
    NoteEvent,
    OrderEvent,
    PauseEvent,
    RefuseEvent,
    ResumeEvent,
    StopEvent,
    TextNotice,
)
from hpsearch.experiment.layout import RunKind, run_kind, trial_number
from hpsearch.experiment.orders import Inbox, PlacedOrder
from hpsearch.experiment.state import ExperimentState
from hpsearch.jobs import Job, JobSource
from hpsearch.records import Params
from hpsearch.workers.ledger import Ledger


class Configurations(Protocol):
    """A space: what it allows."""

    def check_params(self, params: Params, *, partial: bool = False) -> list[str]:
        """List why values are no configuration, or with `partial` no part of one."""
        ...


class Steerable(JobSource, Protocol):
    """A source of jobs in which people may interfere."""

    def withdraw(self, run: str) -> Job | None:
        """Return the job of a run that no worker has and that could be handed out; it will not be, and ends next."""
        ...

    def refusal(self, trials: int | None = None) -> str | None:
        """Return why no configuration can be added or, with `trials`, why there cannot be so many; None if it can."""
        ...

    def add(self, params: Mapping[str, Any]) -> None:
        """Try a configuration, or a part of one, next, as one more than there would be."""
        ...

    def extend(self, trials: int) -> None:
        """Go on to another number of trials in all, of which some have been."""
        ...


class Steering:
    """Reads a session's orders and writes them into the log, which then says what the coordinator does.

    `trials` and `time` are what the space says, `space` has its word on a configuration.
    """

    def __init__(self, inbox: Inbox, *, trials: int, time: float | None, space: Configurations) -> None:
        self._inbox = inbox
        self._trials = trials
        self._time = time
        self._space = space
        self._told: set[Path] = set()
        """What is no order and could not be removed."""

    def obey(self, ledger: Ledger, source: Steerable, *, at_once: bool = False) -> list[OrderEvent]:
        """Write down the new orders; return those that can be obeyed. What is tried and how much, is changed here."""
        obeyed = []
        for placed in self._inbox.look(at_once=at_once):
            if placed.event is None:
                self._say_none(placed, ledger)
            elif (order := self._written(placed.event, ledger, source)) is not None:
                obeyed.append(order)
            placed.withdraw()
        return obeyed

    def _say_none(self, placed: PlacedOrder, ledger: Ledger) -> None:
        removed = placed.withdraw()
        if removed or placed.path not in self._told:
            self._told.add(placed.path)
            said = "removed" if removed else "it cannot be removed"
            ledger.show(TextNotice(f"{placed.path} is no order: {placed.trouble}; {said}", problem=True))

    def _written(self, order: OrderEvent, ledger: Ledger, source: Steerable) -> OrderEvent | None:
        if order.order in ledger.state.orders:  # obeyed before a kill, which came before the file was removed
            return None
        if reason := self._refusal(order, ledger.state, source):
            ledger.order(RefuseEvent(order=order.order, kind=kind_of(order), reason=reason))
            ledger.show(TextNotice(f"ordered, and not obeyed: {_said(order)} ({reason})", problem=True))
            return None
        ledger.order(order)
        ledger.show(TextNotice(f"ordered: {_said(order)}"))
        if isinstance(order, AddEvent):
            source.add(order.params)
        elif isinstance(order, BudgetEvent) and order.trials is not None:
            source.extend(ledger.state.trials_of(self._trials))
        return order

    def _refusal(self, order: OrderEvent, state: ExperimentState, source: Steerable) -> str | None:
        if isinstance(order, StopEvent):
            return None if order.run is None else refusal_to_stop(order.run, state)
        if isinstance(order, NoteEvent):
            return None if order.run is None or order.run in state.runs else f"there is no {order.run}"
        if isinstance(order, AddEvent):
            wrong = self._space.check_params(order.params, partial=True)
            return "; ".join(wrong) or known_configuration(order.params, state, self._space) or source.refusal()
        if isinstance(order, BudgetEvent):
            return refusal_of_budget(order) or (None if order.trials is None else source.refusal(order.trials))
        return None

    def time_limit(self, state: ExperimentState) -> float:
        """Return the seconds of the experiment after which the search ends, which confirmations do not use up."""
        limit = state.time_of(self._time)
        return math.inf if limit is None else limit + state.confirm_seconds


def refusal_to_stop(run: str, state: ExperimentState) -> str | None:
    """Return why a run cannot be stopped; None if it can."""
    if run_kind(run) is not RunKind.TRIAL:
        return f"{run} is no trial of the search"
    known = state.runs.get(run)
    if known is None or not known.asked:
        return f"there is no {run}"
    if known.dropped:
        return f"trial {known.number} was left out, as it does not fit the changed space"
    return f"trial {known.number} has ended ({known.outcome})" if known.ended else None


def known_configuration(params: Params, state: ExperimentState, space: Configurations) -> str | None:
    """Return a sentence if a trial has just these values, or will have them; what is left open is drawn anew."""
    for trial in state.of_kind(RunKind.TRIAL):
        if not trial.dropped and trial.params == params:
            return f"trial {trial.number} has these values"
    added = params in state.added and not space.check_params(params)
    return "these values were added before" if added else None


def refusal_of_budget(order: BudgetEvent) -> str | None:
    """Return why a budget makes no sense; None if it does."""
    if order.trials is None and order.seconds is None:
        return "neither trials nor a time are given"
    if order.trials is not None and order.trials < 1:
        return f"{order.trials} trials: at least 1 is expected"
    if order.seconds is not None and not 0 < order.seconds < float("inf"):
        return f"a time of {order.seconds:g} s: more than 0 is expected"
    return None


def _said(order: OrderEvent) -> str:
    return _SAID[type(order)](order)


def _stop_said(order: StopEvent) -> str:
    if order.run is None:
        return "the search stops"
    try:
        return f"trial {trial_number(order.run)} stops"
    except ValueError:  # it is refused: whoever placed it named no trial
        return f"{order.run!r} stops"


def _budget_said(order: BudgetEvent) -> str:
    parts = [] if order.trials is None else [f"{order.trials} trials"]
    parts += [] if order.seconds is None else [f"{order.seconds:g} s for the search"]
    return ", ".join(parts)


_SAID: dict[type[OrderEvent], Callable[[Any], str]] = {
    AddEvent: lambda order: "a trial with " + ", ".join(f"{name}={value}" for name, value in order.params.items()),
    StopEvent: _stop_said,
    PauseEvent: lambda _: "the search pauses; `hpsearch resume` goes on",
    ResumeEvent: lambda _: "the search goes on",
    BudgetEvent: _budget_said,
    NoteEvent: lambda order: f"a note to {order.run or 'the experiment'}: {order.text}",
}
