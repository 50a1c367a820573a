"""The replicates of a study: how many each winner gets, for which test, and which of a folder's runs they are."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from hpsearch.comparing.question import Test, Unit, planned_test
from hpsearch.errors import ExperimentError, HpsearchError
from hpsearch.experiment.studies import search_folder
from hpsearch.readers import Wanted, hpsearch_experiment
from hpsearch.readers.hpsearch_experiment import fold_keys
from hpsearch.readers.hpsearch_study import of_search
from hpsearch.records import FinishedRun
from hpsearch.running.confirmation import folds_of, seeds_of
from hpsearch.space import Confirm
from hpsearch.studies.study import BaselineArm, SpaceArm, Study

WHAT_FOLDS_SAY = (
    "each winner was chosen on data of which the folds' test parts hold some, so that configurations that are chosen "
    "already are compared; the claim is about samples from this data set, not about searches or other data"
)


def replication_of(
    study: Study, *, seeds: int | None = None, repeats: int | None = None, looks: Sequence[int] = ()
) -> Confirm:
    """Return the confirmation of each winner: as planned, more if asked for, never less than was looked at before.

    Args:
        study: The study.
        seeds: Fresh seeds for each winner.
        repeats: The same for a study on folds: how often the data are divided into new folds.
        looks: The numbers of replicates of the results that were seen before.

    Raises:
        HpsearchError: Seeds are asked of a study on folds, or repeats of one on seeds.

    """
    planned = study.settings.confirm
    if planned.folds is None:
        if repeats is not None:
            raise HpsearchError("--repeats divides the data into new folds; this study's replicates are seeds: --seeds")
        return Confirm(top=1, seeds=max(planned.count, seeds or 0, *looks))
    if seeds is not None:
        raise HpsearchError(
            "--seeds adds fresh seeds; this study's replicates are folds, which are not mixed with seeds: --repeats "
            "divides the data into new folds"
        )
    seen = -(-max(looks, default=0) // planned.folds)  # rounded up
    return Confirm(top=1, folds=planned.folds, repeats=max(planned.repeats, repeats or 0, seen))


def options_of(wanted: Confirm, planned: Confirm) -> list[str]:
    """Return the command's options that ask for these replicates; none if they are the study's own."""
    if wanted.count == planned.count:
        return []
    return ["--seeds", str(wanted.count)] if wanted.folds is None else ["--repeats", str(wanted.repeats)]


def test_of(wanted: Confirm, study: Study) -> Test:
    """Return the test that decides about replicates of which none is missing."""
    if study.settings.replicates.searches > 1:
        return planned_test(Unit.FOLD if study.redivided else Unit.SEARCH)
    unit = Unit.SEED if wanted.folds is None else Unit.FOLD
    return planned_test(unit, five_by_two=(wanted.folds, wanted.repeats) == (2, 5))


def in_words(wanted: Confirm, study: Study) -> str:
    """Return the replicates of a winner in a sentence of the plan."""
    if (searches := study.settings.replicates.searches) > 1:
        seeds, own = f"{wanted.count} fresh seeds, which count as their mean", study.settings.replicates.vary == "all"
        data = (
            "its own division of the data, or its own simulated data where there are such" if own else "one test split"
        )
        return (
            f"{searches} searches of each arm, by seeds that all arms share; the winner of each is trained on "
            f"{'one fresh seed' if wanted.count == 1 else seeds}; scored once, on {data}"
        )
    if wanted.folds is None:
        return f"{wanted.count} fresh seeds of each winner, the same for all arms; scored once on the test split"
    divided = "" if wanted.repeats == 1 else f", divided {wanted.repeats} times"
    return (
        f"{wanted.folds} folds of the data{divided}: {wanted.count} trainings of each winner, the same folds and seeds "
        "for all arms; each is scored once, on the fold that it did not learn from"
    )


def varied_in(study: Study, wanted: Confirm) -> tuple[str, ...]:
    """Return the sources of variance that the study's replicates vary, in the words of Bouthillier et al. (2021).

    The rest is held fixed, so that the interval says nothing about it.
    """
    searches = ("choice of hyperparameters",) if study.settings.replicates.searches > 1 else ()
    data = ("data split",) if wanted.folds is not None or study.settings.replicates.vary == "all" else ()
    return (*searches, *data, "initialisation", "data order", "augmentation")


def planned_runs(study: Study, arm: SpaceArm | BaselineArm, folder: Path, wanted: Confirm) -> Iterator[FinishedRun]:
    """Yield an arm's runs: trials of its search and replicates of its winner, or the scores of a baseline.

    A folder may hold more, from an earlier plan: other seeds, other folds. How long runs took is left out: no two
    machines agree on it, and equal studies give equal reports.

    Raises:
        ExperimentError: A baseline has no scores.

    """
    if isinstance(arm, SpaceArm):
        own = [each for each in study.searches if each.name == arm.name]
        found = chain.from_iterable(_of_arm(study, each, folder, wanted) for each in own)
    else:
        found = chain(_of_baseline(study, arm, folder, wanted))
    return (replace(run, experiment=arm.name, seconds=None, source="") for run in found)


def _of_arm(study: Study, arm: SpaceArm, folder: Path, wanted: Confirm) -> Iterator[FinishedRun]:
    """Yield the runs of one search of an arm; the trials of the first stand for those of all."""
    home = folder / arm.folder
    names = {home.name, f"{home.name} ({wanted.folds} folds)"}
    planned = {seeds.initialisation for seeds in seeds_of(wanted, study.seed_of(arm.search))}
    for run in hpsearch_experiment.read(home, Wanted(study.metric)).runs:
        if run.search:
            if arm.search == 1:
                yield run
        elif run.experiment in names and run.seed in planned:
            yield of_search(run, arm.search, study.repeated, seed=study.settings.seed) if study.repeated else run


def _of_baseline(study: Study, arm: BaselineArm, folder: Path, wanted: Confirm) -> Iterator[FinishedRun]:
    """Yield a method's scores: on each fold, on the data of each search where they differ, or the only one."""
    replicates = study.settings.replicates
    for number in range(1, (replicates.searches if replicates.vary == "all" else 1) + 1):
        home = folder / search_folder(arm.partner, number)
        own = {f"{arm.method} ({home.name})", f"{arm.method} ({home.name} ({wanted.folds} folds))"}
        places = [fold_keys(fold, study.settings.seed) for fold in folds_of(wanted)] or [fold_keys(None, 0)]
        found = hpsearch_experiment.read(home, Wanted(study.metric)).runs
        kept = [run for run in found if run.experiment in own and {"fold": run.fold, "repeat": run.repeat} in places]
        if len(kept) < len(places):
            raise ExperimentError(f"arm {arm.name}: {home} has no scores of {arm.method}")
        if replicates.vary == "all":
            kept = [of_search(run, number, study.repeated, seed=study.settings.seed) for run in kept]
        yield from kept
