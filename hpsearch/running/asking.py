"""A search that is asked for trials by the programs that train them: `hpsearch.ask_tell`.

There is no coordinator. Each operation holds the experiment's folder for a moment, takes in what other processes have
written meanwhile, and writes its own events; so the log has one writer at any time, and all processes have the same
search. What follows from the log follows from it here as in a session of `hpsearch run`.
"""

import math
import os
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

from hpsearch.errors import ExperimentBusyError, ExperimentError, HpsearchError
from hpsearch.experiment.activity import locked_in_turn
from hpsearch.experiment.askers import Asker, Presence, forget, known, living, presence
from hpsearch.experiment.events import AddEvent, AskEvent, EndEvent, Event, SessionEvent, StopEvent
from hpsearch.experiment.gaps import gaps, lost_log, trained_without_log
from hpsearch.experiment.layout import LOG, RunKind, is_experiment, run_kind
from hpsearch.experiment.lease import Lease
from hpsearch.experiment.log import Log, read_past
from hpsearch.experiment.orders import Inbox, end_is_ordered, withdraw_stale
from hpsearch.experiment.provenance import machine, versions
from hpsearch.experiment.reading import read_resolved
from hpsearch.experiment.state import RunState
from hpsearch.jobs import (
    AskInfo,
    Completed,
    Diverged,
    Ending,
    Job,
    Lost,
    Pruned,
    Report,
    TimedOut,
)
from hpsearch.records import Outcome
from hpsearch.running.asked_trial import AskedTrial
from hpsearch.running.earlier import changes_since, earlier_trials, prepare_experiment, settled, to_replay
from hpsearch.running.mending import say_lost, say_mended, trial_job
from hpsearch.running.runner import explaining_full_disks, make_folder
from hpsearch.running.same_data import same_data
from hpsearch.running.session import given_budget, longest_training
from hpsearch.search.optuna_search import OptunaSearch
from hpsearch.search.sources import JobList
from hpsearch.space import Space, objective_value
from hpsearch.space.pruner_options import ASHA, PB2, PBT, AutoPruner, Pausing
from hpsearch.workers.coordinator import StopReason
from hpsearch.workers.ledger import Ledger, stored_job
from hpsearch.workers.limits import BY_A_PERSON, Stopped
from hpsearch.workers.steering import Steering

_PAUSED_LOOK = 0.5
"""Seconds between two looks whether a paused search goes on."""


class AskTell:
    """A search in an experiment's folder; `ask` for a trial, train it, `report`, and `tell` what it came to.

    Several processes may open one folder at once, and threads may share one object. It closes itself when nobody refers
    to it any more. `notes` are sentences on what was found in the folder.
    """

    def __init__(self, space: Space, folder: Path) -> None:
        self.folder = folder
        self.notes: tuple[str, ...] = ()
        self._given, self._space = space, _with_pruner_that_stops(space)
        self._mutex = threading.RLock()
        self._lease: Lease | None = None
        self._asker: Asker | None = None
        self._stale, self._closed, self._exhausted, self._stopped = True, False, False, False
        self._misfits = 0
        self._numbers: dict[str, int] = {}
        make_folder(folder)
        try:
            with self._held():
                pass
        except BaseException:
            if self._asker is not None:
                self._asker.close()
            raise
        self._leave = weakref.finalize(self, Asker.close, self._present)
        self._leave.atexit = False  # a program that ends without having told its trials has lost them

    def __fspath__(self) -> str:
        return str(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[AskedTrial]:
        while (trial := self.ask()) is not None:
            yield trial

    # What programs do

    def ask(self) -> AskedTrial | None:
        """Return the next trial: first one that a process has lost or left, then a new one. A paused search waits.

        Returns:
            None when the budget is used up, every configuration was tried or somebody has ordered the end; a later call
            may find a lost trial.

        Raises:
            ExperimentBusyError: The folder is held by another process for long.
            SearchFailedError: There is no room for a file.
        """
        while True:
            with self._held():
                if self._stopped or not self._log.state.paused:
                    return self._next()
            time.sleep(_PAUSED_LOOK)

    def _next(self) -> AskedTrial | None:
        if self._stopped:
            return None
        self._note_losses()
        job, info = self._left_by_others() or self._new() or (None, AskInfo())
        if job is None:
            return None
        before = self._ledger.begin(job, info)
        folder = (self.folder / job.run).resolve()
        return AskedTrial(self, job, folder=folder, attempt=before.attempts, seconds=before.seconds)

    def close(self) -> None:
        """Leave the search; trials that were not told are handed out again. Nothing happens the second time."""
        with self._mutex:
            if self._closed:
                return
            try:
                with self._held():
                    self._present.close()
                    if not living(self.folder):
                        self._log.append(EndEvent(why=self._why.value), durable=True)
            finally:
                self._closed = True
                self._present.close()
                self._leave.detach()
                self._log.close()

    @property
    def _why(self) -> StopReason:
        state = self._log.state
        trials, most = [*state.of_kind(RunKind.TRIAL)], state.trials_of(self._space.search.trials) - self._misfits
        done = (len(trials) >= most or self._exhausted) and all(each.ended for each in trials)
        return StopReason.FINISHED if done else StopReason.INTERRUPTED

    # What is next

    def _note_losses(self) -> None:
        """Write down what processes that died have lost; what was lost too often comes to its end."""
        for name in known(self.folder):
            if presence(self.folder, name) is not Presence.DIED:
                continue
            for trial in self._unfinished():
                if trial.asker == name and trial.attempts > trial.lost:
                    self._lose(stored_job(self.folder, trial.run), trial.lost + 1)
            forget(self.folder, name)

    def _lose(self, job: Job, times: int) -> None:
        reason = "the program that asked for it has ended"
        if times > self._space.search.retries:
            self._finish(job, Lost(f"{reason}, {times} times"))
        else:
            self._ledger.lost(job, reason)

    def _unfinished(self) -> list[RunState]:
        trials = self._log.state.of_kind(RunKind.TRIAL)
        return [trial for trial in trials if not trial.ended and trial.run in self._numbers]

    def _left_by_others(self) -> tuple[Job, AskInfo] | None:
        """Return a trial that nobody has."""
        for trial in self._unfinished():
            if trial.asker is None or presence(self.folder, trial.asker) is not Presence.ALIVE:
                if trial.told_to_stop:
                    self._finish(stored_job(self.folder, trial.run), Stopped(BY_A_PERSON))
                    continue
                if trial.mistake:
                    return trial_job(self._space, trial.number, trial.first_params), AskInfo()
                return stored_job(self.folder, trial.run), AskInfo()
        return None

    def _new(self) -> tuple[Job, AskInfo] | None:
        state, search = self._log.state, self._space.search
        asked = sum(1 for _ in state.of_kind(RunKind.TRIAL))
        most = state.trials_of(search.trials) - self._misfits
        if asked >= most or self._log.elapsed >= self._steering.time_limit(state) or self._exhausted:
            return None
        number = state.next_number
        params = self._brain.ask(number)
        if params is None:
            self._exhausted = True
            return None
        job = trial_job(self._space, number, params)
        self._numbers[job.run] = number
        return job, self._brain.last_ask

    # What became of it

    def reported(self, trial: AskedTrial, report: Report) -> bool:
        """Write a report down and say whether the trial goes on."""
        with self._held():
            if self._ended(trial) is not None:
                return False
            value = float(report.metrics[self.metric])
            if not math.isfinite(value):
                self._finish(trial.job, self._diverged(value, report.step), seconds=report.seconds)
                return False
            self._ledger.report(trial.job, report)
            prune = self._brain.report(trial.number, report.step, value, final=report.final)
            limit = self._space.search.trial_time
            if self._log.state.runs[trial.job.run].told_to_stop:
                self._finish(trial.job, Stopped(BY_A_PERSON))
            elif not report.final and prune:
                self._finish(trial.job, Pruned())
            elif not report.final and limit is not None and report.seconds >= limit:
                self._finish(trial.job, TimedOut(f"its training took {report.seconds:.0f} s"))
            return self._log.state.runs[trial.job.run].outcome is None

    def told(self, trial: AskedTrial, value: float | None, metrics: Mapping[str, float], seconds: float) -> Outcome:
        """Write down what a trial came to; a trial that has ended stays as it is."""
        with self._held():
            if (outcome := self._ended(trial)) is not None:
                return outcome
            known = self._log.state.runs[trial.job.run]
            if value is None and not known.history:
                raise HpsearchError(f"trial {trial.number} has reported nothing: tell its value, or why it has failed")
            if value is not None and not math.isfinite(value):
                return self._finish(trial.job, self._diverged(value, known.last[0]), seconds=seconds)
            if value is not None and not known.history:
                self._ledger.report(trial.job, Report(1, metrics, seconds, final=True))
                self._brain.report(trial.number, 1, value, final=True)
                value = None
            return self._finish(trial.job, Completed(), seconds=seconds, told=value)

    def failed(self, trial: AskedTrial, ending: Ending) -> Outcome:
        """Write down that a trial has come to nothing; a trial that has ended stays as it is."""
        with self._held():
            return self._ended(trial) or self._finish(trial.job, ending, seconds=ending.seconds)

    @property
    def metric(self) -> str:
        """The metric that is searched for."""
        return self._space.objective.metric

    def _diverged(self, value: float, step: int | None) -> Diverged:
        return Diverged(f"{self.metric} became {value}" + ("" if step is None else f" at step {step}"))

    def _ended(self, trial: AskedTrial) -> Outcome | None:
        """Return the outcome of a trial that has one.

        Raises:
            ExperimentError: Another process has the trial now.
        """
        known = self._log.state.runs[trial.job.run]
        if known.dropped or known.attempts != trial.attempt:
            why = "does not fit the changed space" if known.dropped else "was taken up by another process"
            raise ExperimentError(f"trial {trial.number} {why}; what is told of it here does not count")
        return known.outcome

    def _finish(self, job: Job, ending: Ending, *, seconds: float | None = None, told: float | None = None) -> Outcome:
        self._ledger.outcome(job, ending.outcome, ending.reason, seconds=seconds, scores={}, notes={}, told=told)
        self._brain.tell(job.number, ending.outcome, self._log.state.runs[job.run].value)
        return ending.outcome

    # The folder

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the folder for one operation, with everything that others have written.

        What breaks off in the midst of it, such as by Ctrl-C or a full disk, is read from the log again.
        """
        if self._closed:
            raise HpsearchError(f"the search in {self.folder} is closed here; hpsearch.ask_tell opens it again")
        with self._mutex, explaining_full_disks(), locked_in_turn(self.folder) as hold:
            self._lease = hold.lease
            try:
                if self._stale:
                    self._take_up()
                else:
                    self._follow()
                for order in self._steering.obey(self._ledger, JobList([]), at_once=True):
                    self._take_order(order)
                yield
                self._ledger.finish()
            except ExperimentBusyError:  # another machine may have the folder now
                self._stale = True
                raise
            except HpsearchError:
                raise
            except BaseException:
                self._stale = True
                raise

    @property
    def _present(self) -> Asker:
        """The sign of life of this process; one that was forked off gets its own."""
        if self._asker is None or self._asker.process != os.getpid():
            self._asker = Asker(self.folder)
        return self._asker

    def _check(self) -> None:
        if self._lease is not None:
            self._lease.check()

    def _follow(self) -> None:
        """Take in what other processes have written."""
        for event in self._log.rejoin():
            if isinstance(event, AskEvent) and run_kind(event.run) is RunKind.TRIAL:
                self._numbers[event.run] = event.number
            self._brain.replay([event], runs=self._numbers)
            self._take_order(event)
        self._ledger.asker = self._present.name

    def _take_order(self, event: Event) -> None:
        """Do what follows for the search from what a person has ordered; the rest is in the log's state."""
        if isinstance(event, AddEvent):
            self._brain.add(self._space.canonical(event.params))
        elif isinstance(event, StopEvent) and event.run is None:
            self._stopped = True

    def _take_up(self) -> None:
        """Read everything that is there; of an experiment that others search now, nothing is changed."""
        folder, others = self.folder, living(self.folder)
        if is_experiment(folder):
            resolved = read_resolved(folder)
            self._space = _with_pruner_that_stops(self._given.going_on_from(resolved["space"]))
            if others and (changed := changes_since(self._space, resolved)):
                raise ExperimentBusyError(
                    f"{folder} is searched by other programs, with another space ({'; '.join(changed)}): give the same "
                    "one, or wait for their end"
                )
        past = read_past(folder / LOG)
        if sentence := lost_log(folder, past.state):
            raise ExperimentError(sentence)
        past.state.orphans |= {*trained_without_log(folder, past.state)}
        data = same_data(self._space, folder, past.state.runs.values())
        earlier = earlier_trials(self._space, folder, past.state)
        notes = [*gaps(folder, past.state), *data.notices, *([] if others else withdraw_stale(folder, past.state))]
        notes += prepare_experiment(self._space, folder, lambda: earlier)
        self._log = Log(folder / LOG, past, check=self._check)
        self._log.rejoin(meanwhile=bool(others))
        notes += [*self._log.damage, *([say_mended(earlier.mended)] if earlier.mended else [])]
        self.notes = (*notes, *([say_lost(earlier.lost)] if earlier.lost else []))
        objective = self._space.objective
        self._ledger = Ledger(
            folder,
            self._log,
            metric=objective.metric,
            value_of=lambda history: objective_value(history, objective),
            asker=self._present.name,
        )
        if not others:
            given = given_budget(self._space.search)
            self._log.append(SessionEvent(version=versions().get("hpsearch"), host=machine()["host"], given=given))
            data.write(folder, self._log)
        for event in settled(earlier, self._log.state):
            self._log.append(event, durable=True)
        events = self._log.take_events()
        self._stopped = self._stopped or (bool(others) and end_is_ordered(events))
        search, added = self._space.search, past.state.added
        check = partial(self._space.check_params, partial=True)
        self._steering = Steering(Inbox(folder), trials=search.trials, time=search.time, space=self._space)
        self._numbers = dict(earlier.numbers)
        self._exhausted = False
        fitting = [self._space.canonical(params) for params in added if not check(params)]
        self._misfits = len(added) - len(fitting)
        whole = replace(self._space, start=(*self._space.start, *fitting))
        self._brain = brain = OptunaSearch(whole, longest=longest_training(self._space))
        brain.replay(to_replay(self._space, events, earlier.params), runs=self._numbers)
        self._stale = False


def _with_pruner_that_stops(space: Space) -> Space:
    """Return the space with asha for the pruner `auto`, which would pause trials.

    Raises:
        HpsearchError: It names a pruner that pauses trials, or races seeds.
    """
    pruner = space.search.pruner
    if space.search.seeds is not None:
        raise HpsearchError("search.seeds: a program that asks for its trials chooses their seeds; tell the mean")
    if isinstance(pruner, AutoPruner):
        return replace(space, search=space.search.model_copy(update={"pruner": ASHA()}))
    if isinstance(pruner, PBT | PB2 | Pausing):
        raise HpsearchError(
            f"search.pruner: {pruner.kind} pauses trials and lets them go on, which a program that asks for its trials "
            "is not told; choose one that stops them, such as asha, median or none"
        )
    return space
