"""The coordinator hands jobs to workers, answers reports, decides outcomes, keeps time limits, and hears Ctrl-C."""

import contextlib
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import FrameType, MappingProxyType
from typing import Any

from hpsearch.errors import SearchFailedError
from hpsearch.experiment.events import InterruptNotice, PauseNotice
from hpsearch.jobs import Ended, Exploit, Job, Report, Source, Workers
from hpsearch.records import Decision, Outcome
from hpsearch.workers.ledger import Ledger

GRACE_SECONDS = 5.0
"""How long after its time limit a trial may take to report before its process is ended."""
LOOK_SECONDS = 0.25
"""How often time limits are looked at when nothing happens."""


class Why(StrEnum):
    """Why a session ended."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    TIME = "time"
    FAILED = "failed"


@dataclass(frozen=True)
class Limits:
    """`time`: seconds of the whole experiment; `trial_time`: seconds of training of one run; `retries` after a loss."""

    time: float | None = None
    trial_time: float | None = None
    retries: int = 2


@dataclass
class _Running:
    job: Job
    seconds_before: float
    started: float | None = None


class Coordinator:
    """Runs the jobs of a source to their outcomes."""

    def __init__(self, ledger: Ledger, workers: Workers, limits: Limits) -> None:
        self._ledger = ledger
        self._workers = workers
        self._limits = limits
        self._running: dict[str, _Running] = {}
        self._again: deque[Job] = deque()
        self._interrupts = 0
        self._source: Source | None = None

    def run(self, source: Source) -> Why:
        """Run the source's jobs until there are none, or until interrupted or out of time.

        Errors: SearchFailedError from the source, after everything was written.
        """
        self._source = source
        with self._interruptible():
            while True:
                if not self._stopping:
                    self._start_jobs(source)
                if not self._running:
                    break
                self._workers.serve(self, timeout=LOOK_SECONDS)
                self._enforce_trial_time()
        if self._interrupts:
            return Why.INTERRUPTED
        return Why.TIME if self._out_of_time else Why.FINISHED

    @property
    def _out_of_time(self) -> bool:
        return self._limits.time is not None and self._ledger.elapsed >= self._limits.time

    @property
    def _stopping(self) -> bool:
        return self._interrupts > 0 or self._out_of_time

    def _start_jobs(self, source: Source) -> None:
        while self._workers.idle:
            job = self._again.popleft() if self._again else source.next_job()
            if job is None:
                return
            if isinstance(job, Exploit):
                self._ledger.exploit(job)
                continue
            known = self._ledger.begin(job, source.asked)
            self._running[job.run] = _Running(job, known.seconds)
            self._workers.start(job)

    # What the workers say (the Handler contract)

    def started(self, job: Job) -> None:
        """Count the run's time limit from now on."""
        self._running[job.run].started = time.monotonic()

    def reported(self, job: Job, report: Report) -> Decision:
        """Write a report down and answer it; a run that is told to stop has all the time that it needs to end."""
        decision = self._answer(job, report)
        if decision is not Decision.CONTINUE:
            self._running[job.run].started = None
        return decision

    def _answer(self, job: Job, report: Report) -> Decision:
        metric = self._ledger.report(job, report)
        decision = self._asked_source.report(job, report.step, metric, final=report.final)
        if report.final:
            return Decision.CONTINUE
        if decision is Decision.PRUNE:
            return decision
        if self._limits.trial_time is not None and report.seconds >= self._limits.trial_time:
            return Decision.TIME_OUT
        return Decision.PAUSE if self._stopping else decision

    @property
    def _asked_source(self) -> Source:
        assert self._source is not None  # noqa: S101 -- ours: jobs report only while run() runs
        return self._source

    def ended(self, job: Job, ended: Ended) -> None:
        """Write the outcome down; a paused run has none. Errors: SearchFailedError for a full disk."""
        if ended.outcome is Outcome.LOST:  # not the worker, but a program that it ran
            self.lost(job, ended.reason or "its program was ended")
            return
        self._running.pop(job.run)
        if ended.outcome is None and ended.reason:
            raise SearchFailedError(ended.reason)
        if ended.details:
            self._ledger.details(job, ended.details)
        if ended.outcome is None:
            self._ledger.show(PauseNotice(job.run))
            self._asked_source.paused(job)
            return
        if job.baselines:
            notes = self._noted(job, ended)
            self._ledger.baselines(job, ended.baselines, seconds=ended.seconds or 0.0, notes=notes)
            self._asked_source.ended(job, ended.outcome, None, ended.reason)
        elif ended.outcome is Outcome.COMPLETE and self._ledger.known(job).value is None:
            self._finish(job, Outcome.FAILED, f"the training ended without reporting {self._ledger.metric}")
        else:
            notes = self._noted(job, ended)
            self._finish(job, ended.outcome, ended.reason, seconds=ended.seconds, scores=ended.scores, notes=notes)

    def _noted(self, job: Job, ended: Ended) -> dict[str, Any]:
        """Return what the log says of the run's data; one that has learned something could use them."""
        notes: dict[str, Any] = {**ended.sizes, **({"data": dict(ended.data)} if ended.data else {})}
        failed = ended.mistake and not self._ledger.known(job).history
        return {**notes, "mistake": "start"} if failed else notes

    def _finish(
        self,
        job: Job,
        outcome: Outcome,
        reason: str | None,
        *,
        seconds: float | None = None,
        scores: Mapping[str, float] = MappingProxyType({}),
        notes: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._ledger.outcome(job, outcome, reason, seconds=seconds, scores=scores, notes=notes)
        self._asked_source.ended(job, outcome, self._ledger.known(job).value, reason)

    def lost(self, job: Job, reason: str) -> None:
        """Take a lost run up again from its checkpoint, or give it up when it was lost too often."""
        self._running.pop(job.run)
        times = self._ledger.known(job).lost + 1
        if times > self._limits.retries:
            self._finish(job, Outcome.LOST, f"{reason}, {times} times")
        else:
            self._ledger.lost(job, reason)
            self._again.append(job)

    # Time limits and Ctrl-C

    def _enforce_trial_time(self) -> None:
        """End the process of a run that neither ends nor reports long after its time limit."""
        if self._limits.trial_time is None:
            return
        for running in list(self._running.values()):
            if running.started is None:
                continue
            overdue = running.seconds_before + time.monotonic() - running.started - self._limits.trial_time
            if overdue > GRACE_SECONDS:
                self._workers.kill(running.job)
                self._running.pop(running.job.run)
                reason = f"no report within the trial's time of {self._limits.trial_time:g} s"
                seconds = self._limits.trial_time + overdue
                self._finish(running.job, Outcome.TIMED_OUT, reason, seconds=seconds)

    def _interrupt(self, _: int, __: FrameType | None) -> None:
        """Once: let running trials checkpoint at their next report. Twice: stop now."""
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
