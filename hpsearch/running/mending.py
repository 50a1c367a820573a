"""What of a trial's folder can be written again from the log: its configuration follows from the space and its values.

Only where the space has never changed since the search began, and for a trial that has copied no other: then it is the
file that was there, but for settings that are newer than it.
"""

from dataclasses import replace
from pathlib import Path

from hpsearch.errors import ExperimentError, HpsearchError
from hpsearch.experiment.layout import CONFIG, RunKind, is_experiment, rerun_run, trial_run
from hpsearch.experiment.state import ExperimentState, RunState
from hpsearch.jobs import Job
from hpsearch.records import Params
from hpsearch.running.loading import open_space
from hpsearch.seeds import Seeds
from hpsearch.space import Space
from hpsearch.workers.ledger import configure, stored_job

_NAMED = 3


def trial_job(space: Space, number: int, params: Params) -> Job:
    """Return the job of a trial: everything follows from its number and its parameters."""
    config = space.config(params).model_dump(mode="json")
    shared, seed = space.search.seeds is not None, space.search.seed
    seeds = Seeds.for_race(seed, 0) if shared else Seeds.for_trial(seed, number)
    return Job(run=trial_run(number), number=number, params=params, config=config, seeds=seeds.model_dump())


def rerun_job(space: Space, number: int, params: Params, seed: int) -> Job:
    """Return the job of a trial's configuration on a further seed, by the seed's number."""
    seeds = Seeds.for_race(space.search.seed, seed).model_dump()
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


def _named(runs: list[str]) -> str:
    more = f" and {len(runs) - _NAMED} more" if len(runs) > _NAMED else ""
    return ", ".join(runs[:_NAMED]) + more
