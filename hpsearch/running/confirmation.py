"""Which trainings a confirmation consists of: winners on fresh seeds or on folds, and the classical methods beside."""

import json
from collections.abc import Container, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from hpsearch.errors import ExperimentError
from hpsearch.experiment.layout import CONFIG, RunKind, baseline_of, baselines_run, replicate_run
from hpsearch.experiment.state import ExperimentState
from hpsearch.jobs import Job, JobKind
from hpsearch.records import Fold, RunRecord
from hpsearch.seeds import Seeds, division_seed
from hpsearch.space import Confirm
from hpsearch.space.checks import on_fold
from hpsearch.workers.ledger import stored_job


def folds_of(confirm: Confirm) -> list[Fold]:
    """Return the folds in their order, repeat by repeat; none where seeds are asked for."""
    folds = confirm.folds or 0
    return [Fold(folds, repeat, fold) for repeat in range(confirm.repeats) for fold in range(folds)]


def seeds_of(confirm: Confirm, experiment_seed: int, split_seed: int | None = None) -> list[Seeds]:
    """Return the seeds of every replicate of a configuration, which are the same for all configurations."""
    if confirm.folds is None:
        indices = range(confirm.count)
        return [Seeds.for_replicate(experiment_seed, index, split_seed=split_seed) for index in indices]
    return [Seeds.for_fold(experiment_seed, **asdict(fold)) for fold in folds_of(confirm)]


def distinct_winners(
    ranked: Sequence[RunRecord], top: int, *, folder: Path, confirmed: Container[int] = ()
) -> tuple[list[RunRecord], list[str]]:
    """Return the best trials whose trainings differ, and a sentence for each that another one answers for.

    The replicates of equal configurations have equal seeds: they would be the same trainings a second time. Trials
    may have one configuration under two names of its values, or since the space has changed. Of those, one whose number
    is `confirmed`, since it has replicates, answers for better ones, too.
    """
    known: dict[str, RunRecord] = {}
    for trial in ranked:
        if trial.number in confirmed:
            known.setdefault(_training_of(folder, trial), trial)
    winners: dict[str, RunRecord] = {}
    said: list[str] = []
    for trial in ranked:
        if len(winners) == top:
            break
        key = _training_of(folder, trial)
        place = "; the next best is confirmed in its place" if key in winners else ""
        answering = winners.setdefault(key, known.get(key, trial))
        if answering is not trial:
            same = f"trial {trial.number} has the configuration of trial {answering.number}"
            said.append(f"{same}, whose replicates answer for both{place}")
    return list(winners.values()), said


def _training_of(folder: Path, trial: RunRecord) -> str:
    """Return a text by which trials are known that would be one training for the same seeds."""
    try:
        job = stored_job(folder, trial.run)
    except OSError as error:
        raise ExperimentError(
            f"{trial.run} cannot be confirmed: its {CONFIG} is gone ({error.strerror or error}); put a copy back"
        ) from error
    return json.dumps([job.config, [asdict(change) for change in job.changes]], sort_keys=True, default=str)


def jobs_of(
    confirm: Confirm,
    winners: Sequence[RunRecord],
    *,
    folder: Path,
    experiment_seed: int,
    split_seed: int | None = None,
    state: ExperimentState,
) -> list[Job]:
    """Return the jobs of the confirmation that are left to do in `folder`.

    Seeds are trained winner by winner. Folds come in the outer loop, so that a fold's data are loaded once, and the
    classical methods learn in each.
    """
    planned: Iterator[Job]
    if confirm.folds is None:
        planned = _on_seeds(confirm, winners, folder, experiment_seed, split_seed)
    else:
        planned = _on_folds(confirm, winners, folder, experiment_seed)
    return [job for job in planned if not _is_done(job, state)]


def _on_seeds(
    confirm: Confirm, winners: Sequence[RunRecord], folder: Path, seed: int, split_seed: int | None
) -> Iterator[Job]:
    for winner in winners:
        trained = stored_job(folder, winner.run)
        for index, seeds in enumerate(seeds_of(confirm, seed, split_seed)):
            yield _replicate(trained, replicate_run(winner.number, index), seeds, index)
    if winners:
        yield _baselines(stored_job(folder, winners[0].run), Seeds.for_replicate(seed, 0, split_seed=split_seed))


def _on_folds(confirm: Confirm, winners: Sequence[RunRecord], folder: Path, seed: int) -> Iterator[Job]:
    trained = [stored_job(folder, winner.run) for winner in winners]
    for index, (fold, seeds) in enumerate(zip(folds_of(confirm), seeds_of(confirm, seed), strict=True)):
        on_this = [_moved(job, fold, division_seed(seed, fold.repeat)) for job in trained]
        for job in on_this:
            yield _replicate(job, replicate_run(job.number, fold), seeds, index)
        if on_this:
            yield _baselines(on_this[0], seeds, fold)


def _moved(job: Job, fold: Fold, seed: int) -> Job:
    """Return the job with a fold as its test part, now and after every change of its settings."""
    place = {"fold": fold.fold, "folds": fold.folds, "seed": seed}
    changes = [replace(change, config=on_fold(change.config, **place)) for change in job.changes]
    return replace(job, config=on_fold(job.config, **place), changes=changes, fold=fold)


def _replicate(job: Job, run: str, seeds: Seeds, index: int) -> Job:
    return replace(job, run=run, seeds=seeds.model_dump(), kind=JobKind.REPLICATE, replicate=index)


def _baselines(job: Job, seeds: Seeds, fold: Fold | None = None) -> Job:
    kind = JobKind.BASELINES
    return replace(job, run=baselines_run(fold), params={}, seeds=seeds.model_dump(), changes=(), kind=kind)


def _is_done(job: Job, state: ExperimentState) -> bool:
    """Check whether a replicate has ended, or whether all methods of a baselines job have."""
    if job.kind is not JobKind.BASELINES:
        return job.run in state.runs and state.runs[job.run].ended
    methods = [run.ended for run in state.of_kind(RunKind.BASELINE) if baseline_of(run.run)[0] == job.run]
    return bool(methods) and all(methods)
