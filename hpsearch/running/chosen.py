"""Training configurations that are already chosen: `hpsearch.train` and `hpsearch.confirm` end here."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.errors import ExperimentError, HpsearchError
from hpsearch.experiment.files import copy_atomically, write_json
from hpsearch.experiment.layout import BEST, CHECKPOINT, LOG, ORIGIN, is_experiment, is_title, replicate_run, trial_run
from hpsearch.experiment.log import read_state
from hpsearch.experiment.reading import read_experiment
from hpsearch.jobs import Job, JobKind
from hpsearch.records import Params
from hpsearch.running.loading import families_with_folds, open_space
from hpsearch.running.runner import RunOptions, explaining_full_disks, open_session
from hpsearch.running.session import SessionResult
from hpsearch.space import Space, confirmation, only
from hpsearch.space.checks import fold_refusal, no_test_split
from hpsearch.workers.coordinator import StopReason
from hpsearch.workers.ledger import stored_job

DEFAULTS = RunOptions()


def confirm(
    folder: str | Path,
    *,
    top: int = 1,
    seeds: int | None = None,
    folds: int | None = None,
    repeats: int | None = None,
    options: RunOptions = DEFAULTS,
) -> SessionResult:
    """Train the best `top` configurations of an experiment again, and score them on the test split.

    On `seeds` fresh seeds, 5 by default, or on `folds` of the data, divided anew `repeats` times. Replicates that are
    finished are not trained again.

    Raises:
        HpsearchError: Both seeds and folds were asked for, or the family has no folds; and the errors of `run`.
    """
    folder, wanted = Path(folder), confirmation(top=top, seeds=seeds, folds=folds, repeats=repeats)
    if is_title(folder.resolve().parent.parent):
        raise HpsearchError(
            f"{folder} is a contender of a title: `hpsearch champion confirm` opens the test split, and counts it"
        )
    space = replace(open_space(folder), confirm=wanted)
    if refusal := fold_refusal(space, families_with_folds) or (None if wanted.folds else no_test_split(space)):
        raise HpsearchError(refusal)
    with explaining_full_disks(), open_session(space, folder, options, changes=False) as session:
        session.require_result()
        why = session.confirm(wanted, otherwise=StopReason.FINISHED)
        session.end(why)
    return session.result()


def train(
    space: Space,
    params: Params,
    *,
    folder: str | Path,
    test: bool = False,
    origin: Mapping[str, Any] | None = None,
    options: RunOptions = DEFAULTS,
) -> SessionResult:
    """Train one configuration of a space to its end, or go on with that; with `test`, score the test split at the end.

    The folder is an experiment of one trial; `origin` says in its origin.json where the configuration comes from, as
    that stood when the training began.

    Raises:
        HpsearchError: The values do not fit the space; and the errors of `run`.
        ExperimentError: The folder holds the training of another configuration.
    """
    folder, alone = Path(folder), only(space, params)
    if test and (refusal := no_test_split(space)):
        raise HpsearchError(refusal)
    trials = read_experiment(folder).trials if is_experiment(folder) else ()
    if trials and [alone.canonical(trial.params) for trial in trials] != [*alone.start]:
        raise ExperimentError(f"{folder} holds the training of another configuration; choose another --name")
    with explaining_full_disks(), open_session(alone, folder, options, changes=True) as session:
        if origin is not None and not (folder / ORIGIN).exists():  # the search may have gone on since
            write_json(folder / ORIGIN, origin)
        why = session.search()
        if why is StopReason.FINISHED:
            session.require_result()
            if test:
                why = session.train(_test_job(folder), otherwise=why)
        session.end(why)
    return session.result()


def _test_job(folder: Path) -> list[Job]:
    """Return the job that scores the only trial's weights on the test split, unless it has been done.

    It is a replicate with the trial's seeds and its checkpoint, so that nothing is trained again.
    """
    trained = stored_job(folder, trial_run(0))
    job = replace(trained, run=replicate_run(0, 0), kind=JobKind.REPLICATE, replicate=0)
    known = read_state(folder / LOG).runs.get(job.run)
    if known is not None and known.ended:
        return []
    (folder / job.run).mkdir(parents=True, exist_ok=True)
    for name in (CHECKPOINT, BEST):
        copy_atomically(folder / trained.run / name, folder / job.run / name)
    return [job]
