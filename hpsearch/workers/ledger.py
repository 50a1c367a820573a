"""What the coordinator writes (the log, every run's configuration and metrics) and what it knows from it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from hpsearch.experiment.files import (
    append_json_line,
    copy_atomically,
    printable,
    read_lines,
    remove_leftovers,
    write_json,
)
from hpsearch.experiment.layout import (
    BEST,
    CHECKPOINT,
    CONFIG,
    FORMAT_VERSION,
    METRICS,
    NUMBERED,
    OUTPUT,
    baseline_run,
)
from hpsearch.experiment.log import Event, Log
from hpsearch.jobs import AskInfo, Exploit, Job, JobKind, Report
from hpsearch.records import Metrics, Outcome
from hpsearch.workers.progress import RunProgress, progress_of

ValueRule = Callable[[Sequence[tuple[int, float]]], tuple[float, int]]
"""The objective by the space's rule, and the step it was taken at, from the metric's history."""


class Observer(Protocol):
    """Somebody who watches the events go by: the progress display, the tracker."""

    def observe(self, event: Event) -> None:
        """Take note of an event; must not block."""
        ...


class Ledger:
    """The experiment's books, kept by its one writer."""

    def __init__(
        self, folder: Path, log: Log, *, metric: str, value_of: ValueRule, observers: Sequence[Observer] = ()
    ) -> None:
        self._folder = folder
        self._log = log
        self._value_of = value_of
        self._observers = observers
        self._progress = progress_of(log.events)
        self.metric = metric

    @property
    def elapsed(self) -> float:
        """Seconds for which the experiment has been running, over all its sessions."""
        return self._log.elapsed

    def progress(self, job: Job) -> RunProgress:
        """Return what is known of a run."""
        return self._progress[job.run]

    def show(self, event: Event) -> None:
        """Let the observers know of an event that the log has, or that does not belong into it."""
        for observer in self._observers:
            observer.observe(event)

    def _emit(self, event: str, *, durable: bool = False, **fields: Any) -> None:
        self.show(self._log.append(event, durable=durable, **fields))

    def begin(self, job: Job, info: AskInfo) -> RunProgress:
        """Write down that a run is taken up, and its configuration if it is new. Baselines are not in the log yet."""
        folder = self._folder / job.run
        if job.run not in self._progress:
            self._progress[job.run] = RunProgress()
            folder.mkdir(parents=True, exist_ok=True)
            self._configure(job)
            if job.kind is not JobKind.BASELINES:
                self._ask(job, job.run, info)
        progress = self._progress[job.run]
        progress.attempts += 1
        remove_leftovers(folder)
        progress.written_steps = {row["step"] for row, _ in read_lines(folder / METRICS)}
        if job.kind is not JobKind.BASELINES:
            self._emit("begin", run=job.run, attempt=progress.attempts)
        return progress

    def _configure(self, job: Job) -> None:
        write_json(self._folder / job.run / CONFIG, {"version": FORMAT_VERSION, **job.to_json()})

    def exploit(self, exploit: Exploit) -> None:
        """Give a run its donor's training. The event comes last: until it stands, all can be done once more."""
        job, change = exploit.job, exploit.job.changes[-1]
        for name in (CHECKPOINT, BEST, METRICS):
            copy_atomically(self._folder / exploit.donor / name, self._folder / job.run / name)
        for kept in (self._folder / job.run).glob(NUMBERED):
            kept.unlink()  # they are of the training that ends here
        self._configure(job)
        self._progress[job.run].copy(self._progress[exploit.donor])
        fields = {"step": change.step, "donor": exploit.donor, "params": dict(change.params)}
        self._emit("exploit", durable=True, run=job.run, number=job.number, **fields)

    def _ask(self, job: Job, run: str, info: AskInfo) -> None:
        fields: dict[str, Any] = {} if job.replicate is None else {"replicate": job.replicate}
        fields |= asdict(job.fold) if job.fold else {}
        fields |= {"params": dict(job.params), "seed": job.seeds["initialisation"], **asdict(info)}
        self._emit("ask", durable=True, run=run, number=job.number, **fields)

    def report(self, job: Job, report: Report) -> float:
        """Return the metric, once the evaluation is written down if its step is not known, as after a resume."""
        progress = self._progress[job.run]
        seconds = round(report.seconds, 3)
        if report.again or report.step not in progress.written_steps:
            row = {"step": report.step, "seconds": seconds, **report.metrics}
            append_json_line(self._folder / job.run / METRICS, row)
        metric = float(report.metrics.get(self.metric, float("nan")))
        if report.step in progress.known_steps and not report.again:
            return metric
        progress.add(report.step, metric, report.seconds)
        progress.value, progress.step = self._value_of(progress.history)
        value, at = progress.value, progress.step
        fields: dict[str, Any] = {"final": True} if report.final else {}
        self._emit(
            "report", run=job.run, step=report.step, metric=metric, value=value, at=at, seconds=seconds, **fields
        )
        return metric

    def details(self, job: Job, text: str) -> None:
        """Add a traceback to what the run printed."""
        with (self._folder / job.run / OUTPUT).open("a", encoding="utf-8") as file:
            file.write(printable(text))

    def lost(self, job: Job, reason: str) -> None:
        """Write down that a run's process died and that it will be resumed."""
        self._emit("lost", durable=True, run=job.run, attempt=self._progress[job.run].attempts, reason=reason)

    def outcome(
        self,
        job: Job,
        outcome: Outcome,
        reason: str | None,
        *,
        seconds: float | None,
        scores: Mapping[str, float],
        notes: Mapping[str, Any],
    ) -> None:
        """Write a run's ending down; `seconds` of training are those of the last report unless known better.

        `notes` are further fields of the event: what the scores rest on.
        """
        progress = self._progress[job.run]
        progress.ended = True
        spent = progress.seconds if seconds is None else seconds
        self._outcome(job.run, outcome, progress, reason=reason, seconds=spent, scores=scores, notes=notes)

    def baselines(
        self,
        job: Job,
        scores: Mapping[str, Mapping[str, Metrics]],
        *,
        seconds: float,
        notes: Mapping[str, Any],
    ) -> None:
        """Give every method of a baselines job a run of its own; `scores[method][split]` are its metrics."""
        methods = {baseline_run(job.run, method): scores[method] for method in sorted(scores)}
        missing = [run for run in methods if run not in self._progress or not self._progress[run].ended]
        for run in missing:  # all of them first: a crash in between leaves some without an outcome, which shows
            self._ask(job, run, AskInfo())
        for run in missing:
            own, complete = _flat(methods[run]), Outcome.COMPLETE
            self._outcome(run, complete, RunProgress(), reason=None, seconds=seconds, scores=own, notes=notes)

    def _outcome(
        self,
        run: str,
        outcome: Outcome,
        progress: RunProgress,
        *,
        reason: str | None,
        seconds: float,
        scores: Mapping[str, float],
        notes: Mapping[str, Any],
    ) -> None:
        fields = {"value": progress.value, "step": progress.step, "reason": reason, "scores": dict(scores), **notes}
        self._emit("outcome", durable=True, run=run, outcome=outcome.value, seconds=round(seconds, 3), **fields)


def _flat(scores: Mapping[str, Metrics]) -> Metrics:
    """Return the metrics of some splits by `split/metric`, as the log names them."""
    return {f"{split}/{name}": value for split, metrics in scores.items() for name, value in metrics.items()}


def stored_job(folder: Path, run: str) -> Job:
    """Return the job of a run of the experiment in `folder`, as it was written down."""
    content = json.loads((folder / run / CONFIG).read_text(encoding="utf-8"))
    content.pop("version")
    return Job.from_json(content)
