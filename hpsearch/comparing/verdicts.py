"""From the raw p of all pairs to verdicts: the family's adjustment, equivalence, and what would do (rules 5, 7)."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hpsearch.comparing.comparison import PairResult, Verdict
from hpsearch.comparing.question import Over, SettledQuestion, Test, Unit
from hpsearch.comparing.statistics.adjustment import Hold, adjusted, interval_rates, strictest_level
from hpsearch.comparing.statistics.arrays import LEVEL, as_array
from hpsearch.comparing.statistics.crossed import Population
from hpsearch.comparing.statistics.power import (
    data_sets_needed,
    paired_power,
    pairs_needed,
    runs_needed,
    signed_rank_power,
    unpaired_power,
)

POWER = 0.8
"""The chance to see a difference that is really there, for which seeds are counted."""


def family_size(pairs: Sequence[PairResult]) -> int:
    """Return the number of tests that were made."""
    return sum(pair.p is not None for pair in pairs)


def judge(pairs: Sequence[PairResult], question: SettledQuestion) -> tuple[PairResult, ...]:
    """Return the pairs with adjusted p, equivalence, verdict, its interval and, where evidence lacks, the seeds needed.

    Differences and equivalences are two families, each adjusted to alpha.
    """
    tested = [pair for pair in pairs if pair.p is not None]
    differences = iter(_family([pair.p for pair in tested if pair.p is not None], question))
    margins = [pair.equivalence for pair in tested if pair.equivalence is not None]
    equivalences = iter(_family([each.p for each in margins if each.p is not None], question))
    judged = []
    for pair in pairs:
        if pair.p is None:
            verdict = Verdict.NOT_ENOUGH_EVIDENCE if pair.identical else Verdict.NOT_TESTABLE
            judged.append(replace(pair, verdict=verdict))
            continue
        p, rate = next(differences)
        if pair.equivalence is not None:
            larger, larger_rate = next(equivalences)
            within = larger <= question.alpha
            pair = replace(pair, equivalence=replace(pair.equivalence, equivalent=within))  # noqa: PLW2901 -- filled in
            rate = larger_rate if within else rate
        judged.append(_with_interval(_judged(replace(pair, p_adjusted=p), question, len(tested)), *rate))
    return _with_populations(judged, question.adjust)


def _with_populations(pairs: Sequence[PairResult], adjust: str) -> tuple[PairResult, ...]:
    """Adjust the p of further data for the pairs that have one: those of each population are a family of their own."""
    told: list[dict[Population, float]] = [{} for _ in pairs]
    for population in Population:
        own = [
            (place, pair.over_examples.populations[population].p)
            for place, pair in enumerate(pairs)
            if pair.over_examples is not None and population in pair.over_examples.populations
        ]
        for (place, _), p in zip(own, adjusted([p for _, p in own], method=adjust), strict=True):
            told[place][population] = p
    return tuple(
        pair if pair.over_examples is None else replace(pair, over_examples=pair.over_examples.adjusted(own))
        for pair, own in zip(pairs, told, strict=True)
    )


def _family(p_values: Sequence[float], question: SettledQuestion) -> list[tuple[float, tuple[float, Hold]]]:
    """Return each test's adjusted p, with the error rate of its interval and for what that holds."""
    p_adjusted = adjusted(p_values, method=question.adjust)
    rates = interval_rates(p_values, p_adjusted, method=question.adjust, alpha=question.alpha)
    return list(zip(p_adjusted, rates, strict=True))


def _with_interval(pair: PairResult, rate: float, holds: Hold) -> PairResult:
    """Add the interval that agrees with the verdict; that of two one-sided tests misses at their rate on each side."""
    basis = replace(pair.basis, holds=holds)
    if pair.verdict is Verdict.EQUIVALENT and basis.student is not None:
        level = 1 - 2 * rate
        return replace(pair, ci_adjusted=basis.student.at(level), ci_adjusted_level=level, basis=basis)
    if basis.inversion is None:
        return pair
    level, notes = 1 - rate, pair.notes
    interval = pair.ci95 if level == LEVEL else basis.inversion.at(level)
    if interval is None and pair.test is Test.WILCOXON:
        few = pair.smallest_possible_p is not None and pair.smallest_possible_p > rate
        why = f"signed ranks of {pair.n} data sets reject" + (" no difference" if few else " every single difference")
        notes = (*notes, f"no {100 * level:.4g}% interval: {why}")
    return replace(pair, ci_adjusted=interval, ci_adjusted_level=level, basis=basis, notes=notes)


def _judged(pair: PairResult, question: SettledQuestion, family: int) -> PairResult:
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
    if not significant or not pair.basis.direction:
        pair = replace(pair, verdict=Verdict.NOT_ENOUGH_EVIDENCE, notes=tuple(notes))
        return _with_seeds(pair, question, level)
    verdict = Verdict.BETTER if pair.basis.direction * question.sign > 0 else Verdict.WORSE
    return replace(pair, verdict=verdict, notes=tuple(notes))


def _too_few(pair: PairResult, smallest: float, level: float) -> str:
    if pair.test is Test.WILCOXON:
        return f"{pair.n} data sets cannot give a p below {smallest:.3g}; {level:.3g} is asked for"
    kind = "sign-flip" if pair.paired else "rank"
    return (
        f"a {kind} test of so few runs cannot give a p below {smallest:.3g}, and {level:.3g} is asked for: "
        f"what the {pair.test} says rests on the assumption of normal values"
    )


def _with_seeds(pair: PairResult, question: SettledQuestion, level: float) -> PairResult:
    """Add how many units would show the observed difference with power 0.8, and the power of what was done."""
    if question.over is not Over.SEEDS:
        return pair  # more of which would do is not known
    effect = pair.effect.value if pair.effect is not None else None
    if question.unit is Unit.FOLD or pair.test is Test.CORRECTED_T:
        note = "more folds of the same data would hardly help, because they overlap; other data or fresh seeds would"
        if question.unit is Unit.SEARCH:
            note = "more searches on divisions of the same data help little, because these overlap; other data would"
        return replace(pair, notes=(*pair.notes, note))
    if effect is None or not math.isfinite(effect) or not pair.mean_difference:
        return replace(pair, notes=(*pair.notes, "no difference was observed: no number of runs would show it"))
    if pair.test is Test.WILCOXON:
        needed = data_sets_needed(effect, alpha=level, power=POWER)
        power = signed_rank_power(effect, pair.n, alpha=level)
    elif pair.paired:
        needed = pairs_needed(effect, alpha=level, power=POWER)
        power = paired_power(effect, pair.n, alpha=level)
    else:
        a, b = as_array(pair.values.a), as_array(pair.values.b)
        spreads = float(np.std(a, ddof=1)), float(np.std(b, ddof=1))
        needed = runs_needed(pair.mean_difference, spreads, alpha=level, power=POWER)
        power = unpaired_power(pair.mean_difference, spreads, (len(a), len(b)), alpha=level)
    if needed is None:
        note = "the observed difference is so small that more than 100,000 runs would be needed to show it"
    else:
        wanted = f"{needed} {question.unit.plural}"
        note = f"{wanted} would show a difference of this size with power {POWER:g}, if it is the true one"
    further = replace(pair.further, power=power)
    return replace(pair, seeds_needed=needed, further=further, notes=(*pair.notes, note))
