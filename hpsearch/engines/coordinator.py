"""The coordinator: the one writer of the experiment's log. It hands jobs to workers, answers reports, decides outcomes."""

import contextlib
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from hpsearch.engines import Ended, Job, Report, Source, Workers
from hpsearch.engines.progress import RunProgress, progress_of
from hpsearch.experiment.files import append_json_line, read_lines, write_json
from hpsearch.experiment.layout import CONFIG, FORMAT_VERSION, METRICS, OUTPUT
from hpsearch.experiment.log import Event, Log
from hpsearch.records import Decision, Outcome

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


class Observer(Protocol):
    """Somebody who watches the events go by: the progress display, the tracker."""

    def observe(self, event: Event) -> None:
        """Take note of an event; must not block."""
        ...


ValueRule = Callable[[Sequence[tuple[int, float]]], tuple[float, int]]
"""The objective by the space's rule, and the step it was taken at, from the metric's history."""


@dataclass
class _Running:
    job: Job
    attempt: int
    seconds_before: float
    started: float | None = None


class Coordinator:
    """Runs the jobs of a source to their outcomes."""

    def __init__(
        self,
        folder: Path,
        log: Log,
        workers: Workers,
        *,
        metric: str,
        value_of: ValueRule,
        limits: Limits,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._folder = folder
        self._log = log
        self._workers = workers
        self._metric = metric
        self._value_of = value_of
        self._limits = limits
        self._observers = observers
        self._progress = progress_of(log.events)
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
        return self._limits.time is not None and self._log.elapsed >= self._limits.time

    @property
    def _stopping(self) -> bool:
        return self._interrupts > 0 or self._out_of_time

    def emit(self, event: str, *, durable: bool = False, **fields: Any) -> None:
        """Write an event to the log and show it to the observers."""
        entry = self._log.append(event, durable=durable, **fields)
        for observer in self._observers:
            observer.observe(entry)

    def _start_jobs(self, source: Source) -> None:
        while self._workers.idle:
            job = self._again.popleft() if self._again else source.next_job()
            if job is None:
                return
            self._begin(job, source)

    def _begin(self, job: Job, source: Source) -> None:
        folder = self._folder / job.run
        if job.run not in self._progress:
            self._progress[job.run] = RunProgress()
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / CONFIG, {"version": FORMAT_VERSION, **job.to_json()})
            if not job.baselines:
                self._emit_ask(job, job.run, rejected=source.rejected)
        progress = self._progress[job.run]
        progress.attempts += 1
        progress.written_steps = {row["step"] for row, _ in read_lines(folder / METRICS)}
        self._running[job.run] = _Running(job, progress.attempts, progress.seconds)
        if not job.baselines:
            self.emit("begin", run=job.run, attempt=progress.attempts)
        self._workers.start(job)

    def _emit_ask(self, job: Job, run: str, *, rejected: int = 0) -> None:
        fields: dict[str, Any] = {} if job.replicate is None else {"replicate": job.replicate}
        seed = job.seeds["initialisation"]
        params = dict(job.params)
        self.emit(
            "ask", durable=True, run=run, number=job.number, params=params, seed=seed, rejected=rejected, **fields
        )

    # What the workers say (the Handler contract)

    def started(self, job: Job) -> None:
        """The run's time limit counts from now on."""
        self._running[job.run].started = time.monotonic()

    def reported(self, job: Job, report: Report) -> Decision:
        """Write a report down and answer it. A step that is known (reported again after a resume) is not written twice."""
        progress = self._progress[job.run]
        pruned = False
        if report.step not in progress.known_steps:
            if report.step not in progress.written_steps:
                self._write_metrics(job, report)
            metric = float(report.metrics.get(self._metric, float("nan")))
            progress.add(report.step, metric, report.seconds)
            progress.value, progress.step = self._value_of(progress.history)
            self.emit(
                "report",
                run=job.run,
                step=report.step,
                metric=metric,
                value=progress.value,
                at=progress.step,
                seconds=round(report.seconds, 3),
            )
            pruned = self._ask_source(job, progress.value, report)
        if report.final:
            return Decision.CONTINUE
        if pruned:
            return Decision.PRUNE
        if self._limits.trial_time is not None and report.seconds >= self._limits.trial_time:
            return Decision.TIME_OUT
        return Decision.PAUSE if self._stopping else Decision.CONTINUE

    def _ask_source(self, job: Job, value: float, report: Report) -> bool:
        assert self._source is not None  # noqa: S101 -- ours: reports come only while run() runs
        return self._source.report(job, report.step, value, final=report.final)

    def _write_metrics(self, job: Job, report: Report) -> None:
        row = {"step": report.step, "seconds": round(report.seconds, 3), **report.metrics}
        append_json_line(self._folder / job.run / METRICS, row)

    def ended(self, job: Job, ended: Ended) -> None:
        """Write the outcome down; a paused run has none."""
        self._running.pop(job.run)
        if ended.outcome is None:
            return
        outcome, reason, progress = ended.outcome, ended.reason, self._progress[job.run]
        if ended.details:
            with (self._folder / job.run / OUTPUT).open("a", encoding="utf-8") as file:
                file.write(ended.details)
        if job.baselines:
            self._finish_baselines(job, ended)
            return
        if outcome is Outcome.COMPLETE and progress.value is None:
            outcome, reason = Outcome.FAILED, f"the training ended without reporting {self._metric}"
        self._finish(job, outcome, reason, seconds=ended.seconds, scores=ended.scores)

    def _finish_baselines(self, job: Job, ended: Ended) -> None:
        """Give every method of a baselines job, whose scores are named `method:split/metric`, a run of its own."""
        methods = sorted({name.partition(":")[0] for name in ended.scores})
        for method in methods:
            run, prefix = f"{job.run}/{method}", f"{method}:"
            scores = {
                name.removeprefix(prefix): value for name, value in ended.scores.items() if name.startswith(prefix)
            }
            self._emit_ask(job, run)
            self._emit_outcome(run, Outcome.COMPLETE, None, RunProgress(), seconds=ended.seconds or 0.0, scores=scores)
        self._tell_source(job, ended.outcome or Outcome.FAILED, None, ended.reason)

    def _finish(
        self, job: Job, outcome: Outcome, reason: str | None, *, seconds: float | None, scores: Mapping[str, float]
    ) -> None:
        progress = self._progress[job.run]
        progress.ended = True
        spent = progress.seconds if seconds is None else seconds
        self._emit_outcome(job.run, outcome, reason, progress, seconds=spent, scores=scores)
        self._tell_source(job, outcome, progress.value, reason)

    def _emit_outcome(
        self,
        run: str,
        outcome: Outcome,
        reason: str | None,
        progress: RunProgress,
        *,
        seconds: float,
        scores: Mapping[str, float],
    ) -> None:
        self.emit(
            "outcome",
            durable=True,
            run=run,
            outcome=outcome.value,
            value=progress.value,
            step=progress.step,
            reason=reason,
            seconds=round(seconds, 3),
            scores=dict(scores),
        )

    def _tell_source(self, job: Job, outcome: Outcome, value: float | None, reason: str | None) -> None:
        assert self._source is not None  # noqa: S101 -- ours: jobs end only while run() runs
        self._source.ended(job, outcome, value, reason)

    def lost(self, job: Job, reason: str) -> None:
        """Take a lost run up again from its checkpoint, or give it up when it was lost too often."""
        running = self._running.pop(job.run)
        progress = self._progress[job.run]
        progress.lost += 1
        if progress.lost > self._limits.retries:
            self._finish(job, Outcome.LOST, f"{reason}, {progress.lost} times", seconds=None, scores={})
            return
        self.emit("lost", durable=True, run=job.run, attempt=running.attempt, reason=reason)
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
                self._finish(running.job, Outcome.TIMED_OUT, reason, seconds=seconds, scores={})

    def _interrupt(self, _: int, __: FrameType | None) -> None:
        """Once: let running trials checkpoint at their next report. Twice: stop now."""
        self._interrupts += 1
        if self._interrupts > 1:
            raise KeyboardInterrupt
        for observer in self._observers:
            observer.observe({"event": "interrupt"})

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
