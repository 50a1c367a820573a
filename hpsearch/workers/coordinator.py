"""The coordinator hands jobs to workers, answers reports, decides outcomes, keeps time limits, and hears Ctrl-C."""

import contextlib
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from types import FrameType
from typing import Any

from hpsearch.errors import SearchFailedError
from hpsearch.experiment.events import InterruptNotice, MomentNotice, TextNotice
from hpsearch.jobs import (
    BaselinesScored,
    Completed,
    Ending,
    Exploit,
    Failed,
    Job,
    JobKind,
    JobResult,
    JobSource,
    Lost,
    Obstacle,
    OutOfMemory,
    Paused,
    Pruned,
    Report,
    Retire,
    TimedOut,
    Workers,
)
from hpsearch.records import Decision, Moment
from hpsearch.workers.ahead import Ahead
from hpsearch.workers.ledger import Ledger

GRACE_SECONDS = 5.0
"""How long after its time limit a trial may take to report before its process is ended."""
LOADING_SECONDS = 60.0
"""How long a run may always be silent before its training begins, however short the trial's time is."""
LOOK_SECONDS = 0.25
"""How often time limits are looked at when nothing happens."""


class StopReason(StrEnum):
    """Why a session ended."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    TIME = "time"
    FAILED = "failed"


@dataclass(frozen=True)
class Limits:
    """`time`: seconds of the whole experiment; `trial_time`: seconds of training of one run; `retries` after a loss.

    `loading`: the least seconds that a run may say nothing before its training begins, where there is a `trial_time`;
    None for no limit.
    """

    time: float | None = None
    trial_time: float | None = None
    retries: int = 2
    loading: float | None = LOADING_SECONDS


@dataclass
class _Running:
    job: Job
    seconds_before: float
    started: float | None = None
    """When its training began, until it is asked to stop."""
    loading: float | None = field(default_factory=time.monotonic)
    """When it was begun, or last told how far its data are, until its training begins."""


class Coordinator:
    """Runs the jobs of a source to their outcomes."""

    def __init__(self, ledger: Ledger, workers: Workers, limits: Limits, ahead: Ahead | None = None) -> None:
        self._ledger = ledger
        self._ahead = ahead
        self._workers = workers
        self._limits = limits
        self._running: dict[str, _Running] = {}
        self._again: deque[Job] = deque()
        self._interrupts = 0
        self._source: JobSource | None = None

    def run(self, source: JobSource) -> StopReason:
        """Run the source's jobs until there are none, or until interrupted or out of time.

        Raises:
            SearchFailedError: From the source, after everything was written.

        """
        self._source = source
        with self._interruptible(), self._settled():
            while True:
                if not self._stopping:
                    self._start_jobs(source)
                    if len(self._running) > 1 and not self._workers.idle:
                        source.prepare()  # one worker waits for the ask, which then sees its outcome
                self._ledger.settle()
                if not self._running and not self._waits_for_what_runs_ahead:
                    break
                self._workers.serve(self, timeout=LOOK_SECONDS)
                self._enforce_trial_time()
        if self._interrupts:
            return StopReason.INTERRUPTED
        return StopReason.TIME if self._out_of_time else StopReason.FINISHED

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

    def _start_jobs(self, source: JobSource) -> None:
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
            self._running[job.run] = _Running(job, known.seconds)
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
        if self._ahead is not None and self._ahead.is_ahead(job):
            return self._answer_ahead(self._ahead, job)
        decision = self._answer(job, report)
        self._running[job.run].loading = None
        if decision is not Decision.CONTINUE:
            self._running[job.run].started = None
        return decision

    def moment(self, job: Job, moment: Moment) -> Decision:
        """Show how far a run is between two reports; one that has to stop need not come to the next."""
        if moment.note:
            self._ledger.show(TextNotice(f"{job.run}: {moment.note}", problem=True))
        if self._ahead is not None and self._ahead.is_ahead(job):
            return self._answer_ahead(self._ahead, job)
        self._ledger.show(MomentNotice(job.run, moment))
        running = self._running[job.run]
        if not self._stopping:
            running.loading = running.loading and time.monotonic()
            return Decision.CONTINUE
        running.started = running.loading = None
        return Decision.PAUSE

    def _answer_ahead(self, ahead: Ahead, job: Job) -> Decision:
        return Decision.CONTINUE if ahead.is_wanted(job) and not self._interrupts else Decision.PAUSE

    def _answer(self, job: Job, report: Report) -> Decision:
        metric = self._ledger.report(job, report)
        decision = self._current_source.report(job, report.step, metric, final=report.final)
        if report.final:
            return Decision.CONTINUE
        if decision is Decision.PRUNE:
            return decision
        if self._limits.trial_time is not None and report.seconds >= self._limits.trial_time:
            return Decision.TIME_OUT
        return Decision.PAUSE if self._stopping else decision

    @property
    def _current_source(self) -> JobSource:
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
        if isinstance(result, Lost):
            self._lose(job, result)
            return
        self._running.pop(job.run)
        if isinstance(result, Obstacle):
            raise SearchFailedError(result.reason)
        if isinstance(result, Paused):
            self._ledger.paused(job)
            self._current_source.paused(job)
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

    def _enforce_trial_time(self) -> None:
        """End the process of a run that neither ends nor reports long after its time limit.

        Data may take longer than that if it is told how far they are.
        """
        limit, now = self._limits.trial_time, time.monotonic()
        if limit is None:
            return
        silent = None if self._limits.loading is None else max(limit, self._limits.loading)
        for running in list(self._running.values()):
            if running.started is not None:
                spent = running.seconds_before + now - running.started
                if spent > limit + GRACE_SECONDS:
                    self._time_out(running, f"no report within the trial's time of {limit:g} s", spent)
            elif running.loading is not None and silent is not None and now - running.loading > silent:
                reason = f"its training has not begun, and nothing was heard of its data for {silent:g} s"
                self._time_out(running, reason, running.seconds_before)

    def _time_out(self, running: _Running, reason: str, seconds: float) -> None:
        self._workers.kill(running.job)
        self._running.pop(running.job.run)
        self._finish(running.job, TimedOut(reason, seconds=seconds))

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
