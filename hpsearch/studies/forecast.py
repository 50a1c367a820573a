"""What a study will cost and be able to show, before anything is spent.

The cost is counted from its file and measured by a probe of each arm. What its replicates will show is computed for the
planned test, at the strictest level it may have to reach.
"""

import math
import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from hpsearch.comparing.statistics.adjustment import strictest_level
from hpsearch.comparing.statistics.power import paired_power, pairs_needed, smallest_effect, smallest_margin
from hpsearch.comparing.verdicts import POWER
from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import is_experiment, is_study
from hpsearch.experiment.reading import read_experiment
from hpsearch.experiment.studies import search_folder
from hpsearch.records import Fold, Outcome
from hpsearch.report.wording import duration, rough_size
from hpsearch.space import Space
from hpsearch.studies.history import plan_of, read_history
from hpsearch.studies.plan import ArmPlan, ObservedPair, PowerPlan, StudyPlan, total
from hpsearch.studies.probe import CONFIGURATIONS, Probed, probe_arm
from hpsearch.studies.replicates import replication_of
from hpsearch.studies.study import BaselineArm, SpaceArm, Study
from hpsearch.training.settings import TrainSettings
from hpsearch.workers.local.workers import worker_shares
from hpsearch.workers.machine import Share

FOREIGN = "it is trained by code of its own; how long that takes, and what it writes, is not known"

ProbeArm = Callable[[SpaceArm, Share], Probed]
"""From an arm and what a worker gets of the machine to what its probe has measured."""


def forecast_study(
    study: Study,
    *,
    folder: Path,
    seeds: int | None = None,
    repeats: int | None = None,
    probe: ProbeArm | None,
    in_process: bool = False,
) -> StudyPlan:
    """Forecast a study's cost and power, without touching its folder; without `probe`, no times.

    Args:
        study: The study.
        folder: The study's folder; replicates that were looked at there stay, as in a run.
        seeds: More replicates than planned.
        repeats: The same for a study on folds.
        probe: Measures an arm.
        in_process: Count with one training at a time.

    Raises:
        HpsearchError: An arm has no configuration at all, its folds leave nothing to learn from, or the study's
            replicates are of the other kind.
        ExperimentError: The folder's study.json cannot be read.

    """
    asked, searches = replication_of(study, seeds=seeds, repeats=repeats).count, study.settings.replicates.searches
    replicates = replication_of(study, seeds=seeds, repeats=repeats, looks=_looks(study, folder)).count
    kept = [f"{replicates} replicates were looked at before, and are kept"] if replicates > asked else []
    arms = [
        _repeated(_arm_plan(arm, replicates, probe, in_process=in_process), arm, folder, searches)
        for arm in study.searched
    ]
    free = _free(folder)
    return StudyPlan(
        question=study.settings.question,
        metric=study.metric,
        arms=arms,
        baselines={arm.name: f"baseline {arm.method}" for arm in study.arms if not isinstance(arm, SpaceArm)},
        power=power_plan(study, folder, replicates=replicates),
        free=free,
        probed=probe is not None,
        warnings=_warnings(arms, free),
        notes=[*kept, *_notes(study, arms, free)],
    )


def _looks(study: Study, folder: Path) -> tuple[int, ...]:
    """Return the numbers of replicates that were looked at in a folder, as they count once it takes this study up."""
    if not is_study(folder):
        return ()
    return replace(read_history(folder), latest=plan_of(study, study.settings.confirm)).comparable_looks


def probing(*, in_process: bool = False, tell: Callable[[str], None]) -> ProbeArm:
    """Return a function that probes an arm as a worker would train it; `tell` gets the arm's name."""

    def probe(arm: SpaceArm, share: Share) -> Probed:
        tell(f"probing {arm.name} ...")
        return probe_arm(arm.space, share, in_process=in_process)

    return probe


def _repeated(plan: ArmPlan, arm: SpaceArm, folder: Path, searches: int) -> ArmPlan:
    """Return the plan of one search of an arm for all of its searches, with what its folders hold of them."""
    done = sum(_done(folder / search_folder(arm.name, number)) for number in range(1, searches + 1))
    seconds, size = (
        None if one is None else (searches * one[0], searches * one[1]) for one in (plan.seconds, plan.bytes)
    )
    return replace(plan, searches=searches, done=done, seconds=seconds, bytes=size)


def _arm_plan(arm: SpaceArm, replicates: int, probe: ProbeArm | None, *, in_process: bool) -> ArmPlan:
    """Estimate the upper bound of the cost of one search of an arm (no pruning, no early stopping)."""
    space, search, lengths = arm.space, arm.space.search, _lengths(arm)
    seeds = search.seeds.race.most if search.seeds else 1
    trials = search.trials if space.size is None else min(search.trials, space.size * seeds)
    shares = worker_shares(search, jobs=max(trials, replicates))
    plan = ArmPlan(
        name=arm.name,
        family=space.family,
        fixed=arm.fixed,
        ranges=len(space.parameters),
        continuous=space.continuous,
        combinations=space.combinations,
        trials=trials,
        replicates=replicates,
        workers=1 if in_process else len(shares),
        epochs=lengths.get("epochs"),
        steps=lengths.get("steps"),
    )
    if not lengths:
        return replace(plan, trouble=(FOREIGN,))
    if probe is None:
        return plan
    probed = probe(arm, shares[0])
    plan = replace(plan, trouble=probed.trouble)
    return _costed(plan, arm, probed) if probed.probes else plan


def _lengths(arm: SpaceArm) -> dict[str, tuple[int, int]]:
    """Return the fewest and the most `epochs` or `steps` of a training; nothing of a program's."""
    train = getattr(arm.space.config(arm.space.example), "train", None)
    if not isinstance(train, TrainSettings):
        return {}
    unit = "epochs" if train.steps is None else "steps"
    searched = [parameter.range.grid() for parameter in arm.space.parameters if parameter.path == f"train.{unit}"]
    values = [int(value) for grid in searched for value in grid or ()] or [getattr(train, unit)]
    return {unit: (min(values), max(values))}


def _done(home: Path) -> int:
    """Count the ended trainings in an arm's folder."""
    if not is_experiment(home):
        return 0
    record = read_experiment(home)
    return sum(run.outcome is not None for run in (*record.trials, *record.replicates))


def _costed(plan: ArmPlan, arm: SpaceArm, probed: Probed) -> ArmPlan:
    """Return the plan with time and disk: the cheapest probe over the fewest epochs, the dearest over the most."""
    spans = [(probe, *probe.epochs_of(plan.epochs, plan.steps)) for probe in probed.probes]
    training = (
        min(probe.epoch_seconds * fewest for probe, fewest, _ in spans),
        max(probe.epoch_seconds * most for probe, _, most in spans),
    )
    rounds = math.ceil(plan.trials / plan.workers)
    loads = rounds if any(parameter.path.startswith("data.") for parameter in arm.space.parameters) else 1
    search = [loads * probed.load_seconds + rounds * seconds for seconds in training]
    limit = arm.space.search.time
    capped = limit is not None and search[1] > limit
    if limit is not None:
        search = [min(seconds, limit) for seconds in search]
    loading = probed.load_seconds if arm.space.confirm and arm.space.confirm.folds else 0.0  # each fold loads its data
    confirm = [math.ceil(plan.replicates / plan.workers) * (loading + seconds) for seconds in training]
    runs = [probe.run_bytes(count) for probe, *counts in spans for count in counts]
    return replace(
        plan,
        epochs=(min(fewest for _, fewest, _ in spans), max(most for *_, most in spans)),
        seconds=(search[0] + confirm[0], search[1] + confirm[1]),
        capped=capped,
        bytes=((plan.trials + plan.replicates) * min(runs), (plan.trials + plan.replicates) * max(runs)),
    )


def _free(folder: Path) -> int:
    """Return the bytes that are free on the folder's disk."""
    place = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    return shutil.disk_usage(place).free


def _warnings(arms: Sequence[ArmPlan], free: int) -> list[str]:
    found = [f"{arm.name}: {trouble}" for arm in arms for trouble in arm.trouble]
    wanted = total(arm.bytes for arm in arms if arm.bytes)
    if wanted and wanted[1] > free:
        found.append(f"the disk has room for {rough_size(free)}, and the study may want {rough_size(wanted[1])}")
    return found


def _notes(study: Study, arms: Sequence[ArmPlan], free: int) -> list[str]:
    """Explain the numbers."""
    notes = ["at most: pruning and early stopping end trainings sooner"]
    timed = [arm for arm in arms if arm.seconds]
    if timed:
        workers = max(arm.workers for arm in timed)
        baselines = ", without the baselines" if len(study.arms) > len(study.searched) else ""
        notes += [
            f"time: one arm after another, with {workers} {'worker' if workers == 1 else 'workers'}{baselines}",
            f"disk: {rough_size(free)} are free; both are estimates from {CONFIGURATIONS} random configurations an arm",
        ]
    if (capped := [arm.name for arm in arms if arm.capped]) and study.settings.budget.time:
        limit = duration(study.settings.budget.time)
        notes.append(f"the budget ends the search of {', '.join(capped)} after {limit}, before all trials are done")
    if done := sum(arm.done for arm in arms):
        notes.append(f"{done} of the {sum(arm.trainings for arm in arms)} trainings are done already")
    return notes


_SEARCHES = (
    "the seeds of one winner count as their mean: more searches show smaller differences, more seeds of each hardly do"
)
SPREADS = (0.25, 0.5, 1.0, 2.0)
"""Standard deviations, in margins, for which replicates are counted."""

Scores = Mapping[int | Fold | None, float]
"""By replicate, fold or search; where replicates are seeds, a baseline has one score, which is of none."""


def power_plan(study: Study, folder: Path, *, replicates: int) -> PowerPlan:
    """Return the power of n replicates; the study's folder may hold earlier ones, which show how they spread.

    Raises:
        HpsearchError: The folds leave nothing for training.

    """
    decide, folds, searches = study.settings.decide, study.settings.replicates.folds, study.settings.replicates.searches
    n = replicates if searches == 1 else searches
    tests = tests_of(study)
    level = strictest_level(study.level, decide.adjust, tests)
    overlap, known = overlap_of(study)
    effect = smallest_effect(n, alpha=level, power=POWER, test_to_train=overlap)
    equivalence = smallest_margin(n, alpha=level, power=POWER, test_to_train=overlap)
    margin = decide.margin
    return PowerPlan(
        unit="searches" if searches > 1 else "folds" if folds else "seeds",
        replicates=n,
        tests=tests,
        families=len(study.test_families),
        alpha=decide.alpha,
        adjust=decide.adjust,
        level=level,
        effect=effect,
        margin=margin,
        largest_sd=None if margin is None else margin / effect,
        largest_sd_equivalence=None if margin is None else margin / equivalence,
        needed={}
        if overlap or margin is None
        else {sd: pairs_needed(1 / sd, alpha=level, power=POWER) for sd in SPREADS},
        observed=_observed(study, folder, n=n, level=level, overlap=overlap),
        notes=[
            *_level_notes(study, tests, level),
            *(_fold_notes(folds or 0, n, overlap, known=known) if overlap else ()),
            *([_SEARCHES] if searches > 1 else []),
        ],
    )


def tests_of(study: Study) -> int:
    """Return the number of tests, one for each pair of arms; two baselines have none, but on data that vary."""
    count = len(study.arms)
    replicates = study.settings.replicates
    fixed = 0 if replicates.folds or replicates.vary == "all" else count - len(study.searched)
    return math.comb(count, 2) - math.comb(fixed, 2)


def overlap_of(study: Study) -> tuple[float, bool]:
    """Return n_test / n_train of a study's folds, and whether it is known or only a lower bound; 0 for seeds.

    Searches that each divide the data anew overlap as folds do; their test part is `data.test_fraction` of all.

    The larger it is, the less folds are worth. The test that decides takes it from the noted sizes, in which the
    validation part is not a part of training: of all examples 1 / folds are for the test, and `data.val_fraction` for
    validation. If arms differ, the largest counts.

    Raises:
        HpsearchError: Nothing is left for training.

    """
    folds = study.settings.replicates.folds
    if folds is None and not study.redivided:
        return 0.0, True
    fractions = [_val_fraction(arm.space) for arm in study.searched]
    test = 1 / folds if folds else max(_test_fraction(arm.space) for arm in study.searched)
    val = max(fraction or 0.0 for fraction in fractions)
    if test + val >= 1:
        parts = f"{folds} folds" if folds else f"data.test_fraction {test:g}"
        raise HpsearchError(f"{parts} and data.val_fraction {val:g} leave nothing for training")
    return test / (1 - test - val), None not in fractions


def _test_fraction(space: Space) -> float:
    """Return the part of all examples that is for the test; 0 where it does not depend on a division of them."""
    fraction = getattr(getattr(space.config(space.example), "data", None), "test_fraction", None)
    return fraction if isinstance(fraction, float) else 0.0


def _val_fraction(space: Space) -> float | None:
    """Return the part of all examples that validation takes from training, or None if it is not known."""
    if any(parameter.path == "data.val_fraction" for parameter in space.parameters):
        return None
    data = getattr(space.config(space.example), "data", None)
    if "val" in getattr(data, "files", ()):
        return 0.0  # it has a file of its own
    fraction = getattr(data, "val_fraction", None)
    return fraction if isinstance(fraction, float) else None


def _level_notes(study: Study, tests: int, level: float) -> list[str]:
    decide, notes = study.settings.decide, []
    shared = [f"{len(study.test_families)} families of tests"] if len(study.test_families) > 1 else []
    if level < study.level:
        shared.append(f"{tests} tests by {decide.adjust}'s adjustment, which is milder after each that succeeds")
    if shared:
        notes.append(f"{level:.2g} = {' / '.join([f'{decide.alpha:g}', *shared])}")
    if decide.margin is not None:
        notes.append(
            f"differences and equivalences are two families of tests: each keeps the error rate of {decide.alpha:g}"
        )
    return notes


def _fold_notes(folds: int, n: int, overlap: float, *, known: bool) -> list[str]:
    """Describe the effective number of `n` replicates on folds or divisions, and whether it is only a bound."""
    variance = f"s² (1/{n} + {'' if known else 'at least '}{overlap:.3g})"
    what, more = ("folds", "repeats") if folds else ("the searches' divisions of the data", "of them")
    corrected = f"as in Nadeau and Bengio's corrected t, and more {more} hardly help"
    notes = [f"{what} overlap: the variance of the mean is {variance} {corrected}"]
    if not known:
        unknown = "how many examples validation takes from training is not known (a fixed data.val_fraction tells it)"
        notes.append(f"{unknown}: the power is at most what is shown here")
    if (folds, n) == (2, 10):
        notes.append("five times two folds are decided by Alpaydin's F: its power is only about that of the t here")
    return notes


def _observed(study: Study, folder: Path, *, n: int, level: float, overlap: float) -> list[ObservedPair]:
    """Estimate the spread of the arms' differences from earlier replicates."""
    scores = {arm.name: _scores(study, arm, folder) for arm in study.arms}
    margin, found = study.settings.decide.margin, []
    for a, b in combinations(study.arms, 2):
        left, right = _spread(scores[a.name], scores[b.name]), _spread(scores[b.name], scores[a.name])
        differences = [left[key] - right[key] for key in left if key in right]
        sd = statistics.stdev(differences) if len(differences) > 1 else 0.0
        if not (sd > 0 and math.isfinite(sd)):
            continue
        power = needed = None
        if margin is not None:
            power = paired_power(margin / sd, n, alpha=level, test_to_train=overlap)
            needed = None if overlap else pairs_needed(margin / sd, alpha=level, power=POWER)
        found.append(ObservedPair(a.name, b.name, len(differences), sd, power, needed))
    return found


def _scores(study: Study, arm: SpaceArm | BaselineArm, folder: Path) -> Scores:
    home, replicates = arm.partner if isinstance(arm, BaselineArm) else arm.name, study.settings.replicates
    if replicates.searches == 1 or (isinstance(arm, BaselineArm) and replicates.vary != "all"):
        return _scores_of(study, arm, folder / home)
    numbers = range(1, replicates.searches + 1)
    found = {number: _scores_of(study, arm, folder / search_folder(home, number)) for number in numbers}
    return {number: statistics.mean(scores.values()) for number, scores in found.items() if scores}


def _scores_of(study: Study, arm: SpaceArm | BaselineArm, home: Path) -> Scores:
    if not is_experiment(home):
        return {}
    record = read_experiment(home)
    if isinstance(arm, BaselineArm):
        return {
            each.fold: each.scores[study.metric]
            for each in record.baselines
            if each.name == arm.method and _is_planned(study, each.fold) and study.metric in each.scores
        }
    winner = None if record.best is None else record.best.number
    return {
        run.fold or run.replicate: run.scores[study.metric]
        for run in record.replicates
        if run.number == winner
        and _is_planned(study, run.fold)
        and run.outcome is Outcome.COMPLETE
        and study.metric in run.scores
    }


def _is_planned(study: Study, fold: Fold | None) -> bool:
    """Check whether a replicate on this fold, or on none, is of the kind that the study has."""
    return (None if fold is None else fold.folds) == study.settings.replicates.folds


def _spread(own: Scores, other: Scores) -> Scores:
    """Pair a baseline's only score with every replicate of the other arm."""
    return dict.fromkeys(other, own[None]) if None in own else own
