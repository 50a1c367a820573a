"""From the raw p of all pairs to verdicts: the family's adjustment, equivalence, and what would do (rules 5, 7)."""

import math
from collections.abc import Sequence
from dataclasses import replace

from hpsearch.compare.comparison import Unit
from hpsearch.compare.pair_result import PairResult, Verdict
from hpsearch.compare.question import Question
from hpsearch.compare.statistics.adjustment import adjusted
from hpsearch.compare.statistics.power import paired_power, pairs_needed, runs_needed, unpaired_power

POWER = 0.8
"""The chance to see a difference that is really there, for which seeds are counted."""
WILCOXON_EFFICIENCY = 3 / math.pi
"""Of the signed ranks against the t test, for normal differences (Lehmann 1975)."""


def family_size(pairs: Sequence[PairResult]) -> int:
    """Return the number of tests that were made."""
    return sum(pair.p is not None for pair in pairs)


def judge(pairs: Sequence[PairResult], question: Question) -> tuple[PairResult, ...]:
    """Return the pairs with adjusted p, equivalence, verdict and, where evidence lacks, the seeds needed."""
    tested = [pair for pair in pairs if pair.p is not None]
    p_values = adjusted([pair.p for pair in tested if pair.p is not None], method=question.adjust)
    margins = [pair.equivalence for pair in tested if pair.equivalence is not None]
    equivalences = adjusted([each.p for each in margins if each.p is not None], method=question.adjust)
    by_p, by_margin = iter(p_values), iter(equivalences)
    judged = []
    for pair in pairs:
        if pair.p is None:
            verdict = Verdict.NOT_ENOUGH_EVIDENCE if pair.identical else Verdict.NOT_TESTABLE
            judged.append(replace(pair, verdict=verdict))
            continue
        if pair.equivalence is not None:
            within = next(by_margin) <= question.alpha
            pair = replace(pair, equivalence=replace(pair.equivalence, equivalent=within))  # noqa: PLW2901 -- filled in
        judged.append(_judged(replace(pair, p_adjusted=next(by_p)), question, len(tested)))
    return tuple(judged)


def _judged(pair: PairResult, question: Question, family: int) -> PairResult:
    significant = pair.p_adjusted is not None and pair.p_adjusted <= question.alpha
    notes = list(pair.notes)
    if pair.equivalence is not None and pair.equivalence.equivalent:
        if significant:
            notes.append("the difference is there, but smaller than the margin")
        return replace(pair, verdict=Verdict.EQUIVALENT, notes=tuple(notes))
    level = strictest_level(question.alpha, question.adjust, family)
    smallest = pair.smallest_possible_p
    if smallest is not None and smallest > level:
        notes.append(_too_few(pair, smallest, level))
    if not significant or not pair.mean_difference:
        pair = replace(pair, verdict=Verdict.NOT_ENOUGH_EVIDENCE, notes=tuple(notes))
        return _with_seeds(pair, question, level)
    sign = pair.mean_difference if pair.test != "wilcoxon" else _rank_balance(pair)
    verdict = Verdict.BETTER if sign * question.sign > 0 else Verdict.WORSE
    return replace(pair, verdict=verdict, notes=tuple(notes))


def strictest_level(alpha: float, adjust: str, family: int) -> float:
    """Return the level that a raw p must reach when all other tests of the family show nothing."""
    return alpha / family if adjust in ("holm", "hommel") else alpha


def _rank_balance(pair: PairResult) -> float:
    """Return a number with the sign of the signed ranks' sum: it is what Wilcoxon's test speaks of."""
    order = sorted(pair.differences, key=abs)
    balance = sum(math.copysign(rank, difference) for rank, difference in enumerate(order, 1) if difference)
    return balance or pair.mean_difference or 0.0


def _too_few(pair: PairResult, smallest: float, level: float) -> str:
    if pair.test == "wilcoxon":
        return f"{pair.n} data sets cannot give a p below {smallest:.3g}; {level:.3g} is asked for"
    kind = "sign-flip" if pair.paired else "rank"
    return (
        f"a {kind} test of so few runs cannot give a p below {smallest:.3g}, and {level:.3g} is asked for: "
        f"what the {pair.test} says rests on the assumption of normal values"
    )


def _with_seeds(pair: PairResult, question: Question, level: float) -> PairResult:
    """Add how many units would show the observed difference with power 0.8, and the power of what was done."""
    effect = pair.effect.value if pair.effect is not None else None
    if question.unit is Unit.FOLD:
        note = "more folds of the same data would hardly help, because they overlap; other data or fresh seeds would"
        return replace(pair, notes=(*pair.notes, note))
    if effect is None or not math.isfinite(effect) or effect == 0:
        return replace(pair, notes=(*pair.notes, "no difference was observed: no number of runs would show it"))
    if pair.paired:
        needed = pairs_needed(effect, alpha=level, power=POWER)
        power = paired_power(effect, pair.n, alpha=level)
    else:
        needed = runs_needed(effect, alpha=level, power=POWER)
        power = unpaired_power(effect, *_sizes(pair), alpha=level)
    if needed is not None and pair.test == "wilcoxon":
        fewest = 1 - math.log2(level)  # below, not even equal signs throughout would do
        needed = math.ceil(max(needed / WILCOXON_EFFICIENCY, fewest))
    if needed is None:
        note = "the observed difference is so small that more than 100,000 runs would be needed to show it"
    else:
        noun = "data sets" if question.unit is Unit.DATASET else "seeds"
        note = f"{needed} {noun} would show a difference of this size with power {POWER:g}, if it is the true one"
    return replace(pair, seeds_needed=needed, power=power, notes=(*pair.notes, note))


def _sizes(pair: PairResult) -> tuple[int, int]:
    return len(pair.a_values), len(pair.b_values)
