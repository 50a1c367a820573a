"""Searches against one another: no p values, but what the best of n trials is worth at equal budget (rules 3, 11)."""

from collections.abc import Sequence

import numpy as np

from hpsearch.comparing.arms import Arm, Observation
from hpsearch.comparing.comparison import ExpectedBest, Optimism
from hpsearch.comparing.question import SettledQuestion, Unit
from hpsearch.comparing.statistics.arrays import as_array
from hpsearch.comparing.statistics.expected_best import (
    ESTIMATORS,
    budgets,
    expected_best,
    expected_best_band,
    expected_maximum,
)

INDEPENDENT = ("random", "qmc")
"""Samplers whose trials do not follow from earlier ones."""
ONCE = ("grid",)
"""Samplers that take each configuration once, whatever the earlier ones gave."""
POPULATIONS = ("pbt", "pb2")
"""What stands where a pruner does, and lets the worse trials go on as copies of the better ones."""


def trials_of(arm: Arm, unit: Unit) -> tuple[Observation, ...]:
    """Return the arm's trials of a search; all its runs where the trial is the unit."""
    return (*arm.observations, *arm.trials) if unit is Unit.TRIAL else arm.trials


def expected_bests(arms: Sequence[Arm], question: SettledQuestion) -> tuple[ExpectedBest, ...]:
    """Return the curves of all arms that have trials, by both estimators."""
    found: list[ExpectedBest] = []
    for arm in arms:
        scores = question.sign * as_array([each.value for each in trials_of(arm, question.unit)])
        if not len(scores):
            continue
        ns = budgets(len(scores))
        for estimator in ESTIMATORS:
            curve = question.sign * expected_best(scores, ns, estimator=estimator)
            ends = expected_best_band(scores, ns, estimator=estimator, seed=question.seed)
            bands = np.sort(question.sign * np.stack(ends), axis=0).T
            found += [
                ExpectedBest(arm.name, n, float(value), estimator, question.metric, (float(low), float(high)))
                for n, value, (low, high) in zip(ns, curve, bands, strict=True)
            ]
    return tuple(found)


def optimisms(arms: Sequence[Arm], question: SettledQuestion) -> tuple[Optimism, ...]:
    """Return by how much each search's best score overstates at most: as if all trials were equally good."""
    found = []
    for arm in arms:
        scores = question.sign * as_array([each.value for each in trials_of(arm, question.unit)])
        if len(scores) > 1:
            best = question.sign * float(np.max(scores))
            bias = float(np.std(scores, ddof=1)) * expected_maximum(len(scores))
            bias = min(bias, float(np.max(scores) - np.mean(scores)))
            found.append(Optimism(arm.name, question.metric, len(scores), best, bias))
    return tuple(found)


def search_warnings(arms: Sequence[Arm], question: SettledQuestion) -> list[str]:
    """Return what must be known of the searches before their curves are believed."""
    warnings = []
    sizes = {arm.name: len(trials_of(arm, question.unit)) for arm in arms}
    for arm in arms:
        trials = trials_of(arm, question.unit)
        warnings += [f"{arm.name}: {said}" for said in _how_chosen(arm.trials)]
        pruners = sorted(_named(trials, "pruner") - {"none", *POPULATIONS})
        if trials and arm.pruned:
            who = ", ".join(pruners) or "the search"
            warnings.append(
                f"{arm.name}: {who} pruned trials; only the complete ones are in the expected best, which "
                "makes it look better than the whole budget was"
            )
        if arm.observations and arm.trials and question.unit is not Unit.TRIAL:
            warnings.append(
                f"{arm.name}: its {len(arm.trials)} trials were chosen by a metric and are not tested; the test is of "
                f"its {len(arm.observations)} other runs"
            )
    counted = {name: size for name, size in sizes.items() if size}
    if len(set(counted.values())) > 1:
        smallest = min(counted.values())
        shown = ", ".join(f"{name} {size}" for name, size in counted.items())
        warnings.append(f"the searches have different numbers of trials ({shown}): compare them at n = {smallest}")
    lengths = {each.run.steps for arm in arms for each in trials_of(arm, question.unit)} - {None}
    if len(lengths) > 1:
        warnings.append("the trials were trained for different numbers of steps: their values are of different budgets")
    return warnings


def _named(trials: Sequence[Observation], role: str) -> set[str]:
    """Return the samplers or pruners of the trials' searches."""
    named = {getattr(each.run.search, role) for each in trials if each.run.search is not None}
    return {name for name in named if name}


def _how_chosen(trials: Sequence[Observation]) -> list[str]:
    """Return what speaks against taking the trials as independent, which the expected best does."""
    samplers, assumed = _named(trials, "sampler"), "the expected best assumes independent trials"
    choosers = sorted((samplers - {*INDEPENDENT, *ONCE}) | (_named(trials, "pruner") & {*POPULATIONS}))
    if choosers:
        follows = f"{assumed}, but {', '.join(choosers)} chose each by the earlier ones"
        return [f"{follows}: the curve says what a shuffled order would give"]
    if any(each.run.search is None or not each.run.search.sampler for each in trials):
        return [f"{assumed}; nobody noted which sampler chose them"]
    if once := sorted(samplers & {*ONCE}):
        return [f"{assumed}, but {', '.join(once)} takes each configuration once: the estimator `unbiased` does, too"]
    return []
