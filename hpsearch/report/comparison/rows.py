"""The two tables of a comparison as text: what each experiment scored, and what each pair's test says."""

from collections.abc import Sequence
from dataclasses import dataclass

from hpsearch.comparing.comparison import Comparison, ExperimentSummary, PairResult, Verdict
from hpsearch.comparing.conclusion import METHODS, interval_note, open_end, percent, true_to_level
from hpsearch.comparing.statistics.adjustment import Hold
from hpsearch.records import Goal
from hpsearch.report.wording import UNKNOWN, number

SCORE_TITLES = ("experiment", "n", "mean ± sd", "95% interval", "median", "IQM", "range")
PAIR_TITLES = ("a", "b", "verdict", "a − b", "interval", "p", "adjusted p", "effect", "test")
MOST_DECIMALS = 8
MORE_DECIMALS = 3
"""By so many decimals a column has more than the row of the largest spread needs."""
MOST_NAMED, LONGEST_NAMES = 4, 80
"""Experiments that a title names, and the characters that their names may have."""
LARGEST_IN_FULL = 1e15
LEVEL_WITH_BEST = "equivalent to it, or not shown to differ from it"
"""What the mark of a score row says that is level with the best."""
_SYMBOLS = {"d_z": "d_z", "hedges_g": "g"}


@dataclass(frozen=True)
class ScoreRow:
    """One experiment; `best` has the best mean, `level` is equivalent to it or not shown to differ."""

    cells: tuple[str, ...]
    best: bool
    level: bool


@dataclass(frozen=True)
class PairRow:
    """One pair."""

    cells: tuple[str, ...]
    verdict: Verdict


def score_rows(comparison: Comparison) -> list[ScoreRow]:
    """Return a row for each experiment, with the titles SCORE_TITLES; the best first."""
    ranked = ranking(comparison)
    best = ranked[0].name if ranked and ranked[0].mean is not None else None
    level = _not_told_apart(comparison, best) if best else set()
    digits = _common([_score_decimals(each) for each in ranked if each.n])
    return [ScoreRow(_score_cells(each, digits), each.name == best, each.name in level) for each in ranked]


def _common(digits: Sequence[int]) -> int:
    """Return one number of decimals for a column, whose rows are read against one another; spreads differ by little."""
    return min(max(digits, default=2), min(digits, default=2) + MORE_DECIMALS)


def ranking(comparison: Comparison) -> list[ExperimentSummary]:
    """Return the experiments by their means, the best first, those without one last."""
    return sorted(
        comparison.experiments, key=lambda each: (each.mean is None, -comparison.goal.sign * (each.mean or 0.0))
    )


def _not_told_apart(comparison: Comparison, best: str) -> set[str]:
    """Return the experiments that were tested against the best one and not found to differ from it."""
    open_verdicts = (Verdict.NOT_ENOUGH_EVIDENCE, Verdict.EQUIVALENT)
    pairs = [pair for pair in comparison.pairs if best in (pair.a, pair.b) and pair.verdict in open_verdicts]
    return {pair.b if pair.a == best else pair.a for pair in pairs}


def _score_decimals(each: ExperimentSummary) -> int:
    values = (each.mean, each.sd, *(each.ci95 or ()), each.minimum, each.maximum)
    return decimals(each.sd, *(value for value in values if value is not None))


def _score_cells(each: ExperimentSummary, digits: int) -> tuple[str, ...]:
    shown = [UNKNOWN if value is None else fixed(value, digits) for value in (each.median, each.iqm)]
    spread = "" if each.sd is None else f" ± {fixed(each.sd, digits)}"
    mean = UNKNOWN if each.mean is None else f"{fixed(each.mean, digits)}{spread}"
    return (each.name, str(each.n), mean, _range(each.ci95, digits), *shown, _extremes(each, digits))


def _extremes(each: ExperimentSummary, digits: int) -> str:
    if each.minimum is None or each.maximum is None:
        return UNKNOWN
    return f"{fixed(each.minimum, digits)} to {fixed(each.maximum, digits)}"


def pair_rows(comparison: Comparison) -> list[PairRow]:
    """Return a row for each pair, with the titles PAIR_TITLES."""
    digits = _common([_pair_decimals(pair) for pair in comparison.pairs if pair.shown_difference is not None])
    return [PairRow(_pair_cells(pair, comparison.alpha, digits), pair.verdict) for pair in comparison.pairs]


def shared_notes(comparison: Comparison) -> list[str]:
    """Return each note of the pairs once, with the pairs that it holds for."""
    holders: dict[str, list[str]] = {}
    for pair in comparison.pairs:
        for note in dict.fromkeys(pair.notes):
            holders.setdefault(note, []).append(f"{pair.a} and {pair.b}")
    count = len(comparison.pairs)
    return [
        f"{'all pairs' if 1 < count == len(pairs) else ', '.join(pairs)}: {note}" for note, pairs in holders.items()
    ]


def headline(comparison: Comparison) -> str:
    """Return a title that says what is compared by what."""
    names = [each.name for each in comparison.experiments]
    if len(names) > MOST_NAMED or sum(map(len, names)) > LONGEST_NAMES:
        return f"{len(names)} experiments by {comparison.metric}"
    return f"{' and '.join([', '.join(names[:-1]), names[-1]] if len(names) > 1 else names)} by {comparison.metric}"


def _pair_cells(pair: PairResult, alpha: float, digits: int) -> tuple[str, ...]:
    shown = pair.shown_difference
    difference = UNKNOWN if shown is None else fixed(shown, digits, sign="+")
    none = f"none: identical values, n = {pair.n}" if pair.identical else UNKNOWN
    test = none if pair.test is None else f"{pair.test}{_freedom(pair)}, n = {pair.n}"
    return (
        *(pair.a, pair.b, _verdict(pair), difference, _interval(pair, digits)),
        *(p_value(pair.p, level=alpha), p_value(pair.p_adjusted, level=alpha), _effect(pair), test),
    )


def _pair_decimals(pair: PairResult) -> int:
    """Return after how many decimals to stop: two digits of the spread."""
    if pair.ci_adjusted is None:
        return decimals(None, pair.shown_difference)
    low, high = pair.ci_adjusted
    return decimals((high - low) / 4, pair.shown_difference)


def _interval(pair: PairResult, digits: int) -> str:
    """Return the interval that agrees with the verdict, with its own level where that is not the table's."""
    said = _range(pair.ci_adjusted, digits)
    own = pair.verdict is Verdict.EQUIVALENT or pair.basis.holds is Hold.STEP
    return f"{said} ({percent(pair.ci_adjusted_level)})" if own and pair.ci_adjusted_level else said


def _freedom(pair: PairResult) -> str:
    """Return the statistic with its degrees of freedom."""
    if pair.statistic is None:
        return ""
    df = pair.df
    inside = ", ".join(number(each) for each in df) if isinstance(df, tuple) else None if df is None else number(df)
    statistic = number(pair.statistic).replace("-", "−")
    return f" {statistic}" + (f" (df {inside})" if inside else "")


def _effect(pair: PairResult) -> str:
    effect = pair.effect
    if effect is None or effect.value is None:
        return UNKNOWN
    interval = "" if effect.ci95 is None else f" [{effect.ci95[0]:.2f}, {effect.ci95[1]:.2f}]".replace("-", "−")
    return f"{_SYMBOLS.get(effect.name, effect.name)} = {effect.value:.2f}".replace("-", "−") + interval


def _verdict(pair: PairResult) -> str:
    if pair.verdict is Verdict.BETTER:
        return f"{pair.a} is better"
    if pair.verdict is Verdict.WORSE:
        return f"{pair.b} is better"
    needed = f" (about {pair.seeds_needed} would do)" if pair.seeds_needed is not None else ""
    return f"{pair.verdict}{needed}"


def p_value(p: float | None, *, level: float | None = None) -> str:
    """Return a p-value; it is never shown as 0, nor on the other side of the level that it was held against."""
    if p is None:
        return UNKNOWN
    return "< 0.0001" if p < 1e-4 else true_to_level(f"{p:.2g}" if p < 0.1 else f"{p:.2f}", p, level)


def decimals(spread: float | None, *values: float | None) -> int:
    """Return after how many decimals to stop: two digits of the spread, or four of the largest value."""
    scale = spread or max((abs(value) for value in values if value), default=1.0) / 100
    text = f"{scale:.1e}"
    return max(0, 1 - int(text.partition("e")[2]))


def fixed(value: float, digits: int, *, sign: str = "") -> str:
    """Return a number with a proper minus and `digits` decimals; as `1.23e-12` where that were more than 8.

    So is one that would be shown as 0 and is not: it would lose its sign. One beyond all digits of a double is
    `1.235e+30`.
    """
    lost = value != 0 and round(value, max(digits, 0)) == 0
    small, large = digits > MOST_DECIMALS or lost, abs(value) >= LARGEST_IN_FULL
    form = f"{sign}.3g" if small else f"{sign}.4g" if large else f"{sign}.{digits}f"
    return f"{value:{form}}".replace("-", "−")


def _range(interval: tuple[float, float] | None, digits: int) -> str:
    if interval is None:
        return UNKNOWN
    ends = (open_end(*each) or fixed(each[0], digits) for each in (interval, interval[::-1]))
    return " to ".join(ends)


def dropped_rows(comparison: Comparison) -> list[tuple[str, str, str]]:
    """Return (experiment, run, why) for every run that does not count."""
    return [(each.name, run.run, run.why) for each in comparison.experiments for run in each.runs_dropped]


def caption(comparison: Comparison) -> str:
    """Return the table's caption: metric, unit, tests, level and adjustment."""
    tests = sorted({pair.test for pair in comparison.pairs if pair.test is not None and pair.p is not None})
    goal = "higher is better" if comparison.goal is Goal.MAXIMIZE else "lower is better"
    parts = [f"{comparison.metric} ({goal}), n counts {comparison.unit.plural}"]
    if tests:
        parts.append(f"two-sided {' and '.join(tests)}, level {comparison.alpha:g}")
        adjusted = f"{comparison.family_size} tests, adjusted by {METHODS[comparison.adjust]}"
        parts.append(adjusted if comparison.family_size > 1 else "a single test, with nothing to adjust for")
    if note := interval_note(comparison):
        parts.append(note)
    if comparison.family_size > 1 and any(pair.effect and pair.effect.ci95 for pair in comparison.pairs):
        parts.append("effects with 95% intervals, each of its pair alone")
    return "; ".join(parts) + "."
