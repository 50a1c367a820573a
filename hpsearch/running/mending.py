"""What of an experiment can be written again from the rest of it.

A trial's configuration follows from the space and its values in the log. Only where the space has never changed since
the search began, and for a trial that has copied no other: then it is the file that was there, but for settings that
are newer than it.

Of a log that is lost the folders of the trials have what was asked for and what was reported, but no outcome.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.errors import ExperimentError, HpsearchError
from hpsearch.experiment.codec import encode
from hpsearch.experiment.events import AskEvent, BeginEvent, Event, ReportEvent, SessionEvent
from hpsearch.experiment.files import LinesRead, decode_number, json_line, read_lines, write_atomically
from hpsearch.experiment.layout import CONFIG, LOG, METRICS, RunKind, is_experiment, rerun_run, trial_run
from hpsearch.experiment.reading import read_resolved
from hpsearch.experiment.state import ExperimentState, RunState
from hpsearch.jobs import Job
from hpsearch.records import Params
from hpsearch.running.loading import open_space
from hpsearch.seeds import Seeds
from hpsearch.space import Space, objective_value
from hpsearch.space.search_settings import Objective
from hpsearch.workers.ledger import configure, stored_job

_NAMED = 3


def trial_job(space: Space, number: int, params: Params) -> Job:
    """Return the job of a trial: everything follows from its number and its parameters."""
    config = space.config(params).model_dump(mode="json")
    of, which = (Seeds.for_trial, number) if space.search.seeds is None else (Seeds.for_race, 0)
    seeds = of(space.search.seed, which, split_seed=space.search.split_seed).model_dump()
    return Job(run=trial_run(number), number=number, params=params, config=config, seeds=seeds)


def rerun_job(space: Space, number: int, params: Params, seed: int) -> Job:
    """Return the job of a trial's configuration on a further seed, by the seed's number."""
    seeds = Seeds.for_race(space.search.seed, seed, split_seed=space.search.split_seed).model_dump()
    return replace(trial_job(space, number, params), run=rerun_run(number, seed), seeds=seeds, rerun=seed)


def mend_configs(folder: Path, state: ExperimentState) -> list[str]:
    """Write the configurations again that are damaged or gone; return what is to be said of them."""
    lost = [trial for trial in state.of_kind(RunKind.TRIAL) if not trial.dropped and not _is_whole(folder, trial)]
    mended = [trial.run for trial in lost if mended_job(folder, trial) is not None]
    left = [trial.run for trial in lost if trial.run not in mended]
    told = [say_mended(mended)] if mended else []
    if left:
        told.append(say_lost(left))
    return told


def mended_job(folder: Path, trial: RunState) -> Job | None:
    """Write a trial's configuration again, and return its job; None where it does not follow from log and space."""
    job = _rebuilt(folder, trial)
    if job is not None:
        configure(folder, job)
    return job


def say_mended(runs: list[str]) -> str:
    """Return what the user is told of runs whose configuration was written again."""
    return f"{CONFIG} of {_named(runs)} was damaged or gone, and is written again from log and space"


def say_lost(runs: list[str]) -> str:
    """Return what the user is told of runs whose configuration could not be written again."""
    return f"{CONFIG} of {_named(runs)} is damaged or gone, and does not follow from the log: it is left out"


def _is_whole(folder: Path, trial: RunState) -> bool:
    try:
        return stored_job(folder, trial.run).params == trial.first_params
    except (OSError, ExperimentError):
        return False


def _rebuilt(folder: Path, trial: RunState) -> Job | None:
    if trial.changes or not is_experiment(folder) or any(folder.glob("resolved-*.json")):
        return None
    try:
        job = trial_job(open_space(folder), trial.number, trial.first_params)
    except HpsearchError:
        return None
    return job if job.seeds["initialisation"] == trial.seed else None


def write_log_again(folder: Path) -> str:
    """Write a log that is lost from the folders of the trials, and return what is to be said of it.

    An outcome is nowhere else: the next session takes each of these trials up again, from its checkpoint where there is
    one, and finds it out. The search's own time begins anew.

    Raises:
        ExperimentError: Nothing can be told of the trials, or not of all that they rest on: the message says why.
    """
    objective = _objective(folder)
    jobs, left = [], []
    for path in sorted((folder / "trials").glob("[0-9]*")):
        run = f"trials/{path.name}"
        try:
            jobs.append(stored_job(folder, run))
        except (OSError, ExperimentError):
            left.append(run)
    if copies := [job.run for job in jobs if job.changes]:
        raise ExperimentError(f"{_named(copies)} went on as copies of others, and only the log knew when")
    if not jobs:
        raise ExperimentError(f"no trial's {CONFIG} can be read")
    events: list[Event] = [SessionEvent(time=min(_written(folder / job.run / CONFIG) for job in jobs))]
    for job in sorted(jobs, key=lambda job: job.number):
        events += _events(folder, job, objective)
    write_atomically(folder / LOG, b"".join(json_line(encode(event)) for event in events))
    reports = sum(isinstance(event, ReportEvent) for event in events)
    more = f"; {CONFIG} of {_named(left)} cannot be read: not counted, and kept" if left else ""
    return (
        f"written again from {len(jobs)} trials with {reports} reports; their outcomes are found out when "
        f"`hpsearch run` takes them up from their checkpoints{more}"
    )


def write_ask_again(folder: Path, run: str) -> None:
    """Write the lost line that asks for a trial before the first that tells of it, from the trial's configuration.

    How many proposals the space forbade before it is not known.

    Raises:
        ExperimentError: Its configuration is damaged, or the trial went on as a copy of another.
        FileNotFoundError: It has none.
    """
    job = stored_job(folder, run)
    if job.changes:
        raise ExperimentError(f"{run} went on as a copy of another, and only the log knew when")
    lines = (folder / LOG).read_bytes().splitlines(keepends=True)
    read = LinesRead()
    rows = ((read.number, row) for row, _ in read_lines(folder / LOG, read=read))
    known = dict(rows)
    first = min((number for number, row in known.items() if row.get("run") == run), default=len(lines) + 1)
    near = known.get(first, {})
    event = AskEvent(
        run=run,
        number=job.number,
        params=dict(job.params),
        seed=job.seeds["initialisation"],
        time=_number(near.get("time")) or 0.0,
        elapsed=_number(near.get("elapsed")) or 0.0,
    )
    lines.insert(first - 1, json_line(encode(event)))
    write_atomically(folder / LOG, b"".join(lines))


def _objective(folder: Path) -> Objective:
    try:
        return Objective.model_validate(read_resolved(folder)["space"]["objective"])
    except ValueError as error:  # of its shape
        raise ExperimentError(f"the objective of {folder} cannot be read: {error}") from error


def _events(folder: Path, job: Job, objective: Objective) -> Iterator[Event]:
    """Yield what a trial's folder tells of it. Times are those of its files."""
    begun = _written(folder / job.run / CONFIG)
    seed = job.seeds["initialisation"]
    yield AskEvent(run=job.run, number=job.number, params=dict(job.params), seed=seed, time=begun)
    yield BeginEvent(run=job.run, attempt=1, time=begun)
    history: dict[int, float] = {}
    for row, _ in read_lines(folder / job.run / METRICS):
        step, metric = row.get("step"), _number(row.get(objective.metric, "nan"))
        if type(step) is not int or metric is None:
            continue
        history[step] = metric
        value, at = objective_value([*history.items()], objective)
        yield ReportEvent(
            run=job.run,
            step=step,
            metric=metric,
            value=value,
            at=at,
            seconds=_number(row.get("seconds")) or 0.0,
            time=_written(folder / job.run / METRICS),
        )


def _number(value: Any) -> float | None:
    found = decode_number(value)
    return float(found) if type(found) in (int, float) else None


def _written(path: Path) -> float:
    return path.stat().st_mtime


def _named(runs: list[str]) -> str:
    more = f" and {len(runs) - _NAMED} more" if len(runs) > _NAMED else ""
    return ", ".join(runs[:_NAMED]) + more
