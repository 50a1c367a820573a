"""The comparison in plain sentences: what is better than what, by how much, how sure, and what would make it surer."""

import math
from collections.abc import Sequence

from hpsearch.comparing.comparison import Comparison, ExpectedBest, PairResult, Verdict
from hpsearch.comparing.pairs import CONFIRM
from hpsearch.comparing.question import Test, Unit
from hpsearch.comparing.statistics.adjustment import Hold
from hpsearch.comparing.statistics.arrays import NEXT_TO_ZERO, SAME
from hpsearch.comparing.statistics.expected_best import WITH_REPLACEMENT

METHODS = {
    "holm": "Holm's method",
    "hommel": "Hommel's method",
    "bh": "Benjamini and Hochberg's method (for screening)",
    "none": "nothing",
}
"""How a family of tests is adjusted, in words."""


def conclude(comparison: Comparison) -> tuple[str, ...]:
    """Return the sentences a report opens with: the whole first, then each pair, then what the numbers rest on."""
    return tuple(sentence for sentence in (headline(comparison), *details(comparison)) if sentence)


def details(comparison: Comparison) -> tuple[str, ...]:
    """Return the sentences below the headline."""
    pairs = [said for pair in comparison.pairs for said in (pair_sentence(pair, comparison), _beyond(pair, comparison))]
    return tuple(sentence for sentence in (*pairs, *_search_sentences(comparison), _basis(comparison)) if sentence)


def _beyond(pair: PairResult, comparison: Comparison) -> str:
    """Say what holds over further test examples, where scores by example were kept."""
    if pair.over_examples is None:
        return ""
    several = len(comparison.pairs) > 1 and comparison.adjust != "none"
    return pair.over_examples.sentence(pair.a, pair.b, adjust=comparison.adjust if several else "")


def headline(comparison: Comparison) -> str:
    """Name the best on average, what it beats, and what it does not differ from significantly; or return ""."""
    ranked = [each for each in comparison.experiments if each.mean is not None and each.n]
    if len(ranked) == 1 and comparison.unit is not Unit.TRIAL:
        return f"Only {ranked[0].name} has runs that count: there is nothing to compare it with."
    if not ranked or comparison.unit is Unit.TRIAL or comparison.baseline is not None:
        return ""
    best = max(ranked, key=lambda each: comparison.goal.sign * (each.mean or 0.0))
    tied = [each.name for each in ranked if math.isclose(each.mean or 0.0, best.mean or 0.0, rel_tol=SAME)]
    if len(tied) == len(ranked):
        if comparison.pairs and all(pair.identical for pair in comparison.pairs):
            return f"{listed(tied)} have identical values of {comparison.metric} in every pair: nothing can be tested."
        return f"{listed(tied)} have the same mean {comparison.metric}, {short(best.mean)}."
    against: dict[str, list[str]] = {}
    for pair in comparison.pairs:
        if best.name in (pair.a, pair.b):
            other = pair.b if pair.a == best.name else pair.a
            against.setdefault(_standing(pair, best.name), []).append(other)
    parts = [f"{best.name} has the best mean {comparison.metric}, {short(best.mean)}"]
    parts += [f"{words} {listed(against[words])}" for words in _STANDINGS if words in against]
    return "; ".join(parts) + "."


_BEATS, _LOSES = "it is better than", "by ranks it is worse than"
_EQUALS, _OPEN, _UNTESTED = "equivalent to", "not shown to differ from", "not tested against"
_STANDINGS = (_BEATS, _LOSES, _EQUALS, _OPEN, _UNTESTED)


def _standing(pair: PairResult, name: str) -> str:
    """Describe one side of a pair relative to the other, in the words of the headline."""
    if pair.verdict is Verdict.NOT_TESTABLE:
        return _UNTESTED
    if pair.verdict is Verdict.EQUIVALENT:
        return _EQUALS
    if pair.verdict is Verdict.NOT_ENOUGH_EVIDENCE:
        return _OPEN
    return _BEATS if pair.verdict is (Verdict.BETTER if pair.a == name else Verdict.WORSE) else _LOSES


def pair_sentence(pair: PairResult, comparison: Comparison) -> str:
    """Return one sentence about a pair; the better one of two comes first."""
    if pair.verdict is Verdict.NOT_TESTABLE:
        why = pair.notes[-1] if pair.notes else "there is nothing to test"
        shown = "" if pair.mean_difference is None else f" (difference {short(pair.mean_difference)})"
        return f"{pair.a} and {pair.b} cannot be tested{shown}: {why}."
    if pair.identical:
        return f"Not enough evidence that {pair.a} differs from {pair.b}: {pair.notes[-1]}."
    difference, interval = pair.shown_difference or 0.0, pair.ci_adjusted
    first, second = pair.a, pair.b
    ahead = comparison.goal.sign * difference >= 0
    if pair.verdict is Verdict.WORSE or (pair.verdict is not Verdict.BETTER and not ahead):
        first, second, difference = second, first, -difference
        interval = None if interval is None else (-interval[1], -interval[0])
    shown = f"{short(abs(difference))}{_range(difference, interval, _interval_words(pair, comparison))}"
    if pair.verdict in (Verdict.BETTER, Verdict.WORSE):
        won = f"{first} is better than {second}"
        if pair.hodges_lehmann is None:
            return f"{won} by {shown}; {_sureness(pair, comparison)}."
        return f"{won} by ranks{_by_ranks(pair, first, shown, comparison)}; {_sureness(pair, comparison)}."
    if pair.verdict is Verdict.EQUIVALENT and pair.equivalence is not None:
        return (
            f"{first} and {second} are equivalent: they differ by {shown}, which is within "
            f"±{short(pair.equivalence.margin)} ({p_text(pair.equivalence.p)} for a larger difference)."
        )
    more = f"{_sureness(pair, comparison)}{_what_would_do(pair, comparison)}"
    said = f": it is ahead by {shown}"
    if pair.hodges_lehmann is not None:
        said = _by_ranks(pair, first, shown, comparison)
    return f"Not enough evidence that {first} is better than {second}{said}; {more}."


def _by_ranks(pair: PairResult, first: str, shown: str, comparison: Comparison) -> str:
    """Continue a sentence with the typical difference and the mean one, which a single data set may turn."""
    mean = (pair.mean_difference or 0.0) * (1 if first == pair.a else -1)
    ahead = comparison.goal.sign * mean >= 0
    if ahead:
        return f": it is ahead by {short(abs(mean))} in the mean, and the typical difference is {shown}"
    return f", though its mean is behind by {short(abs(mean))}: the typical difference is {shown}"


def _range(difference: float, interval: tuple[float, float] | None, words: str = "95% interval") -> str:
    """Return the interval of a difference that is shown without its sign."""
    if interval is None:
        return ""
    low, high = interval if difference >= 0 else (-interval[1], -interval[0])
    ends = (open_end(value, other) or short(value) for value, other in ((low, high), (high, low)))
    return f" ({words} {' to '.join(ends)})"


def open_end(value: float, other: float) -> str:
    """Describe an open interval end at 0, or return "" for any other end."""
    if 0 < abs(value) < NEXT_TO_ZERO * abs(other):
        return "just above 0" if value > 0 else "just below 0"
    return ""


def _interval_words(pair: PairResult, comparison: Comparison) -> str:
    """Return the name of the interval that agrees with a pair's verdict."""
    sides = 2 if pair.verdict is Verdict.EQUIVALENT else 1
    own, whole = percent(pair.ci_adjusted_level or 0.0), percent(1 - sides * comparison.alpha)
    return {
        Hold.ALONE: f"{own} interval" + (" of this pair alone" if comparison.family_size > 1 else ""),
        Hold.TOGETHER: f"simultaneous {whole} interval",
        Hold.STEP: f"{own} interval at the level of its step",
        Hold.DECLARED: f"{whole} interval after {comparison.adjust}",
    }[pair.basis.holds]


def _sureness(pair: PairResult, comparison: Comparison) -> str:
    level = comparison.alpha
    adjusted = f", {p_text(pair.p_adjusted, level)} after {comparison.adjust}" if comparison.family_size > 1 else ""
    adjusted = "" if comparison.adjust == "none" else adjusted
    units = _units(pair, comparison)
    return f"{pair.test}, two-sided, {units}, {p_text(pair.p, level)}{adjusted}"


def _units(pair: PairResult, comparison: Comparison) -> str:
    seeds = f"{pair.n} {comparison.unit.plural}" + (" shared" if pair.paired and comparison.unit is Unit.SEED else "")
    examples = "" if pair.over_examples is None else f"{pair.over_examples.examples} test examples"
    if pair.test is Test.OVER_EXAMPLES:
        return examples
    return f"{seeds} and {examples}" if pair.test is Test.OVER_BOTH else seeds


def _what_would_do(pair: PairResult, comparison: Comparison) -> str:
    if pair.seeds_needed is None:
        return ""
    each = "" if pair.paired else " each"
    return (
        f"; about {pair.seeds_needed} {comparison.unit.plural}{each} would show a difference of this size, "
        "if it is the true one"
    )


def _search_sentences(comparison: Comparison) -> list[str]:
    """Compare searches at the largest number of trials that all of them have."""
    curves: dict[str, list[ExpectedBest]] = {}
    for point in comparison.expected_best:
        if point.estimator == WITH_REPLACEMENT:
            curves.setdefault(point.name, []).append(point)
    if not curves:
        return []
    shared = set.intersection(*({point.n for point in curve} for curve in curves.values()))
    n = max(shared)
    shown = [
        f"{name} {short(point.mean)}{_range(1.0, point.band)}"
        for name, curve in curves.items()
        for point in curve
        if point.n == n
    ]
    sentences = [f"The expected best {comparison.metric} of {n} {'trial' if n == 1 else 'trials'}: {'; '.join(shown)}."]
    sentences += [
        f"The best score of {each.name}, {short(each.best)} of {each.n} trials, overstates what a new run of it gives, "
        f"by up to {short(each.bias)} (all of it, if the trials differ by chance only)."
        for each in comparison.optimism
    ]
    return [*sentences, f"Trials of a search are not tested; {CONFIRM}."]


def _basis(comparison: Comparison) -> str:
    tests = (
        f" {comparison.family_size} tests, adjusted by {METHODS[comparison.adjust]}."
        if comparison.family_size > 1
        else ""
    )
    return comparison.unit_reason + tests + _equivalence_family(comparison)


def _equivalence_family(comparison: Comparison) -> str:
    if not any(pair.equivalence for pair in comparison.pairs):
        return ""
    return (
        " Equivalence is a separate family of tests: claims of a difference together keep the error rate of "
        f"{comparison.alpha:.3g}, and so do claims of equivalence."
    )


def interval_note(comparison: Comparison) -> str:
    """Describe the coverage of the intervals in a table of pairs, or return "" if there are none."""
    pairs = [pair for pair in comparison.pairs if pair.ci_adjusted is not None]
    differences = [pair for pair in pairs if pair.verdict is not Verdict.EQUIVALENT]
    whole, parts = percent(1 - comparison.alpha), []
    for holds, pair in {pair.basis.holds: pair for pair in differences}.items():
        own = percent(pair.ci_adjusted_level or 0.0)
        parts.append(
            {
                Hold.ALONE: f"intervals of {own}" + (", each of its pair alone" if comparison.family_size > 1 else ""),
                Hold.TOGETHER: f"intervals that hold together at {whole} (each has {own})",
                Hold.STEP: f"intervals of pairs that a later step of {METHODS[comparison.adjust]} decided at its level",
                Hold.DECLARED: f"intervals of {own}: of those that exclude 0 at most {percent(comparison.alpha)} miss",
            }[holds]
        )
    if len(differences) < len(pairs):
        parts.append("intervals of equivalent pairs belong to the two one-sided tests")
    if any(pair.hodges_lehmann is not None for pair in differences):
        parts.append("differences of signed ranks are Hodges and Lehmann's")
    return "; ".join(parts)


def listed(names: Sequence[str]) -> str:
    """Return `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def short(value: float | None) -> str:
    """Return a number with four significant digits."""
    return "unknown" if value is None else f"{value:.4g}"


def percent(share: float) -> str:
    """Return `95%`, `99.17%`."""
    return f"{100 * share:.4g}%"


def p_text(p: float | None, level: float | None = None) -> str:
    """Return `p = 0.0123`, or `p < 0.0001`: a p is never shown as 0, nor on the other side of its level."""
    if p is None:
        return "no p"
    return "p < 0.0001" if p < 1e-4 else f"p = {true_to_level(f'{p:.3g}', p, level)}"


def true_to_level(text: str, p: float, level: float | None) -> str:
    """Return a p as it is rounded, with more digits where it would come to lie on the other side of the level."""
    digits = 2
    while level is not None and (float(text) <= level) != (p <= level):
        digits += 1
        text = f"{p:.{digits}g}"
    return text
