"""What a study's replicates will be able to show by the planned test, at the strictest level it may have to reach."""

import math
import statistics
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

from hpsearch.comparing.statistics.adjustment import strictest_level
from hpsearch.comparing.statistics.power import paired_power, pairs_needed, smallest_effect, smallest_margin
from hpsearch.comparing.verdicts import POWER
from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import is_experiment
from hpsearch.experiment.reading import read_experiment
from hpsearch.records import Fold, Outcome
from hpsearch.space import Space
from hpsearch.studies.file.study import BaselineArm, SpaceArm, Study
from hpsearch.studies.plan import ObservedPair, PowerPlan

SPREADS = (0.25, 0.5, 1.0, 2.0)
"""Standard deviations, in margins, for which replicates are counted."""

Scores = Mapping[int | Fold | None, float]
"""By replicate or fold; where replicates are seeds, a baseline has one score, which is of none."""


def power_plan(study: Study, folder: Path, *, replicates: int) -> PowerPlan:
    """Return the power of n replicates; the study's folder may hold earlier ones, which show how they spread.

    Raises:
        HpsearchError: The folds leave nothing for training.

    """
    decide, folds, n = study.settings.decide, study.settings.replicates.folds, replicates
    tests = tests_of(study)
    level = strictest_level(study.level, decide.adjust, tests)
    overlap, known = overlap_of(study)
    effect = smallest_effect(n, alpha=level, power=POWER, test_to_train=overlap)
    equivalence = smallest_margin(n, alpha=level, power=POWER, test_to_train=overlap)
    margin = decide.margin
    return PowerPlan(
        unit="folds" if folds else "seeds",
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
        if folds or margin is None
        else {sd: pairs_needed(1 / sd, alpha=level, power=POWER) for sd in SPREADS},
        observed=_observed(study, folder, n=n, level=level, overlap=overlap),
        notes=[*_level_notes(study, tests, level), *(_fold_notes(folds, n, overlap, known=known) if folds else ())],
    )


def tests_of(study: Study) -> int:
    """Return the number of tests, one for each pair of arms; two baselines without chance have none, but on folds."""
    count = len(study.arms)
    fixed = 0 if study.settings.replicates.folds else count - len(study.searched)
    return math.comb(count, 2) - math.comb(fixed, 2)


def overlap_of(study: Study) -> tuple[float, bool]:
    """Return n_test / n_train of a study's folds, and whether it is known or only a lower bound; 0 for seeds.

    The larger it is, the less folds are worth. The test that decides takes it from the noted sizes, in which the
    validation part is no part of training: of all examples 1 / folds are for the test, and `data.val_fraction` for
    validation. If arms differ, the largest counts.

    Raises:
        HpsearchError: Nothing is left for training.

    """
    folds = study.settings.replicates.folds
    if folds is None:
        return 0.0, True
    fractions = [_val_fraction(arm.space) for arm in study.searched]
    test, val = 1 / folds, max(fraction or 0.0 for fraction in fractions)
    if test + val >= 1:
        raise HpsearchError(f"{folds} folds and data.val_fraction {val:g} leave nothing for training")
    return test / (1 - test - val), None not in fractions


def _val_fraction(space: Space) -> float | None:
    """Return the part of all examples that validation takes from training, or None if it is not known."""
    if any(parameter.path == "data.val_fraction" for parameter in space.parameters):
        return None
    data = getattr(space.config(space.example), "data", None)
    if getattr(data, "val_path", None):
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
    """Describe the effective number of `n` replicates on folds, and whether it is only a bound."""
    variance = f"s² (1/{n} + {'' if known else 'at least '}{overlap:.3g})"
    corrected = "as in Nadeau and Bengio's corrected t, and more repeats hardly help"
    notes = [f"folds overlap: the variance of the mean is {variance} {corrected}"]
    if not known:
        unknown = "how many examples validation takes from training is not known (a fixed data.val_fraction tells it)"
        notes.append(f"{unknown}: the power is at most what stands here")
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
    home = folder / (arm.beside if isinstance(arm, BaselineArm) else arm.name)
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
