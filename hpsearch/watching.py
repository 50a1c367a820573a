"""Looking at an experiment from its folder alone: what is wrong with its trainings, and one of them while it runs."""

import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console, RenderableType
from rich.live import Live

from hpsearch.errors import ExperimentError
from hpsearch.experiment.lock import in_use
from hpsearch.experiment.reading import read_evidence, read_experiment, read_rate_decisions
from hpsearch.health import Digest, Finding, digest, examine, examine_trial
from hpsearch.records import ExperimentRecord, RunRecord
from hpsearch.report.training_terminal import show_training
from hpsearch.report.training_view import TrainingView, prepare_training


def examined(record: ExperimentRecord) -> list[Finding]:
    """Return what is wrong with the trials of an experiment, the worst first."""
    evidence = [read_evidence(Path(record.folder), trial) for trial in record.trials]
    return examine(evidence, record.objective, unit=record.unit)


def digested(record: ExperimentRecord) -> list[Digest]:
    """Return what is wrong with the trials of an experiment in a line's worth for each kind."""
    return digest(examined(record), best=record.best.number if record.best else None)


def look(folder: Path, trial: int | None = None) -> tuple[TrainingView, list[Finding]]:
    """Return a trial of an experiment as it stands, and what is wrong with it; see `chosen`.

    Errors: ExperimentError when the folder is no experiment or has no such trial.
    """
    record = read_experiment(folder)
    run = chosen(record, trial)
    evidence = read_evidence(folder, run)
    view = prepare_training(
        evidence, record.objective, unit=record.unit, decisions=read_rate_decisions(folder, run.run)
    )
    return view, examine_trial(evidence, record.objective, unit=record.unit)


def chosen(record: ExperimentRecord, trial: int | None) -> RunRecord:
    """Return the trial of a number; without one the newest that is unfinished, else the best, else the last.

    Errors: ExperimentError.
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
    """Show an experiment again every `interval` seconds until nobody runs it any more. Errors: ExperimentError."""

    def frame() -> RenderableType:
        view, findings = look(folder, trial)
        return show_training(view, findings, width=console.width)

    with Live(frame(), console=console, auto_refresh=False) as live:
        while in_use(folder):
            sleep(interval)
            live.update(frame(), refresh=True)
