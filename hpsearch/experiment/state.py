"""The one fold from the events of a log to the state of its experiment and of each run."""

import math
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Final

from hpsearch.experiment.events import (
    AddEvent,
    AdoptEvent,
    AskEvent,
    BeginEvent,
    BudgetEvent,
    DataEvent,
    DropEvent,
    EndEvent,
    Event,
    ExploitEvent,
    LostEvent,
    NoteEvent,
    OutcomeEvent,
    PauseEvent,
    RefuseEvent,
    ReportEvent,
    ResumeEvent,
    SessionEvent,
    StopEvent,
    UnknownEvent,
    runs_of,
)
from hpsearch.experiment.layout import RunKind, run_called, run_kind, trial_run
from hpsearch.records import Change, Fold, Metrics, Note, Outcome, Params

KILLED, TIME_IS_UP = "killed", "finished: time is up"
"""How a session ended that could not say so, and one that found something in all of its time."""


@dataclass(slots=True)
class RunState:
    """A run as the log tells it.

    It was `asked` for, unless it is the job of the classical methods, of which the log tells only that it was lost. A
    run that is asked for again has nothing of its earlier training but people's notes. One that goes on as a copy of
    another has that one's `history`, `seed` and `changes`: they belong to its weights.
    """

    run: str
    kind: RunKind
    asked: bool = False
    number: int = 0
    first_params: Params = field(default_factory=dict)
    params: Params = field(default_factory=dict)
    """The newest; `first_params` are those that it was asked for with."""
    seed: int = 0
    replicate: int | None = None
    fold: Fold | None = None
    rerun: int | None = None
    further: dict[int, float] = field(default_factory=dict)
    fallen: "RunState | None" = None
    """Of a trial its values on further seeds, by `rerun` there, and the first rerun that came to none: it is out."""
    attempts: int = 0
    asker: str | None = None
    """The program that has its newest attempt, if it was asked for by one; see askers.py."""
    lost: int = 0
    history: dict[int, float] = field(default_factory=dict)
    """The metric at each step; if a step is reported again, the last value counts."""
    value: float | None = None
    """The objective by the space's rule, taken at `step`."""
    step: int | None = None
    seconds: float = 0.0
    changes: tuple[Change, ...] = ()
    outcome: Outcome | None = None
    reason: str | None = None
    scores: Metrics = field(default_factory=dict)
    train_size: int | None = None
    test_size: int | None = None
    data: str | None = None
    """The digest of its data."""
    noted: Mapping[str, Any] = field(default_factory=dict)
    """What it noted of its data at its end."""
    mistake: bool = False
    """Whether it could not begin: it has an outcome, but is tried again."""
    dropped: bool = False
    """Whether a changed space has no place for it."""
    begun_at: float | None = None
    """When it began first; this and `ended_at` in Unix seconds."""
    ended_at: float | None = None
    told_to_stop: bool = False
    """Whether a person has ordered its end."""
    notes: tuple[Note, ...] = ()
    """What people have written down of it."""

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do for it."""
        return self.dropped or (self.outcome is not None and not self.mistake)

    @property
    def last(self) -> tuple[int | None, float | None]:
        """The last step and the metric there, or two times None."""
        return next(reversed(self.history.items()), (None, None))

    @property
    def by_seed(self) -> dict[int, float]:
        """The value on each seed, by its number; empty without a value."""
        return {} if self.value is None else {0: self.value, **self.further}

    @property
    def mean(self) -> float | None:
        """The mean of its values over its seeds."""
        return math.fsum(self.by_seed.values()) / len(self.by_seed) if self.further else self.value

    def forget_curve(self) -> None:
        """Keep only the last step of the history."""
        self.history = dict([*self.history.items()][-1:])


class ExperimentState:
    """An experiment as its log tells it; `follow` takes in the next event."""

    def __init__(self) -> None:
        self.runs: dict[str, RunState] = {}
        """By their names, in the order in which they were asked for."""
        self.orphans: set[str] = set()
        """Runs that lines tell of although none asks for them, as after a damaged line: their folders are theirs."""
        self.contested: set[str] = set()
        """Runs that a second line asks for with other values: what follows it may be of another experiment."""
        self.source: str | None = None
        """The digest of the data on which trainings begin now."""
        self.session: SessionEvent | EndEvent | None = None
        """The newest beginning or end of a session."""
        self.elapsed = 0.0
        """Seconds of running, over all sessions; of them `confirm_seconds` went into confirmations."""
        self.confirm_seconds = 0.0
        self.search_seconds = 0.0
        self.started: float | None = None
        """When the first event was written; this and `latest` in Unix seconds."""
        self.latest: float | None = None
        self.count = 0
        """How many events there were."""
        self.orders: frozenset[str] = frozenset()
        """The orders of people that were obeyed or refused."""
        self.added: tuple[Params, ...] = ()
        """What people want to be tried besides."""
        self.paused = False
        self.notes: tuple[Note, ...] = ()
        """What people have written down of the experiment."""
        self._trials: BudgetEvent | None = None
        self._time: BudgetEvent | None = None

    def misfit(self, event: Event) -> str | None:
        """Return why an event cannot follow those before it, as after a damaged line; None if it can.

        Classical methods need not be asked for. A run that must be, and was not, is an orphan from now on.
        """
        if isinstance(event, AskEvent):
            return _misnamed(event) or self._asked_twice(event)
        if isinstance(event, _OF_A_TRAINING):
            known = self.runs.get(event.run)
            if known is not None and known.asked and known.outcome is not None and not known.mistake:
                return f"the run {event.run!r} has ended before it"
            if event.run in self.contested:
                return f"the run {event.run!r} is asked for with other values before it"
        for run in runs_of(event):
            known = self.runs.get(run)
            if (known is None or not known.asked) and run_kind(run) is not RunKind.BASELINE:
                self.orphans.add(run)
                return f"no line before it asks for the run {run!r}"
        return None

    def _asked_twice(self, event: AskEvent) -> str | None:
        """Return a sentence if a run is asked for that is known, as where two logs were joined. Methods may be."""
        known = self.runs.get(event.run)
        if known is None or not known.asked or known.mistake or known.kind is RunKind.BASELINE:
            return None
        if (known.first_params, known.seed) != (event.params, event.seed):
            self.contested.add(event.run)
        return f"the run {event.run!r} has been asked for before; two logs may have been joined here"

    def follow(self, event: Event) -> RunState | None:
        """Take in an event that fits; return the run that it concerns, if any."""
        self.count += 1
        self.latest = event.time
        if self.started is None:
            self.started = event.time
        run = _FOLLOW[type(event)](self, event)
        kind = RunKind.TRIAL if run is None else run.kind
        if kind in (RunKind.TRIAL, RunKind.RERUN):
            self.search_seconds += event.elapsed - self.elapsed
        else:
            self.confirm_seconds += event.elapsed - self.elapsed
        self.elapsed = event.elapsed
        return run

    def summary(self) -> "ExperimentState":
        """Return a copy that can go its own way, with only the last step of each run's history."""
        told = copy(self)
        told.runs = {name: copy(run) for name, run in self.runs.items()}
        for run in told.runs.values():
            run.forget_curve()
        return told

    def of_kind(self, kind: RunKind) -> Iterator[RunState]:
        """Yield the runs of a kind that were asked for."""
        return (run for run in self.runs.values() if run.kind is kind and run.asked)

    def trials_of(self, given: int) -> int:
        """Return how many trials there may be in all, where the space says `given`."""
        order = self._trials
        held = order is not None and order.instead.get("trials", given) == given
        return (order.trials if order is not None and order.trials is not None and held else given) + len(self.added)

    def time_of(self, given: float | None) -> float | None:
        """Return how many seconds the search may take, where the space says `given`; None for no limit."""
        order = self._time
        return given if order is None or order.instead.get("seconds", given) != given else order.seconds

    @property
    def next_number(self) -> int:
        """The number of the next new trial: that of an orphan is not given out again."""
        numbers = [trial.number for trial in self.of_kind(RunKind.TRIAL)]
        lost = [int(name) for run in self.orphans if (name := run.removeprefix("trials/")).isdecimal()]
        return max([-1, *numbers, *lost]) + 1

    @property
    def last_session(self) -> SessionEvent | EndEvent | None:
        """The last beginning or end of a session; None before the first.

        A search that used its time up without a result reads as one that failed.
        """
        last = self.session
        if isinstance(last, EndEvent) and last.why == "time":
            result = any(trial.outcome is Outcome.COMPLETE for trial in self.of_kind(RunKind.TRIAL))
            return last if result else replace(last, why="failed")
        return last

    @property
    def closing(self) -> str | None:
        """How the last session ended: finished, interrupted, failed; `killed` if it did not say; None before any."""
        last = self.last_session
        if last is None:
            return None
        if isinstance(last, SessionEvent):
            return KILLED
        return TIME_IS_UP if last.why == "time" else last.why

    def _run(self, name: str) -> RunState:
        run = self.runs.get(name)
        if run is None:
            run = self.runs[name] = RunState(name, run_kind(name))
        return run

    def _ask(self, event: AskEvent) -> RunState:
        known = self.runs.get(event.run)
        run = self.runs[event.run] = RunState(event.run, run_kind(event.run), asked=True)
        run.notes = known.notes if known else ()
        run.number, run.first_params, run.params, run.seed = event.number, event.params, event.params, event.seed
        run.replicate, run.fold, run.rerun = event.replicate, event.fold, event.rerun
        return run

    def _begin(self, event: BeginEvent) -> RunState:
        run = self._run(event.run)
        run.attempts, run.asker = event.attempt, event.asker
        run.data = self.source or run.data
        run.begun_at = event.time if run.begun_at is None else run.begun_at
        return run

    def _report(self, event: ReportEvent) -> RunState:
        run = self._run(event.run)
        run.history[event.step] = event.metric
        run.value, run.step, run.seconds = event.value, event.at, event.seconds
        return run

    def _exploit(self, event: ExploitEvent) -> RunState:
        run, donor = self._run(event.run), self._run(event.donor)
        run.changes = (*donor.changes, Change(event.step, event.donor, donor.params, event.params))
        run.history, run.seed = dict(donor.history), donor.seed
        run.value, run.step, run.seconds = donor.value, donor.step, donor.seconds
        run.params = event.params
        return run

    def _lose(self, event: LostEvent) -> RunState:
        run = self._run(event.run)
        run.lost += 1
        return run

    def _end_run(self, event: OutcomeEvent) -> RunState:
        run = self._run(event.run)
        run.outcome, run.reason, run.mistake = event.outcome, event.reason, event.mistake is not None
        run.value, run.step, run.seconds = event.value, event.step, event.seconds
        run.scores, run.train_size, run.test_size = event.scores, event.train_size, event.test_size
        run.noted, run.data = event.data, event.data.get("source") or run.data or self.source
        run.ended_at = event.time
        if run.kind is RunKind.RERUN and not run.mistake:
            trial = self._run(trial_run(run.number))
            if run.outcome is Outcome.COMPLETE and run.value is not None and math.isfinite(run.value):
                trial.further = {**trial.further, run.rerun or 0: run.value}
            else:
                trial.fallen = trial.fallen or run
        return run

    def _drop(self, event: DropEvent) -> RunState:
        run = self._run(event.run)
        run.dropped = True
        return run

    def _adopt(self, event: AdoptEvent) -> RunState:
        run = self._run(event.run)
        run.params = event.params
        return run

    def _change_session(self, event: SessionEvent | EndEvent) -> None:
        self.session, self.paused = event, False
        if isinstance(event, SessionEvent) and isinstance(event.given, Mapping):
            self._trials = _unless_overtaken(self._trials, "trials", event.given)
            self._time = _unless_overtaken(self._time, "seconds", event.given)

    def _obey_add(self, event: AddEvent) -> None:
        self.orders |= {event.order}
        self.added = (*self.added, event.params)

    def _obey_stop(self, event: StopEvent) -> RunState | None:
        self.orders |= {event.order}
        if event.run is None:
            return None
        run = self._run(event.run)
        run.told_to_stop = True
        return run

    def _obey_pause(self, event: PauseEvent | ResumeEvent) -> None:
        self.orders |= {event.order}
        self.paused = isinstance(event, PauseEvent)

    def _obey_budget(self, event: BudgetEvent) -> None:
        self.orders |= {event.order}
        self._trials = self._trials if event.trials is None else event
        self._time = self._time if event.seconds is None else event

    def _obey_note(self, event: NoteEvent) -> RunState | None:
        self.orders |= {event.order}
        note = Note(event.time, event.text)
        if event.run is None:
            self.notes = (*self.notes, note)
            return None
        run = self._run(event.run)
        run.notes = (*run.notes, note)
        return run

    def _refuse(self, event: RefuseEvent) -> None:
        self.orders |= {event.order}

    def _take_data(self, event: DataEvent) -> None:
        self.source = event.source

    def _pass_over(self, event: UnknownEvent) -> RunState | None:
        return self.runs.get(str(event.content.get("run")))


_OF_A_TRAINING = BeginEvent | ReportEvent | ExploitEvent | LostEvent | OutcomeEvent
"""What no run has once it has ended."""


def _misnamed(event: AskEvent) -> str | None:
    """Return what is wrong with the name of a run that is asked for: its folder follows from its numbers."""
    kind = run_kind(event.run)
    if kind is RunKind.BASELINE:
        return None
    name = run_called(kind, event.number, replicate=event.replicate, fold=event.fold, rerun=event.rerun)
    return None if event.run == name and event.number >= 0 else f"{event.run!r} is not what this run is called"


def _unless_overtaken(order: BudgetEvent | None, name: str, given: Mapping[str, Any]) -> BudgetEvent | None:
    """Return a budget that a person gave, unless the space or the command says another one than it did then."""
    now = given.get(name)
    return order if order is None or order.instead.get(name, now) == now else None


_FOLLOW: Final[Mapping[type[Event], Callable[[ExperimentState, Any], RunState | None]]] = {
    AskEvent: ExperimentState._ask,
    BeginEvent: ExperimentState._begin,
    ReportEvent: ExperimentState._report,
    ExploitEvent: ExperimentState._exploit,
    LostEvent: ExperimentState._lose,
    OutcomeEvent: ExperimentState._end_run,
    DropEvent: ExperimentState._drop,
    AdoptEvent: ExperimentState._adopt,
    SessionEvent: ExperimentState._change_session,
    EndEvent: ExperimentState._change_session,
    DataEvent: ExperimentState._take_data,
    AddEvent: ExperimentState._obey_add,
    StopEvent: ExperimentState._obey_stop,
    PauseEvent: ExperimentState._obey_pause,
    ResumeEvent: ExperimentState._obey_pause,
    BudgetEvent: ExperimentState._obey_budget,
    NoteEvent: ExperimentState._obey_note,
    RefuseEvent: ExperimentState._refuse,
    UnknownEvent: ExperimentState._pass_over,
}
