"""What the coordinator writes (the log, every run's configuration and metrics) and what it knows from it."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from hpsearch.errors import ExperimentError
from hpsearch.experiment.checksums import sealed, unsealed
from hpsearch.experiment.events import (
    AskEvent,
    BeginEvent,
    Event,
    ExploitEvent,
    LostEvent,
    Notice,
    OrderEvent,
    OutcomeEvent,
    PauseEvent,
    PauseNotice,
    RefuseEvent,
    ReportEvent,
    ResumeEvent,
)
from hpsearch.experiment.files import (
    append_json_line,
    copy_atomically,
    printable,
    read_json,
    read_lines,
    remove_leftovers,
    write_json,
)
from hpsearch.experiment.layout import (
    ALIVE,
    BEST,
    CHECKPOINT,
    CONFIG,
    FORMAT_VERSION,
    METRICS,
    NUMBERED,
    OUTPUT,
    PREVIOUS,
    PREVIOUS_BEST,
    baseline_run,
    run_kind,
)
from hpsearch.experiment.log import Log
from hpsearch.experiment.state import ExperimentState, RunState
from hpsearch.jobs import AskInfo, Exploit, Job, JobKind, Report
from hpsearch.records import Metrics, Outcome
from hpsearch.workers.disk import Disk
from hpsearch.workers.output import shorten_file

ValueRule = Callable[[Sequence[tuple[int, float]]], tuple[float, int]]
"""The objective by the space's rule, and the step it was taken at, from the metric's history."""


class Observer(Protocol):
    """Somebody who watches the events go by: the progress display, the tracker."""

    def observe(self, event: Event | Notice) -> None:
        """Take note of an event; must not block."""
        ...


class Ledger:
    """The experiment's books, kept by its one writer."""

    def __init__(
        self,
        folder: Path,
        log: Log,
        *,
        metric: str,
        value_of: ValueRule,
        observers: Sequence[Observer] = (),
        asker: str | None = None,
    ) -> None:
        """`asker` is the program that takes the runs up, where no coordinator does."""
        self._folder = folder
        self.asker = asker
        self._log = log
        self._value_of = value_of
        self._observers = observers
        self._written: dict[str, set[Any]] = {}
        """The steps in a run's metrics file: at most one more than in the log, when a crash fell between the two."""
        self._owes = False
        """Whether there are events that are not on the disk; `_disk` knows of the files that they rest on."""
        self._disk = Disk(log.sync)
        self.metric = metric

    @property
    def elapsed(self) -> float:
        """Seconds for which the experiment has been running, over all its sessions."""
        return self._log.elapsed

    @property
    def state(self) -> ExperimentState:
        """What all events until now come to."""
        return self._log.state

    def order(self, event: OrderEvent | RefuseEvent) -> None:
        """Write down what a person has ordered, or why it is not obeyed; it is on the disk then."""
        if isinstance(event, PauseEvent):
            self._log.stand_still()
        self.show(self._log.append(event, durable=True))
        if isinstance(event, ResumeEvent):
            self._log.go_on()

    def known(self, job: Job) -> RunState:
        """Return the current state of a run."""
        return self._known(job.run)

    def _known(self, run: str) -> RunState:
        return self._log.state.runs.get(run) or RunState(run, run_kind(run))

    def show(self, event: Event | Notice) -> None:
        """Let the observers know of an event that the log has, or of something that does not belong into it."""
        for observer in self._observers:
            observer.observe(event)

    def _emit(self, event: Event, *, durable: bool = False) -> None:
        self.show(self._log.append(event))
        self._owes = self._owes or durable

    def settle(self) -> None:
        """Begin to bring to the disk what was written down: while workers train, a disk's time is nobody's.

        Until it is there a kill loses nothing, but a machine that loses its power does.
        """
        if self._owes:
            self._owes = False
            self._disk.bring()

    def finish(self) -> None:
        """Wait until everything that was written down is on the disk."""
        self.settle()
        self._disk.wait()

    def begin(self, job: Job, info: AskInfo) -> RunState:
        """Write down that a run is taken up, and its configuration if it is new. Baselines are not in the log yet."""
        folder, known = self._folder / job.run, self.known(job)
        if known.mistake or not known.asked or _read(folder / CONFIG) is None:
            anew = job.kind is not JobKind.BASELINES and not known.asked
            self._disk.owe(configure(self._folder, job, anew=anew, durable=False))
            if job.kind is not JobKind.BASELINES and (known.mistake or not known.asked):
                self._ask(job, job.run, info)
        remove_leftovers(folder)
        self._written[job.run] = {row.get("step") for row, _ in read_lines(folder / METRICS)}
        if job.kind is not JobKind.BASELINES:
            self._emit(BeginEvent(run=job.run, attempt=self.known(job).attempts + 1, asker=self.asker))
        return self.known(job)

    def exploit(self, exploit: Exploit) -> None:
        """Give a run its donor's training. The event comes last: until it is on the disk, all can be repeated.

        What the choice rests on is on the disk before: else a machine that loses its power would have the copy, and a
        log in which the run still trains for itself. And no donor goes on before the event is.
        """
        self._owes = True
        self.finish()
        job, change = exploit.job, exploit.job.changes[-1]
        for name in (CHECKPOINT, BEST, METRICS):
            copy_atomically(self._folder / exploit.donor / name, self._folder / job.run / name)
        own = self._folder / job.run
        for kept in (own / PREVIOUS, own / PREVIOUS_BEST, *own.glob(NUMBERED)):
            kept.unlink(missing_ok=True)  # they are of the training that ends here
        configure(self._folder, job)
        event = ExploitEvent(
            run=job.run, number=job.number, step=change.step, donor=exploit.donor, params=dict(change.params)
        )
        self._emit(event, durable=True)
        self.finish()

    def discard(self, job: Job) -> None:
        """Remove what a run that has ended could have gone on from."""
        folder = self._folder / job.run
        for path in (folder / CHECKPOINT, folder / BEST, *folder.glob(NUMBERED)):
            path.unlink(missing_ok=True)
        self._forget_former(job.run)

    def _forget_former(self, run: str) -> None:
        """Remove the generation before the last of a run that has ended: nothing goes on from it any more."""
        for name in (PREVIOUS, PREVIOUS_BEST):
            (self._folder / run / name).unlink(missing_ok=True)

    def _ask(self, job: Job, run: str, info: AskInfo) -> None:
        event = AskEvent(
            run=run,
            number=job.number,
            replicate=job.replicate,
            rerun=job.rerun,
            fold=job.fold,
            params=dict(job.params),
            seed=job.seeds["initialisation"],
            rejected=info.rejected,
            start=info.start,
        )
        self._emit(event, durable=True)

    def report(self, job: Job, report: Report) -> float:
        """Return the metric, once the evaluation is written down if its step is not known, as after a resume."""
        seconds = round(report.seconds, 3)
        if report.again or report.step not in self._written.get(job.run, ()):
            row = {"step": report.step, "seconds": seconds, **report.metrics}
            append_json_line(self._folder / job.run / METRICS, row)
            self._written.setdefault(job.run, set()).add(report.step)  # a function may tell what its notes have told
        metric = float(report.metrics.get(self.metric, float("nan")))
        history = self.known(job).history
        if report.step in history and not report.again:
            return metric
        value, at = self._value_of([*{**history, report.step: metric}.items()])
        event = ReportEvent(
            run=job.run, step=report.step, metric=metric, value=value, at=at, seconds=seconds, final=report.final
        )
        self._emit(event)
        return metric

    def details(self, job: Job, text: str) -> None:
        """Add a traceback to what the run printed."""
        with (self._folder / job.run / OUTPUT).open("a", encoding="utf-8") as file:
            file.write(printable(text))

    def paused(self, job: Job) -> None:
        """Show that a run was paused. It may never go on, so that what it has measured must not be owed for long."""
        self._disk.owe(self._folder / job.run / METRICS)
        self._owes = True
        self.show(PauseNotice(job.run))

    def lost(self, job: Job, reason: str) -> None:
        """Write down that a run's process died and that it will be resumed."""
        known = self.known(job)
        self._tidy(job.run)
        self._emit(LostEvent(run=job.run, attempt=known.attempts or known.lost + 1, reason=reason), durable=True)

    def outcome(
        self,
        job: Job,
        outcome: Outcome,
        reason: str | None,
        *,
        seconds: float | None,
        scores: Mapping[str, float],
        notes: Mapping[str, Any],
        told: float | None = None,
    ) -> None:
        """Write a run's ending down; `seconds` of training are those of the last report unless known better.

        `notes` are further fields of the event: what the scores rest on. `told` is the value at the last step, where
        somebody has said it; else it follows from the reports.
        """
        spent = self.known(job).seconds if seconds is None else seconds
        self._forget_former(job.run)  # first: afterwards nobody would come back to do it
        self._disk.owe(self._folder / job.run / METRICS)
        self._outcome(job.run, outcome, reason=reason, seconds=spent, scores=scores, notes=notes, told=told)

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
        missing = [run for run in methods if not self._known(run).ended]
        for run in missing:  # all of them first: a crash in between leaves some without an outcome, which shows
            self._ask(job, run, AskInfo())
        for run in missing:
            own, complete = _flat(methods[run]), Outcome.COMPLETE
            self._outcome(run, complete, reason=None, seconds=seconds, scores=own, notes=notes)

    def _outcome(
        self,
        run: str,
        outcome: Outcome,
        *,
        reason: str | None,
        seconds: float,
        scores: Mapping[str, float],
        notes: Mapping[str, Any],
        told: float | None = None,
    ) -> None:
        known = self._known(run)
        event = OutcomeEvent(
            run=run,
            outcome=outcome,
            seconds=round(seconds, 3),
            value=known.value if told is None else told,
            step=known.step if told is None else known.last[0],
            reason=reason,
            scores=dict(scores),
            **notes,
        )
        self._tidy(run)
        self._emit(event, durable=True)
        self._written.pop(run, None)

    def _tidy(self, run: str) -> None:
        """Do for a worker what it could not do any more."""
        shorten_file(self._folder / run / OUTPUT)
        (self._folder / run / ALIVE).unlink(missing_ok=True)


def _flat(scores: Mapping[str, Metrics]) -> Metrics:
    """Return the metrics of some splits by `split/metric`, as the log names them."""
    return {f"{split}/{name}": value for split, metrics in scores.items() for name, value in metrics.items()}


def configure(folder: Path, job: Job, *, anew: bool = False, durable: bool = True) -> Path:
    """Write down what a job of the experiment in `folder` is to do, and return where.

    With `anew` what is there of a job with other settings is none of this one's. A replicate was begun ahead of time
    and is removed, and so is a trial on a further seed, which follows from the trial; a trial's asking never reached
    the disk, and its training is kept beside.
    """
    own, content = folder / job.run, {"version": FORMAT_VERSION, **job.to_json()}
    if anew and (own / CONFIG).exists() and _read(own / CONFIG) != json.loads(json.dumps(content)):
        if job.kind is JobKind.REPLICATE or job.rerun is not None:
            shutil.rmtree(own)
        else:
            _set_aside(own)
    own.mkdir(parents=True, exist_ok=True)
    write_json(own / CONFIG, sealed(content), durable=durable)
    return own / CONFIG


def _read(config: Path) -> Any:
    """Return what a configuration's file holds; None if it is gone or damaged, as where a machine lost its power."""
    try:
        return unsealed(read_json(config))
    except (OSError, ValueError, AttributeError):
        return None


def _set_aside(own: Path) -> None:
    """Give a trial's folder another name, if there is more in it than a configuration and halves of files."""
    remove_leftovers(own)
    if any(path.name != CONFIG for path in own.iterdir()):
        names = (own.with_name(f"{own.name}-lost-{number}") for number in count(1))
        own.rename(next(name for name in names if not name.exists()))


def stored_job(folder: Path, run: str) -> Job:
    """Return the job of a run of the experiment in `folder`, as it was written down.

    Raises:
        FileNotFoundError: It was not.
        ExperimentError: Its file is damaged.
    """
    try:
        content = unsealed(read_json(folder / run / CONFIG))
        del content["version"]
        job = Job.from_json(content)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ExperimentError(f"{folder / run / CONFIG} is damaged: {type(error).__name__}: {error}") from error
    if not all(isinstance(each, Mapping) for stretch in job.stretches for each in stretch):
        raise ExperimentError(f"{folder / run / CONFIG} is damaged: its values are no objects")
    if job.run != run:
        raise ExperimentError(f"{folder / run / CONFIG} is damaged: it is that of {job.run}")
    return job
