"""The coordinator hands jobs to workers, answers reports, decides outcomes, keeps time limits, and hears Ctrl-C."""

import contextlib
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from types import FrameType
from typing import Any

from hpsearch.errors import SearchFailedError
from hpsearch.experiment.events import (
    BudgetEvent,
    InterruptNotice,
    MomentNotice,
    StopEvent,
    TextNotice,
)
from hpsearch.jobs import (
    BaselinesScored,
    Completed,
    Ending,
    Exploit,
    Failed,
    Job,
    JobKind,
    JobResult,
    Lost,
    Obstacle,
    OutOfMemory,
    Paused,
    Pruned,
    Report,
    Retire,
    Workers,
)
from hpsearch.records import Decision, Moment
from hpsearch.workers.ahead import Ahead
from hpsearch.workers.ledger import Ledger
from hpsearch.workers.limits import AWAY_SECONDS, BY_A_PERSON, Limits, Running, Stopped
from hpsearch.workers.steering import Steerable, Steering

LOOK_SECONDS = 0.25
"""How often time limits are looked at when nothing happens."""


class StopReason(StrEnum):
    """Why a session ended."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    TIME = "time"
    FAILED = "failed"


class Coordinator:
    """Runs the jobs of a source to their outcomes."""

    def __init__(
        self,
        ledger: Ledger,
        workers: Workers,
        limits: Limits,
        ahead: Ahead | None = None,
        *,
        steering: Steering | None = None,
        stopped: bool = False,
    ) -> None:
        """With `stopped` somebody has ordered the end before the first job."""
        self._ledger = ledger
        self._ahead = ahead
        self._steering = steering
        self._workers = workers
        self._limits = limits
        self._running: dict[str, Running] = {}
        self._again: deque[Job] = deque()
        self._interrupts = int(stopped)
        self._source: Steerable | None = None
        self._looked = time.monotonic()

    def run(self, source: Steerable) -> StopReason:
        """Run the source's jobs until there are none, or until interrupted or out of time.

        Raises:
            SearchFailedError: From the source, after everything was written.

        """
        self._source = source
        with self._interruptible(), self._settled():
            self._end_stopped(source)
            while True:
                self._obey()
                if not self._resting:
                    self._start_jobs(source)
                    if len(self._running) > 1 and not self._workers.idle:
                        source.prepare()  # one worker waits for the ask, which then sees its outcome
                self._ledger.settle()
                if self._is_over and not self._obey(at_once=True):
                    break
                self._wait()
                self._enforce_limits()
        if self._interrupts:
            return StopReason.INTERRUPTED
        return StopReason.TIME if self._out_of_time else StopReason.FINISHED

    @property
    def _is_over(self) -> bool:
        paused = self._ledger.state.paused and not self._stopping
        lost = self._again and not self._stopping  # who waits for a worker, of which a cluster may have none now
        return not (self._running or self._waits_for_what_runs_ahead or paused or lost)

    def _wait(self) -> None:
        """Hear the workers for a while; nobody speaks while all rests."""
        if self._running or (self._ahead is not None and self._ahead.busy):
            self._workers.serve(self, timeout=LOOK_SECONDS)
        else:
            self._workers.serve(self, timeout=0.0)
            time.sleep(LOOK_SECONDS)

    @property
    def _waits_for_what_runs_ahead(self) -> bool:
        """Whether it is needed now, or has to write its checkpoint."""
        return self._ahead is not None and (self._ahead.busy if self._interrupts else self._ahead.awaited)

    @property
    def _out_of_time(self) -> bool:
        return self._limits.time is not None and self._ledger.elapsed >= self._limits.time

    @property
    def _stopping(self) -> bool:
        return self._interrupts > 0 or self._out_of_time

    @property
    def _resting(self) -> bool:
        """Whether nothing is to be trained now."""
        return self._stopping or self._ledger.state.paused

    # What a person orders

    def _obey(self, *, at_once: bool = False) -> bool:
        """Do what was ordered since the last look; say whether that was anything."""
        if self._steering is None:
            return False
        orders = self._steering.obey(self._ledger, self._current_source, at_once=at_once)
        for order in orders:
            if isinstance(order, StopEvent) and order.run is not None:
                self._stop(order.run)
            elif isinstance(order, StopEvent) and not self._interrupts:
                self._interrupts = 1
            elif isinstance(order, BudgetEvent) and self._limits.time is not None:
                self._limits = replace(self._limits, time=self._steering.time_limit(self._ledger.state))
        return bool(orders)

    def _stop(self, run: str) -> None:
        """End a trial: at its next report or step if a worker has it, at once if none does."""
        if run in self._running:
            self._running[run].stopped = time.monotonic()
            return
        job = next((each for each in self._again if each.run == run), None)
        if job is not None:
            self._again.remove(job)
        else:
            job = self._current_source.withdraw(run)
        if job is not None:
            self._finish(job, Stopped(BY_A_PERSON))

    def _end_stopped(self, source: Steerable) -> None:
        """End the trials whose end was ordered when a kill came."""
        for run in [each.run for each in self._ledger.state.runs.values() if each.told_to_stop and not each.ended]:
            if (job := source.withdraw(run)) is not None:
                self._finish(job, Stopped(BY_A_PERSON))

    def _start_jobs(self, source: Steerable) -> None:
        while self._workers.idle:
            job = self._again.popleft() if self._again else source.next_job()
            if job is None:
                if self._ahead is None or not self._running or not self._ahead.begin_one():
                    return
                continue
            if isinstance(job, Exploit):
                self._ledger.exploit(job)
                continue
            if isinstance(job, Retire):
                self._ledger.discard(job.job)  # first: until its end is written, all can be repeated
                self._finish(job.job, Pruned())
                continue
            if self._ahead is not None and self._ahead.holds(job):
                continue
            known = self._ledger.begin(job, source.last_ask)
            running = self._running[job.run] = Running(job, known.seconds)
            if self._limits.queues:
                running.loading = None
            self._workers.start(job)

    # What the workers say (the JobListener contract)

    def started(self, job: Job) -> None:
        """Count the run's time limit from now on."""
        if self._ahead is not None and self._ahead.is_ahead(job):
            return
        running = self._running[job.run]
        running.started, running.loading = time.monotonic(), None

    def reported(self, job: Job, report: Report) -> Decision:
        """Log a report and answer it; a run that is asked to stop may take any time to end."""
        self._obey()
        if self._ahead is not None and self._ahead.is_ahead(job):
            return self._answer_ahead(self._ahead, job)
        decision, running = self._answer(job, report), self._running[job.run]
        running.loading = None
        if decision is not Decision.CONTINUE:
            running.started = None
            running.hear_stop()
        return decision

    def moment(self, job: Job, moment: Moment) -> Decision:
        """Show how far a run is between two reports; one that has to stop need not come to the next."""
        self._obey()
        if moment.note:
            self._ledger.show(TextNotice(f"{job.run}: {moment.note}", problem=True))
        if self._ahead is not None and self._ahead.is_ahead(job):
            return self._answer_ahead(self._ahead, job)
        self._ledger.show(MomentNotice(job.run, moment))
        running = self._running[job.run]
        if not self._is_to_rest(running):
            if running.started is None and (running.loading is not None or moment.preparing):
                running.loading = time.monotonic()
            return Decision.CONTINUE
        running.started = running.loading = None
        running.resting = True
        running.hear_stop()
        return Decision.PAUSE

    def _is_to_rest(self, running: Running) -> bool:
        return self._resting or running.stopped is not None

    def _answer_ahead(self, ahead: Ahead, job: Job) -> Decision:
        rests = self._interrupts or self._ledger.state.paused
        return Decision.CONTINUE if ahead.is_wanted(job) and not rests else Decision.PAUSE

    def _answer(self, job: Job, report: Report) -> Decision:
        metric = self._ledger.report(job, report)
        decision = self._current_source.report(job, report.step, metric, final=report.final)
        if report.final:
            return Decision.CONTINUE
        if decision is Decision.PRUNE:
            return decision
        if self._limits.trial_time is not None and report.seconds >= self._limits.trial_time:
            return Decision.TIME_OUT
        if decision is Decision.CONTINUE and self._is_to_rest(self._running[job.run]):
            self._running[job.run].resting = True
            return Decision.PAUSE
        return decision

    @property
    def _current_source(self) -> Steerable:
        assert self._source is not None  # noqa: S101 -- ours: jobs report only while run() runs
        return self._source

    def ended(self, job: Job, result: JobResult) -> None:
        """Write the outcome down, resume a run that was lost, or note that it has been paused.

        Raises:
            SearchFailedError: For an obstacle; whatever the source raises.
            KeyboardInterrupt: It was told twice to stop, and a training in this process made something else of that,
                such as a module that could not be imported.

        """
        if self._interrupts > 1:
            raise KeyboardInterrupt
        if self._ahead is not None and self._ahead.is_ahead(job):
            if awaiting := self._ahead.ended(job):
                self._again.append(awaiting)
            return
        if isinstance(result, Lost | Paused) and self._running[job.run].stopped is not None:
            self._running.pop(job.run)
            self._finish(job, Stopped(BY_A_PERSON, seconds=result.seconds))
            return
        if isinstance(result, Lost):
            self._lose(job, result)
            return
        running = self._running.pop(job.run)
        if isinstance(result, Obstacle):
            raise SearchFailedError(result.reason)
        if isinstance(result, Paused):
            self._rest(job, running)
            return
        if isinstance(result, Failed | OutOfMemory) and result.details:
            self._ledger.details(job, result.details)
        if job.kind is JobKind.BASELINES:
            scores = result.scores if isinstance(result, BaselinesScored) else {}
            self._ledger.baselines(job, scores, seconds=result.seconds or 0.0, notes=self._noted(job, result))
            self._current_source.ended(job, result.outcome, None, result.reason)
        elif isinstance(result, Completed) and self._ledger.known(job).value is None:
            self._finish(job, Failed(f"the training ended without reporting {self._ledger.metric}"))
        else:
            self._finish(job, result)

    def _rest(self, job: Job, running: Running) -> None:
        """Take note that a run is paused: the source hands it out again, if it has asked for that, or else we do."""
        self._ledger.paused(job)
        if running.resting:
            self._again.append(job)
        else:
            self._current_source.paused(job)

    def _noted(self, job: Job, result: Ending) -> dict[str, Any]:
        """Return the log's notes on the run's data. A run that has reported could use its data: that was no mistake."""
        sizes = result.sizes if isinstance(result, Completed | BaselinesScored) else {}
        notes: dict[str, Any] = {**sizes, **({"data": dict(result.data)} if result.data else {})}
        failed = isinstance(result, Failed) and result.mistake and not self._ledger.known(job).history
        return {**notes, "mistake": "start"} if failed else notes

    def _finish(self, job: Job, result: Ending) -> None:
        scores = result.scores if isinstance(result, Completed) else {}
        self._ledger.outcome(
            job, result.outcome, result.reason, seconds=result.seconds, scores=scores, notes=self._noted(job, result)
        )
        if self._ahead is not None:
            self._ahead.think_again()
        self._current_source.ended(job, result.outcome, self._ledger.known(job).value, result.reason)

    def _lose(self, job: Job, result: Lost) -> None:
        """Resume a lost run from its checkpoint, or give it up when it was lost too often."""
        self._running.pop(job.run)
        times = self._ledger.known(job).lost + 1
        if times > self._limits.retries:
            self._finish(job, Lost(f"{result.reason}, {times} times"))
        else:
            self._ledger.lost(job, result.reason)
            self._again.append(job)

    @contextlib.contextmanager
    def _settled(self) -> Iterator[None]:
        """Leave nothing that is not on the disk, whatever ends the search."""
        try:
            yield
        finally:
            self._ledger.finish()

    # Time limits and Ctrl-C

    def _enforce_limits(self) -> None:
        """End the processes of runs that take too long."""
        now = time.monotonic()
        away, self._looked = now - self._looked, now
        held_up = self._limits.queues and any(each.loading is not None for each in self._running.values())
        for running in list(self._running.values()):
            if away > AWAY_SECONDS:
                running.shift(away)
            elif held_up and running.started is not None:  # its process may be loading what another one needs
                running.started += away
            if ending := running.overdue(self._limits, now):
                self._workers.kill(running.job)
                self._running.pop(running.job.run)
                self._finish(running.job, ending)

    def _interrupt(self, _: int, __: FrameType | None) -> None:
        """Once: let running trials checkpoint at their next step. Twice: stop now."""
        self._interrupts += 1
        if self._interrupts > 1:
            raise KeyboardInterrupt
        self._ledger.show(InterruptNotice())

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM while jobs run. Only a main thread can; elsewhere Python's own handling stays."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        kept = {number: signal.signal(number, self._interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        except KeyboardInterrupt:
            self._interrupts = max(self._interrupts, 2)
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)
