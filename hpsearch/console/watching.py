"""Looking at an experiment from its folder alone: what is wrong with its trainings, and one of them while it runs."""

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console, RenderableType
from rich.live import Live

from hpsearch.errors import ExperimentError
from hpsearch.experiment.activity import QUIET_SECONDS, in_use, last_sign, told_moment
from hpsearch.experiment.artifacts import read_histograms
from hpsearch.experiment.events import Event, Notice, OutcomeEvent, ReportEvent
from hpsearch.experiment.files import collector_resting, read_lines
from hpsearch.experiment.layout import HISTOGRAMS, METRICS, RunKind, run_kind, trial_number
from hpsearch.experiment.reading import read_evidence, read_experiment, read_rate_decisions
from hpsearch.health import Digest, Finding, Kind, Severity, Thresholds, digest, examine, examine_trial, exploded
from hpsearch.records import ExperimentRecord, Goal, Monitor, Outcome, RunRecord
from hpsearch.report.health import alarm
from hpsearch.report.training_view import GradientFlow, TrainingView, prepare_flow, prepare_training, show_training
from hpsearch.report.wording import no_sign, progress_line


def examined(record: ExperimentRecord) -> list[Finding]:
    """List the problems of an experiment's trials, the worst first."""
    with collector_resting():
        evidence = [read_evidence(Path(record.folder), trial) for trial in record.trials]
        return examine(evidence, record.objective, unit=record.unit)


def digested(record: ExperimentRecord) -> list[Digest]:
    """Summarise the problems of an experiment's trials, one line for each kind."""
    return digest(examined(record), best=record.best.number if record.best else None)


def look(folder: Path, trial: int | None = None) -> tuple[TrainingView, list[Finding]]:
    """Return a trial of an experiment and its problems; see `chosen`.

    Raises:
        ExperimentError: if the folder is not an experiment or has no such trial.
    """
    record = read_experiment(folder)
    run = chosen(record, trial)
    evidence = read_evidence(folder, run)
    view = prepare_training(
        evidence, record.objective, unit=record.unit, decisions=read_rate_decisions(folder, run.run)
    )
    if run.outcome is None and in_use(folder):
        view = replace(view, now=_told_now(folder / run.run))
    return view, examine_trial(evidence, record.objective, unit=record.unit)


def gradient_flow(folder: Path, trial: int | None = None, step: int | None = None) -> GradientFlow:
    """Return the gradients of a trial, see `chosen`, at a step that was looked at; without one, at the last.

    Raises:
        ExperimentError: The folder cannot be used, or nobody looked at the trial's gradients then.
    """
    record = read_experiment(folder)
    run = chosen(record, trial)
    looks = {look["step"]: look for look in read_histograms(folder / run.run)}
    if not looks:
        told = "trained with `--set train.histograms={}`, it has"
        raise ExperimentError(f"trial {run.number} of {record.name} has no {HISTOGRAMS}; {told}")
    if step is not None and step not in looks:
        known = ", ".join(map(str, looks))
        raise ExperimentError(f"trial {run.number} has no gradients of {record.unit} {step}; it has those of {known}")
    return prepare_flow(looks[max(looks) if step is None else step], number=run.number, unit=record.unit)


def _told_now(run: Path) -> str:
    """Return how far a run is between two reports, or that it is silent, by what its worker wrote last; or nothing."""
    silent = time.time() - (last_sign(run) or math.inf)
    if silent >= QUIET_SECONDS:
        return no_sign(silent)
    moment = told_moment(run)
    return "" if moment is None else progress_line(moment)


def chosen(record: ExperimentRecord, trial: int | None) -> RunRecord:
    """Return the trial of a number; without one the newest that is unfinished, else the best, else the last.

    Raises:
        ExperimentError: the folder cannot be used.
    """
    if trial is not None:
        found = [run for run in record.trials if run.number == trial]
        if not found:
            raise ExperimentError(f"{record.name} has no trial {trial}; it has {len(record.trials)} trials")
        return found[0]
    if not record.trials:
        raise ExperimentError(f"{record.name} has no trials yet")
    unfinished = [run for run in record.trials if run.outcome is None]
    return unfinished[-1] if unfinished else record.best or record.trials[-1]


def watch(
    folder: Path,
    console: Console,
    *,
    interval: float,
    trial: int | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Show an experiment again every `interval` seconds until nobody runs it any more.

    Raises:
        ExperimentError: the folder cannot be used.
    """

    def frame() -> RenderableType:
        view, findings = look(folder, trial)
        return show_training(view, findings, width=console.width)

    with Live(frame(), console=console, auto_refresh=False) as live:
        while in_use(folder):
            sleep(interval)
            live.update(frame(), refresh=True)


class HealthMonitor:
    """Observes a search and tells at once when a trial diverges or its gradients explode, with advice.

    Cheap: a report costs the rows that were written since the one before; a whole training is read when there is
    something to tell, which is once for each trial and kind. Nothing that goes wrong here disturbs the search.
    """

    def __init__(self, folder: Path, *, metric: str, goal: Goal, unit: str, tell: Callable[[str], None]) -> None:
        self._folder = folder
        self._objective = Monitor(metric, goal)
        self._unit = unit
        self._tell = tell
        self._read: dict[str, int] = {}
        """How many bytes of a run's metrics were looked at."""
        self._norms: dict[str, list[float]] = {}
        self._told: set[tuple[str, Kind]] = set()

    def observe(self, event: Event | Notice) -> None:
        """Take note of an event."""
        if not isinstance(event, ReportEvent | OutcomeEvent) or run_kind(event.run) is not RunKind.TRIAL:
            return
        if isinstance(event, OutcomeEvent):
            self._read.pop(event.run, None)
            self._norms.pop(event.run, None)
        run = RunRecord(event.run, trial_number(event.run), {}, 0)
        with contextlib.suppress(OSError, ValueError):
            if isinstance(event, ReportEvent):
                if self._explodes(event.run):
                    self._examine(run, Kind.EXPLODING_GRADIENTS)
            elif event.outcome is Outcome.DIVERGED:
                self._examine(replace(run, outcome=event.outcome, reason=event.reason), Kind.DIVERGENCE)

    def _explodes(self, run: str) -> bool:
        """Check whether the new rows hold too large a gradient norm."""
        norms = self._norms.setdefault(run, [])
        known = len(norms)
        for row, behind in read_lines(self._folder / run / METRICS, offset=self._read.get(run, 0)):
            norm = row.get("gradient_norm")
            if isinstance(norm, int | float) and math.isfinite(norm):
                norms.append(norm)
            self._read[run] = behind
        return any(index >= known for index in exploded(norms, Thresholds()))

    def _examine(self, run: RunRecord, kind: Kind) -> None:
        if (run.run, kind) in self._told:
            return
        for finding in examine_trial(read_evidence(self._folder, run), self._objective, unit=self._unit):
            if finding.kind is kind and finding.severity is not Severity.NOTE:
                self._told.add((run.run, kind))
                self._tell(alarm(finding))
