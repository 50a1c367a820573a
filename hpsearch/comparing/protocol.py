"""Which runs are compared with which, by which test, and why."""

from collections.abc import Sequence
from itertools import combinations

from hpsearch.comparing.across import across_datasets
from hpsearch.comparing.arms import Arm, arms_of
from hpsearch.comparing.comparison import Comparison
from hpsearch.comparing.keys import with_counting_keys
from hpsearch.comparing.metric_choice import choose_goal, choose_metric
from hpsearch.comparing.pairs import compare_pair
from hpsearch.comparing.question import Question, Unit
from hpsearch.comparing.remarks import remarks_on
from hpsearch.comparing.searches import expected_bests, optimisms, search_warnings
from hpsearch.comparing.summaries import summarise
from hpsearch.comparing.units import choose_unit, with_cells
from hpsearch.comparing.verdicts import family_size, judge
from hpsearch.errors import UnknownNameError
from hpsearch.records import FinishedRun


def compare_runs(runs: Sequence[FinishedRun], question: Question, *, warnings: Sequence[str] = ()) -> Comparison:
    """Compare the experiments that the runs belong to, or the groups that a parameter makes (`question.by`).

    Args:
        runs: The runs of all of them.
        question: What is asked. Of a metric that it leaves open there may be only one, whose name tells the goal.
        warnings: What is known of the runs already; it comes before the comparison's own warnings.

    Raises:
        UnknownNameError: If no run has the metric or parameter, or no arm is called as the baseline.
        HpsearchError: If metric, goal or unit cannot be told.

    """
    metric = question.metric or choose_metric(runs, (), None)
    goal = question.goal or choose_goal(metric, {}, None)
    arms = with_counting_keys(arms_of(runs, metric=metric, by=question.by, step=question.step), by=question.by)
    names, baseline = [arm.name for arm in arms], question.baseline
    if baseline is not None and baseline not in names:
        raise UnknownNameError("baseline", baseline, names)
    arms, left_out = _counting(arms, baseline) if question.by is not None else (arms, [])
    unit, reason = choose_unit(arms, question.unit)
    arms = [with_cells(arm, unit) for arm in arms]
    settled = question.settled(metric, goal, unit)
    pairs = [compare_pair(a, b, settled) for a, b in _combinations(arms, baseline)]
    across, on_ranks = across_datasets(arms, settled) if unit is Unit.DATASET else (None, [])
    said = [*left_out, *remarks_on(arms, pairs, unit), *_arm_warnings(arms), *search_warnings(arms, settled)]
    return Comparison(
        metric=metric,
        goal=goal,
        unit=unit,
        alpha=question.alpha,
        family_size=family_size(pairs),
        adjust=question.adjust,
        experiments=tuple(summarise(arm, unit=unit, seed=question.seed) for arm in arms),
        pairs=judge(pairs, settled),
        across_datasets=across,
        expected_best=expected_bests(arms, settled),
        warnings=(*warnings, *said, *on_ranks),
        unit_reason=reason,
        baseline=baseline,
        margin=question.margin,
        seed=question.seed,
        optimism=optimisms(arms, settled),
    )


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
