"""Arms that were searched several times: the search is the unit, its seeds are averaged, and divisions that overlap."""

import numpy as np
import pytest
from scipy import stats

from hpsearch.comparing.comparison import Comparison
from hpsearch.comparing.conclusion import conclude
from hpsearch.comparing.question import Unit
from hpsearch.errors import HpsearchError
from hpsearch.records import FinishedRun
from tests.comparing.arms import compare, run


def searched(experiment: str, scores: np.ndarray, **keys: object) -> list[FinishedRun]:
    """Return a run for each of (searches, seeds) scores; seeds of one number are the same in all arms."""
    return [
        run(experiment, float(value), seed=f"{search}.{seed}", search_number=search, trial=7 * search, **keys)
        for search, row in enumerate(scores, 1)
        for seed, value in enumerate(row)
    ]


def scores(
    generator: np.random.Generator, searches: int, seeds: int, *, of_search: float, of_seed: float
) -> np.ndarray:
    return generator.normal(0, of_search, (searches, 1)) + generator.normal(0, of_seed, (searches, seeds))


A, B = (0.8 + scores(np.random.default_rng(seed), 4, 5, of_search=0.02, of_seed=0.01) for seed in (1, 2))


def test_it_is_the_paired_t_of_the_searches_means() -> None:
    comparison = compare([*searched("a", A), *searched("b", B)])
    (pair,) = comparison.pairs
    expected = stats.ttest_rel(A.mean(axis=1), B.mean(axis=1))
    assert (comparison.unit, pair.paired, pair.n, pair.df) == (Unit.SEARCH, True, 4, 3)
    assert pair.p == pytest.approx(expected.pvalue, rel=1e-9)
    low, high = expected.confidence_interval()
    assert pair.ci95 == pytest.approx((low, high))
    assert [each.values for each in comparison.experiments] == [pytest.approx(each.mean(axis=1)) for each in (A, B)]
    said = " ".join(conclude(comparison))
    assert "paired t, two-sided, 4 searches" in said
    assert "the claim is about further searches with further seeds" in said
    assert [each.name for each in comparison.experiments] == ["a", "b"]  # winners of other numbers are no other arms
    assert not any("different configurations" in warning for warning in comparison.warnings)


def test_searches_of_other_numbers_are_not_paired() -> None:
    other = [
        run("b", each.metrics["test/accuracy"].value, seed=f"b{each.seed}", search_number=f"b{each.search_number}")
        for each in searched("b", B)
    ]
    (pair,) = compare([*searched("a", A), *other]).pairs
    expected = stats.ttest_ind(A.mean(axis=1), B.mean(axis=1), equal_var=False)
    assert (pair.test, pair.n) == ("welch t", 8)
    assert pair.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert "not paired: no search is shared" in pair.notes


def test_searches_on_divisions_of_their_own_are_tested_by_the_corrected_t() -> None:
    """Nadeau and Bengio's correction of a resampled division: variance (1/n + test/train) s^2."""
    runs = [
        run(
            name,
            float(value),
            seed=search,
            search_number=search,
            fold=f"division {search}",
            train_size=60,
            test_size=20,
        )
        for name, values in (("a", A), ("b", B))
        for search, value in enumerate(values[:, 0], 1)
    ]
    comparison = compare(runs)
    (pair,) = comparison.pairs
    differences = A[:, 0] - B[:, 0]
    statistic = differences.mean() / (differences.var(ddof=1) * (1 / 4 + 20 / 60)) ** 0.5
    assert (comparison.unit, pair.test) == (Unit.SEARCH, "corrected resampled t")
    assert pair.p == pytest.approx(2 * stats.t.sf(abs(statistic), 3), rel=1e-9)
    assert "the tests are corrected" in comparison.unit_reason
    plain = stats.t.interval(0.95, 3, A[:, 0].mean(), stats.sem(A[:, 0]))
    low, high = comparison.experiments[0].ci95 or (0.0, 0.0)
    assert high - low == pytest.approx((plain[1] - plain[0]) * (1 + 4 * 20 / 60) ** 0.5)


def test_divisions_without_partners_are_not_tested_and_are_said_once() -> None:
    sizes = {"train_size": 60, "test_size": 20}
    a, b = (
        [run(name, 0.8 + each / 100, seed=each, search_number=each, fold=f"division {each}", **sizes) for each in own]
        for name, own in (("a", range(1, 5)), ("b", range(5, 9)))
    )
    comparison = compare([*a, *b])
    assert comparison.pairs[0].p is None
    assert "no test is corrected for that" in comparison.pairs[0].notes[-1]
    assert "fold" not in comparison.varied


def test_a_method_without_a_seed_is_compared_with_every_search_and_an_arm_searched_once_with_none() -> None:
    fixed = run("fixed", 0.75, deterministic=True)
    (pair,) = compare([*searched("a", A), fixed]).pairs
    assert pair.n == 4
    assert pair.p == pytest.approx(stats.ttest_1samp(A.mean(axis=1), 0.75).pvalue, rel=1e-9)
    once = [run("once", 0.7 + seed / 100, seed=f"1.{seed}") for seed in range(5)]
    comparison = compare([*searched("a", A), *once])
    assert comparison.pairs[0].p is None
    assert "one run of once: its chance cannot be estimated" in comparison.pairs[0].notes[-1]


def test_seeds_may_be_asked_for_and_the_report_says_what_that_is_worth() -> None:
    comparison = compare([*searched("a", A), *searched("b", B)], unit="seed")
    assert comparison.pairs[0].n == 20
    assert "p is too small for anything about the methods" in comparison.unit_reason
    with pytest.raises(HpsearchError, match="no run has a search"):
        compare([run("a", 0.1, seed=0), run("b", 0.2, seed=0)], unit="search")


def rejections(unit: str, times: int, *, searches: int = 4, seeds: int = 5) -> int:
    """Return in how many of the simulations without a difference two arms are told apart at 5%."""
    generator, found = np.random.default_rng(0), 0
    for _ in range(times):
        pair = _compared(generator, unit, searches, seeds).pairs[0]
        found += pair.p is not None and pair.p <= 0.05
    return found


def _compared(generator: np.random.Generator, unit: str, searches: int, seeds: int) -> Comparison:
    a, b = (scores(generator, searches, seeds, of_search=0.02, of_seed=0.005) for _ in range(2))
    return compare([*searched("a", a), *searched("b", b)], unit=unit)


@pytest.mark.slow
def test_where_searches_vary_more_than_seeds_the_error_rate_holds_and_pooled_seeds_exceed_it() -> None:
    times = 400
    low, high = stats.binom.interval(0.999, times, 0.05)
    assert low <= rejections("auto", times) <= high
    assert rejections("seed", 100) > 4 * 0.05 * 100
