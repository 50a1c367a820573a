"""The two tables of a comparison as text: what each experiment scored, and what each pair's test says."""

from dataclasses import dataclass

from hpsearch.comparing.comparison import Comparison, ExperimentSummary, PairResult, Verdict
from hpsearch.comparing.conclusion import METHODS, interval_note, open_end, percent, true_to_level
from hpsearch.comparing.statistics.adjustment import Hold
from hpsearch.records import Goal
from hpsearch.report.wording import UNKNOWN, number

SCORE_TITLES = ("experiment", "n", "mean ± sd", "95% interval", "median", "IQM", "range")
PAIR_TITLES = ("a", "b", "verdict", "a − b", "interval", "p", "adjusted p", "effect", "test")
MOST_DECIMALS = 8
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
    return [ScoreRow(_score_cells(each), each.name == best, each.name in level) for each in ranked]


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


def _score_cells(each: ExperimentSummary) -> tuple[str, ...]:
    values = (each.mean, each.sd, *(each.ci95 or ()), each.minimum, each.maximum)
    digits = decimals(each.sd, *(value for value in values if value is not None))
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
    return [PairRow(_pair_cells(pair, comparison.alpha), pair.verdict) for pair in comparison.pairs]


def _pair_cells(pair: PairResult, alpha: float) -> tuple[str, ...]:
    shown = pair.shown_difference
    digits = _pair_decimals(pair)
    difference = UNKNOWN if shown is None else fixed(shown, digits, sign="+")
    none = f"none: identical values, n = {pair.n}" if pair.identical else UNKNOWN
    test = none if pair.test is None else f"{pair.test}{_freedom(pair)}, n = {pair.n}"
    return (
        *(pair.a, pair.b, _verdict(pair), difference, _interval(pair, digits)),
        *(p_value(pair.p, level=alpha), p_value(pair.p_adjusted, level=alpha), _effect(pair), test),
    )


def _pair_decimals(pair: PairResult) -> int:
    """Return after how many decimals to stop: two digits of the spread, and as many as show each end's side of 0."""
    if pair.ci_adjusted is None:
        return decimals(None, pair.shown_difference)
    low, high = pair.ci_adjusted
    digits = decimals((high - low) / 4, pair.shown_difference)
    near = [end for end, other in ((low, high), (high, low)) if end and not open_end(end, other)]
    while digits <= MOST_DECIMALS and not all(round(end, digits) for end in near):
        digits += 1
    return digits


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

    A number beyond all digits of a double is `1.235e+30`.
    """
    small, large = digits > MOST_DECIMALS, abs(value) >= LARGEST_IN_FULL
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
