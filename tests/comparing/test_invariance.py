"""A claim follows the data alone: not the order of rows, the names of arms and units, the unit or sign of a metric."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hpsearch.comparing import Question, compare_runs
from hpsearch.comparing.comparison import Comparison, Interval, PairResult, Verdict
from hpsearch.records import FinishedRun, Goal, Measurement
from tests.comparing.arms import METRIC, run

ARMS = ("a", "b", "c")
TURNED = {Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER}


def seeds(place: int) -> dict[str, Any]:
    return {"seed": place}


def folds(place: int) -> dict[str, Any]:
    return {"fold": place}


def five_by_two(place: int) -> dict[str, Any]:
    return {"repeat": place // 2, "fold": place % 2}


def data_sets(place: int) -> dict[str, Any]:
    return {"dataset": f"d{place}"}


def two_seeds_a_data_set(place: int) -> dict[str, Any]:
    return {"dataset": f"d{place // 2}", "seed": place % 2}


UNITS: dict[str, tuple[Callable[[int], dict[str, Any]], int, int]] = {
    "seeds": (seeds, 2, 18),
    "folds": (folds, 2, 10),
    "five by two": (five_by_two, 10, 10),
    "data sets": (data_sets, 2, 20),
    "data sets of two seeds": (two_seeds_a_data_set, 4, 16),
}


@st.composite
def tables(draw: st.DrawFn) -> list[FinishedRun]:
    """Return the runs of three arms: a coarse scale gives ties and zeros; one arm may have seeds of its own."""
    design = draw(st.sampled_from([*UNITS, "seeds of their own", "a baseline without a seed"]))
    keys, fewest, most = UNITS.get(design, UNITS["seeds"])
    n = 2 * (draw(st.integers(fewest, most)) // 2)
    digits = draw(st.sampled_from([1, 2, 6]))
    scores = st.floats(0.3, 0.9).map(lambda value: round(value, digits))
    found = []
    for arm in ARMS:
        gain = draw(st.sampled_from([0.0, 0.0, 0.1, 0.5]))
        start = 100 if design == "seeds of their own" and arm == "c" else 0
        if design == "a baseline without a seed" and arm == "c":
            found.append(run(arm, draw(scores), deterministic=True))
            continue
        found += [run(arm, round(draw(scores) + gain, 9), **keys(start + place)) for place in range(n)]
    return found


OPTIONS = st.fixed_dictionaries(
    {
        "margin": st.sampled_from([None, 0.05, 0.3]),
        "adjust": st.sampled_from(["holm", "hommel", "bh", "none"]),
        "alpha": st.sampled_from([0.05, 0.2]),
        "baseline": st.sampled_from([None, None, "b"]),
    }
)
Table = tuple[list[FinishedRun], dict[str, Any]]


def compared(runs: Sequence[FinishedRun], options: dict[str, Any], goal: Goal = Goal.MAXIMIZE) -> Comparison:
    return compare_runs(runs, Question(METRIC, goal, **options))


def claims(comparison: Comparison, *, names: dict[str, str] | None = None, factor: float = 1.0) -> dict[str, Any]:
    """Return what is said of each two arms, turned so that they stand in one order, in units of `factor`."""
    names = names or {}
    return dict(_claim(pair, names, factor) for pair in comparison.pairs)


def _claim(pair: PairResult, names: dict[str, str], factor: float) -> tuple[str, Any]:
    a, b = names.get(pair.a, pair.a), names.get(pair.b, pair.b)
    sign = 1.0 if a < b else -1.0

    def scaled(value: float | None) -> float | None:
        return None if value is None else sign * value / factor

    def interval(found: Interval | None) -> tuple[float | None, ...] | None:
        return None if found is None else tuple(map(scaled, found[:: int(sign)]))

    verdict = pair.verdict if sign > 0 else TURNED.get(pair.verdict, pair.verdict)
    equivalence = pair.equivalence
    numbers = [pair.p, pair.p_adjusted, pair.seeds_needed, pair.further.power, *(each.p for each in pair.also)]
    numbers += [equivalence.p if equivalence else None, scaled(pair.mean_difference), scaled(pair.hodges_lehmann)]
    numbers += [pair.p_superiority if sign > 0 else 1 - (pair.p_superiority or 0.0)]
    rope = (
        pair.further.rope
        and (pair.further.rope.worse, pair.further.rope.within, pair.further.rope.better)[:: int(sign)]
    )
    said = {"verdict": verdict, "test": pair.test, "n": pair.n, "level": pair.ci_adjusted_level}
    said |= {"numbers": numbers, "rope": rope, "ci95": interval(pair.ci95), "adjusted": interval(pair.ci_adjusted)}
    return f"{min(a, b)} {max(a, b)}", said


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for pair, said in expected.items():
        for name, value in said.items():
            assert close(found[pair][name], value), (pair, name, found[pair][name], value)


def close(found: Any, expected: Any) -> bool:
    if isinstance(expected, list | tuple):
        return isinstance(found, list | tuple) and all(map(close, found, expected))
    if isinstance(expected, float) and isinstance(found, float):
        return math.isclose(found, expected, rel_tol=1e-6, abs_tol=1e-9)
    return bool(found == expected)


def changed(runs: Sequence[FinishedRun], change: Callable[[float], float]) -> list[FinishedRun]:
    return [replace(each, metrics={METRIC: Measurement(change(each.metrics[METRIC].value), 10)}) for each in runs]


laws = settings(deadline=None, derandomize=True, max_examples=40)


@laws
@given(tables(), OPTIONS, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(runs: list[FinishedRun], options: dict[str, Any], by: random.Random) -> None:
    shuffled = by.sample(runs, len(runs))
    assert_same(claims(compared(shuffled, options)), claims(compared(runs, options)))


@laws
@given(tables(), OPTIONS)
def test_the_names_of_arms_change_nothing(runs: list[FinishedRun], options: dict[str, Any]) -> None:
    names = {"a": "zeta", "b": "1_0", "c": "None"}
    renamed = [replace(each, experiment=names[each.experiment], run=f"run of {each.run}") for each in runs]
    asked = options | {"baseline": names.get(options["baseline"])}
    back = {new: old for old, new in names.items()}
    assert_same(claims(compared(renamed[::-1], asked), names=back), claims(compared(runs, options)))


@laws
@given(tables(), OPTIONS)
def test_other_seeds_and_other_names_of_data_sets_change_nothing(
    runs: list[FinishedRun], options: dict[str, Any]
) -> None:
    """Seeds 3 n + 5 in the place of n; data sets in the reverse order of their names."""

    def renamed(each: FinishedRun) -> FinishedRun:
        seed = None if each.seed is None else 3 * int(each.seed) + 5
        dataset = None if each.dataset is None else f"set {100 - int(str(each.dataset)[1:])}"
        return replace(each, seed=seed, dataset=dataset)

    assert_same(claims(compared([*map(renamed, runs)], options)), claims(compared(runs, options)))


@laws
@given(tables(), OPTIONS)
def test_an_error_that_is_minimised_is_a_score_that_is_maximised(
    runs: list[FinishedRun], options: dict[str, Any]
) -> None:
    turned = compared(changed(runs, lambda value: -value), options, Goal.MINIMIZE)
    assert [pair.verdict for pair in turned.pairs] == [pair.verdict for pair in compared(runs, options).pairs]
    assert_same(claims(turned, factor=-1.0), mirrored(claims(compared(runs, options))))


def mirrored(said: dict[str, Any]) -> dict[str, Any]:
    """Return claims with the ends of their intervals exchanged, as dividing by -1 leaves them."""
    ends = ("ci95", "adjusted")
    return {pair: each | {name: each[name] and each[name][::-1] for name in ends} for pair, each in said.items()}


@laws
@given(tables(), OPTIONS, st.sampled_from([1e-12, 1e12, 100.0, 0.37]))
def test_the_metric_s_unit_changes_nothing(runs: list[FinishedRun], options: dict[str, Any], unit: float) -> None:
    asked = options | {"margin": options["margin"] and options["margin"] * unit}
    scaled = compared(changed(runs, lambda value: value * unit), asked)
    assert_same(claims(scaled, factor=unit), claims(compared(runs, options)))


@laws
@given(tables(), OPTIONS, st.sampled_from([-1.0, 7.0]))
def test_what_is_added_to_all_scores_changes_nothing(
    runs: list[FinishedRun], options: dict[str, Any], added: float
) -> None:
    moved = compared(changed(runs, lambda value: value + added), options)
    assert_same(claims(moved), claims(compared(runs, options)))


@settings(deadline=None, derandomize=True, max_examples=120)
@given(tables(), OPTIONS)
def test_an_interval_never_contradicts_its_verdict(runs: list[FinishedRun], options: dict[str, Any]) -> None:
    for pair in compared(runs, options).pairs:
        if pair.ci_adjusted is None:
            continue
        low, high = pair.ci_adjusted
        if pair.verdict in TURNED:
            assert low > 0 or high < 0
        elif pair.verdict is Verdict.EQUIVALENT:
            assert -options["margin"] <= low <= high <= options["margin"]
        else:
            assert low <= 0 <= high
        if pair.ci95 is not None and pair.p is not None and pair.test != "wilcoxon":
            assert (pair.ci95[0] <= 0 <= pair.ci95[1]) == (pair.p > 0.05)
