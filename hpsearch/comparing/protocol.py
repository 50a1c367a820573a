"""Which runs are compared with which, by which test, and why."""

import math
from collections.abc import Sequence
from itertools import combinations

from hpsearch.comparing.across import across_datasets
from hpsearch.comparing.arms import Arm, arms_of
from hpsearch.comparing.comparison import Comparison, Unit
from hpsearch.comparing.keys import with_counting_keys
from hpsearch.comparing.pairs import compare_pair
from hpsearch.comparing.question import Question
from hpsearch.comparing.remarks import remarks_on
from hpsearch.comparing.searches import expected_bests, optimisms, search_warnings
from hpsearch.comparing.statistics.adjustment import ADJUSTMENTS
from hpsearch.comparing.summaries import summarise
from hpsearch.comparing.units import AUTO, choose_unit, with_cells
from hpsearch.comparing.verdicts import family_size, judge
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.records import FinishedRun, Goal

UNITS = (AUTO, *(str(unit) for unit in Unit))


def compare_runs(
    runs: Sequence[FinishedRun],
    *,
    metric: str,
    goal: Goal,
    unit: str = AUTO,
    baseline: str | None = None,
    margin: float | None = None,
    alpha: float = 0.05,
    adjust: str = "holm",
    by: str | None = None,
    step: int | None = None,
    stochastic_order: bool = False,
    seed: int = 0,
    warnings: Sequence[str] = (),
) -> Comparison:
    """Compare the experiments that the runs belong to, or with `by` the groups that a parameter makes.

    `margin` is the smallest difference that matters, in the metric's unit: with it equivalence is tested. `baseline`
    names the experiment that the others are compared with, instead of all with all. `step` takes the metric at that
    step of every run's history. `stochastic_order` adds the almost stochastic order, which takes longer. `warnings` are
    what is known of the runs already: they come before the comparison's own.
    Errors: UnknownNameError for a metric, unit, baseline, adjustment or parameter that is not there; HpsearchError for
    a margin, level or seed that is none.
    """
    check_options(unit=unit, adjust=adjust, margin=margin, alpha=alpha, seed=seed)
    arms = with_counting_keys(arms_of(runs, metric=metric, by=by, step=step), by=by)
    names = [arm.name for arm in arms]
    if baseline is not None and baseline not in names:
        raise UnknownNameError("baseline", baseline, names)
    arms, left_out = _counting(arms, baseline) if by is not None else (arms, [])
    chosen, reason = choose_unit(arms, unit)
    arms = [with_cells(arm, chosen) for arm in arms]
    question = Question(metric, goal, chosen, alpha, adjust, margin, stochastic_order, seed)
    pairs = [compare_pair(a, b, question) for a, b in _combinations(arms, baseline)]
    across, on_ranks = across_datasets(arms, question) if chosen is Unit.DATASET else (None, [])
    said = [*left_out, *remarks_on(arms, pairs, chosen), *_arm_warnings(arms), *search_warnings(arms, question)]
    return Comparison(
        metric=metric,
        goal=goal,
        unit=chosen,
        alpha=alpha,
        family_size=family_size(pairs),
        adjust=adjust,
        experiments=tuple(summarise(arm, unit=chosen, seed=seed) for arm in arms),
        pairs=judge(pairs, question),
        across_datasets=across,
        expected_best=expected_bests(arms, question),
        warnings=(*warnings, *said, *on_ranks),
        unit_reason=reason,
        baseline=baseline,
        margin=margin,
        seed=seed,
        optimism=optimisms(arms, question),
    )


def check_options(*, unit: str, adjust: str, margin: float | None, alpha: float, seed: int) -> None:
    """Refuse a unit, adjustment, margin, level or seed that none can be. Errors: HpsearchError."""
    if unit not in UNITS:
        raise UnknownNameError("unit", unit, UNITS)
    if adjust not in ADJUSTMENTS:
        raise UnknownNameError("adjustment", adjust, ADJUSTMENTS)
    if margin is not None and not (margin > 0 and math.isfinite(margin)):
        raise HpsearchError(f"a margin is a difference above 0 in the metric's unit, not {margin}")
    if not 0 < alpha < 0.5:
        raise HpsearchError(f"alpha is an error rate between 0 and 0.5, not {alpha}")
    if seed < 0:
        raise HpsearchError(f"a seed is a whole number from 0 on, not {seed}")


def _counting(arms: Sequence[Arm], baseline: str | None) -> tuple[list[Arm], list[str]]:
    """Return the groups that have a run that counts (or all, if none has) and a sentence about each of the others."""
    empty = [arm for arm in arms if not arm.observations and not arm.trials and arm.name != baseline]
    kept = [arm for arm in arms if arm not in empty]
    if not kept:
        return list(arms), []
    return kept, [f"{arm.name} is left out, as none of its runs counts: {_reasons(arm)}" for arm in empty]


def _reasons(arm: Arm) -> str:
    """Return `trial 1, trial 4: diverged; trial 3: failed`."""
    named: dict[str, list[str]] = {}
    for each in arm.dropped:
        named.setdefault(each.why, []).append(each.run)
    return "; ".join(f"{', '.join(runs)}: {why}" for why, runs in named.items()) or "they are of another metric"


def _combinations(arms: Sequence[Arm], baseline: str | None) -> list[tuple[Arm, Arm]]:
    """Return all pairs in the order of the arms, or each other arm with the baseline, which then is b."""
    if baseline is None:
        return list(combinations(arms, 2))
    (fixed,) = (arm for arm in arms if arm.name == baseline)
    return [(arm, fixed) for arm in arms if arm is not fixed]


def _arm_warnings(arms: Sequence[Arm]) -> list[str]:
    """Return what a reader must know of the runs before any number."""
    warnings = []
    for arm in arms:
        lengths = sorted({each.run.steps for each in arm.observations if each.run.steps is not None})
        if len(lengths) > 1:
            warnings.append(f"{arm.name}: its runs were trained for {lengths[0]} to {lengths[-1]} steps")
        if arm.ended_badly:
            total = arm.ended_badly + len(arm.observations)
            warnings.append(
                f"{arm.name}: {arm.ended_badly} of {total} runs did not complete and do not count: what is said of it "
                "holds for runs that complete"
            )
        if arm.configurations > 1:
            warnings.append(
                f"{arm.name}: its runs have {arm.configurations} different configurations; their values are not "
                "repetitions of one method unless that is meant"
            )
    return warnings + _length_warnings(arms)


def _length_warnings(arms: Sequence[Arm]) -> list[str]:
    """Say where the arms were trained for different lengths: all of them ended, so that it is no reason not to test."""
    trained = [arm for arm in arms if arm.observations and not arm.deterministic]
    lengths = {arm.name: arm.steps for arm in trained if arm.steps is not None}
    if len(set(lengths.values())) < 2:
        return []
    told = ", ".join(f"{name} {steps}" for name, steps in lengths.items())
    said = (
        f"the trainings differ in length ({told}), which the tests take as a part of what is compared; where "
        "one was cut short, `hpsearch compare --step` reads all at the same step"
    )
    return [said]
