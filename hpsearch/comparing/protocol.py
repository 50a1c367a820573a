"""Which runs are compared with which, and what must be known of them before anything is tested."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from hpsearch.comparing.arms import Arm, arms_of
from hpsearch.comparing.comparison import Comparison, PairResult
from hpsearch.comparing.example_scores import DECIDED_OVER
from hpsearch.comparing.metric_choice import choose_goal, choose_metric
from hpsearch.comparing.pairs import compare_pair
from hpsearch.comparing.question import Over, Question, Unit
from hpsearch.comparing.summaries import across_datasets, expected_bests, optimisms, search_warnings, summarise
from hpsearch.comparing.units import Paired, choose_unit, label, pair_up, varied, with_cells, with_counting_keys
from hpsearch.comparing.verdicts import family_size, judge
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.records import FinishedRun


def compare_runs(runs: Sequence[FinishedRun], question: Question, *, warnings: Sequence[str] = ()) -> Comparison:
    """Compare the experiments that the runs belong to, or the groups that a parameter makes (`question.by`).

    Args:
        runs: The runs of all of them.
        question: What is asked. Of a metric that it leaves open there may be only one, whose name tells the goal.
        warnings: What is known of the runs already; it comes before the comparison's own warnings.

    Raises:
        UnknownNameError: If no run has the metric or parameter, or no arm is called as the baseline.
        HpsearchError: If metric, goal or unit cannot be determined.

    """
    metric = question.metric or choose_metric(runs, (), None)
    goal = question.goal or choose_goal(metric, {}, None)
    arms = with_counting_keys(arms_of(runs, metric=metric, by=question.by, step=question.step), by=question.by)
    names, baseline = [arm.name for arm in arms], question.baseline
    if baseline is not None and baseline not in names:
        raise UnknownNameError("baseline", baseline, names)
    arms, left_out = _counting(arms, baseline) if question.by is not None else (arms, [])
    unit, reason = choose_unit(arms, question.unit)
    if question.over is not Over.SEEDS:
        reason = _over(question.over, unit)
    arms = [with_cells(arm, unit) for arm in arms]
    settled = question.settled(metric, goal, unit)
    pairs = [compare_pair(a, b, settled) for a, b in _combinations(arms, baseline)]
    across, on_ranks = across_datasets(arms, settled) if unit is Unit.DATASET else (None, [])
    said = [*left_out, *_remarks_on(arms, pairs, unit), *_arm_warnings(arms), *search_warnings(arms, settled)]
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
        varied=varied(arms),
    )


def _over(over: Over, unit: Unit) -> str:
    """Return the sentence that says what a verdict over examples is about.

    Raises:
        HpsearchError: The unit is another than the seed, whose examples are not the same for all.

    """
    if unit is not Unit.SEED:
        raise HpsearchError(f"over={over} needs runs that are told apart by seeds; here the unit is the {unit.noun}")
    population, _ = DECIDED_OVER[over]
    counted = "the test example" if over is Over.EXAMPLES else "the seed and the test example"
    return f"The verdict is about {population}, as asked for: the unit of replication is {counted}."


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
    """List what a reader must know about the runs before any number."""
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
    """Warn of arms that were trained for different lengths: all of them ended, so that it is no reason not to test."""
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


MOST_NAMED = 5
"""Units, runs or pairs named one by one in a line."""
_COUNTED_ELSEWHERE = ("pruned", "diverged", "ran out of memory", "ran out of time", "failed", "its process was lost")
"""Ends of runs of which a warning about the whole arm tells."""


def _remarks_on(arms: Sequence[Arm], pairs: Sequence[PairResult], unit: Unit) -> list[str]:
    """Return the lines: on keys, on runs that are one unit, on runs and units that do not count."""
    return [
        *(f"{arm.name}: {arm.void}" for arm in arms if arm.void is not None),
        *(_on_duplicates(arm) for arm in arms if arm.merged),
        *_on_units(arms, unit),
        *(line for arm in arms for line in _on_dropped(arm)),
        *_on_pairs(arms, pairs, unit),
    ]


def _on_duplicates(arm: Arm) -> str:
    told = _some([f"{each.keys} ({_some(each.runs)})" for each in arm.merged], ending="; ")
    by = "" if all(each.alike for each in arm.merged) else "; their settings differ, and --by would tell them apart"
    return f"{arm.name}: several runs of one unit count as their mean: {told}{by}"


def _on_units(arms: Sequence[Arm], unit: Unit) -> Iterator[str]:
    """Tell of units that are the mean of several runs which are no duplicates, as a fold is of its seeds."""
    told = [
        f"{arm.name} {len(arm.observations)} runs on {unit.counted(len(arm.cells))}"
        for arm in arms
        if any(len(cells) > 1 for cells in arm.cells.values())
    ]
    if told:
        yield f"the runs of one {unit.noun} are averaged, as they are no further {unit.plural}: {_some(told)}"


def _on_dropped(arm: Arm) -> Iterator[str]:
    reasons = Counter(each.why.partition(":")[0] for each in arm.dropped)
    told = [f"{why} ({count})" for why, count in reasons.items() if why not in _COUNTED_ELSEWHERE]
    if told:
        count = sum(count for why, count in reasons.items() if why not in _COUNTED_ELSEWHERE)
        total = len(arm.dropped) + len(arm.observations) + len(arm.trials)
        yield f"{arm.name}: {count} of {total} runs do not count: {_some(told)}"


def _on_pairs(arms: Sequence[Arm], pairs: Sequence[PairResult], unit: Unit) -> Iterator[str]:
    """Name the units and runs without a partner, and pairs in which only one side notes its seeds."""
    if unit is Unit.TRIAL:
        return
    by_name = {arm.name: arm for arm in arms}
    lines: list[str] = []
    for pair in pairs:
        a, b = by_name[pair.a], by_name[pair.b]
        if not (a.observations and b.observations):
            continue
        paired = pair_up(a, b, unit)
        if pair.paired:
            lines += _left_out(a, b, paired, unit)
        elif unit is Unit.SEED and _noted(a) != _noted(b):
            without = b if _noted(a) else a
            lines.append(f"{a.name} and {b.name} are not paired: no seed is noted with {without.name}")
    yield from lines[:MOST_NAMED]
    if len(lines) > MOST_NAMED:
        yield f"{len(lines) - MOST_NAMED} more pairs are made of a part of the runs: their notes say of which"


def _left_out(a: Arm, b: Arm, paired: Paired, unit: Unit) -> Iterator[str]:
    alone = [(arm.name, only) for arm, only in ((a, paired.only_a), (b, paired.only_b)) if only]
    if alone and paired.labels:
        told = " and ".join(f"{_some([_titled(each, unit) for each in only])} of {name}" for name, only in alone)
        yield f"{a.name} and {b.name}: left out, because without a partner: {told}"
    if a.deterministic != b.deterministic:
        return
    parts = [key for key in paired.keys if a.cells[key].keys() != b.cells[key].keys()]
    sharing = [label(key) for key in parts if a.cells[key].keys() & b.cells[key].keys()]
    apart = [label(key) for key in parts if label(key) not in sharing]
    if sharing:
        yield f"{a.name} and {b.name}: only the runs that both have count on {_some(sharing)}"
    if apart and any(len(arm.cells[key]) > 1 for arm in (a, b) for key in parts):
        yield f"{a.name} and {b.name}: each side's own mean counts on {_some(apart)}, where they share no run"


def _titled(name: str, unit: Unit) -> str:
    return f"seed {name}" if unit is Unit.SEED and name.lstrip("-").isdigit() else name


def _noted(arm: Arm) -> bool:
    return any(each.seed is not None for each in arm.observations)


def _some(names: Iterable[str], *, ending: str = ", ") -> str:
    listed = list(names)
    more = f" and {len(listed) - MOST_NAMED} more" if len(listed) > MOST_NAMED else ""
    return ending.join(listed[:MOST_NAMED]) + more
