"""A comparison over seeds and examples, where the runs kept their scores by example."""

from dataclasses import replace

import numpy as np
import pytest

from hpsearch.comparing.background import Background
from hpsearch.comparing.comparison import Verdict
from hpsearch.comparing.conclusion import conclude
from hpsearch.comparing.question import Over, over_named
from hpsearch.comparing.statistics.crossed import Population, crossed
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.records import ExampleScores, FinishedRun
from hpsearch.report.comparison.methods import with_methods
from tests.comparing.arms import compare, run

METRIC = "test/accuracy"


def _runs(
    name: str, scores: np.ndarray, *, start: int = 0, clusters: tuple[str, ...] | None = None
) -> list[FinishedRun]:
    names = tuple(map(str, range(scores.shape[1])))
    return [
        replace(
            run(name, float(row.mean()), seed=start + seed),
            by_example=ExampleScores(names, {METRIC: tuple(row.tolist())}, clusters),
        )
        for seed, row in enumerate(scores)
    ]


def _scores(seed: int, shift: float = 0.0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    shared = np.random.default_rng(0).normal(size=40)
    return shift + shared + generator.normal(size=(5, 1)) * 0.2 + generator.normal(size=(5, 40))


A, B = _scores(1, 0.6), _scores(2)


def test_the_intervals_are_those_of_the_crossed_analysis_whatever_the_order_of_runs_and_examples() -> None:
    expected = crossed(A, B)
    runs = [*_runs("a", A), *_runs("b", B)]
    found = compare(runs).pairs[0]
    assert found.over_examples is not None
    assert (found.over_examples.examples, found.over_examples.seeds) == (40, (5, 5))
    for population in Population:
        own = found.over_examples.populations[population]
        assert own.ci95 == pytest.approx(expected.interval(population))
    assert found.over_examples.populations[Population.SEEDS].p == pytest.approx(found.p)  # what the verdict is about
    (said,) = [sentence for sentence in conclude(compare(runs)) if "40 test examples" in sentence]
    assert "for further seeds on further data" in said
    assert "for these trained models on further data" in said

    order = np.random.default_rng(3).permutation(40)
    turned = runs[7].by_example
    assert turned is not None
    runs[7] = replace(
        runs[7],
        by_example=ExampleScores(
            tuple(turned.names[place] for place in order),
            {METRIC: tuple(turned.values[METRIC][place] for place in order)},
        ),
    )
    again = compare(runs[::-1]).pairs[0].over_examples
    assert again is not None
    low, high = again.populations[Population.BOTH].ci95
    expected_ends = expected.interval(Population.BOTH)
    assert expected_ends is not None
    assert sorted([abs(low), abs(high)]) == pytest.approx(sorted(map(abs, expected_ends)))


def test_clusters_seeds_of_their_own_and_methods_without_a_seed() -> None:
    clusters = tuple(f"subject {place // 4}" for place in range(40))
    found = compare([*_runs("a", A, clusters=clusters), *_runs("b", B, clusters=clusters)]).pairs[0].over_examples
    assert found is not None
    assert found.clusters == 10
    expected = crossed(A, B, clusters=np.arange(40) // 4).interval(Population.BOTH)
    assert found.populations[Population.BOTH].ci95 == pytest.approx(expected)

    unpaired = compare([*_runs("a", A), *_runs("b", B, start=10)]).pairs[0].over_examples
    assert unpaired is not None
    expected = crossed(A, B, paired=False).interval(Population.BOTH)
    assert unpaired.populations[Population.BOTH].ci95 == pytest.approx(expected)

    (classical,) = _runs("b", B[:1])
    against = compare([*_runs("a", A), replace(classical, seed=None, deterministic=True)]).pairs[0].over_examples
    assert against is not None
    assert against.populations[Population.BOTH].ci95 == pytest.approx(crossed(A, B[:1]).interval(Population.BOTH))


def test_p_over_further_data_is_adjusted_for_all_pairs() -> None:
    """Three arms: Holm (1979) by hand over the three pairs, for each population by itself."""
    runs = [*_runs("a", A), *_runs("b", B), *_runs("c", _scores(3, 0.4))]
    comparison = compare(runs)
    for population in Population:
        found = [pair.over_examples.populations[population] for pair in comparison.pairs if pair.over_examples]
        raw, expected, largest = [own.p for own in found], {}, 0.0
        for place, p in enumerate(sorted(raw)):
            largest = max(largest, min(1.0, (3 - place) * p))
            expected[p] = largest
        assert [own.p_adjusted for own in found] == pytest.approx([expected[p] for p in raw])
    assert [
        pair.over_examples.populations[Population.SEEDS].p_adjusted for pair in comparison.pairs if pair.over_examples
    ] == (pytest.approx([pair.p_adjusted for pair in comparison.pairs]))
    said = [sentence for sentence in conclude(comparison) if "40 test examples" in sentence]
    assert all("after holm" in sentence for sentence in said)
    assert "after" not in next(each for each in conclude(compare(runs[:10])) if "40 test examples" in each)
    alone = compare(runs, adjust="none").pairs[0].over_examples
    assert alone is not None
    assert all(own.p_adjusted == own.p for own in alone.populations.values())


@pytest.mark.parametrize(
    ("over", "population", "units"),
    [
        (Over.EXAMPLES, Population.EXAMPLES, "40 test examples"),
        (Over.BOTH, Population.BOTH, "5 seeds shared and 40 test examples"),
    ],
)
def test_a_verdict_may_be_about_further_examples_and_says_so(over: Over, population: Population, units: str) -> None:
    runs = [*_runs("a", A), *_runs("b", B), *_runs("c", _scores(3, 0.4))]
    comparison, seeds = compare(runs, over=over, margin=5.0), compare(runs)
    expected = [crossed(x, y) for x, y in ((A, B), (A, _scores(3, 0.4)), (B, _scores(3, 0.4)))]
    found = [analysis.tested(population) for analysis in expected]
    assert [pair.p for pair in comparison.pairs] == pytest.approx([each.p for each in found if each])
    assert [pair.ci95 for pair in comparison.pairs] == [pytest.approx(each.interval(population)) for each in expected]
    assert [pair.p_adjusted for pair in comparison.pairs] == pytest.approx(
        [each.over_examples.populations[population].p_adjusted for each in seeds.pairs if each.over_examples]
    )
    assert comparison.family_size == 3
    assert {pair.verdict for pair in comparison.pairs} == {"equivalent"}  # within 5, a margin that nothing reaches
    assert [pair.also[0].p for pair in comparison.pairs] == [pair.p for pair in seeds.pairs]
    assert str(population) in comparison.unit_reason
    methods = with_methods(comparison, runs, Background()).methods
    assert methods is not None
    assert "it decided nothing" not in " ".join(methods.paragraphs.values())
    assert f"two-sided, {units}, p" in " ".join(conclude(compare(runs, over=over)))
    for pair in compare(runs, over=over, alpha=0.2).pairs:  # the interval agrees with the verdict
        low, high = pair.ci_adjusted or (0.0, 0.0)
        assert (pair.verdict in ("better", "worse")) == (not low <= 0 <= high)


def test_without_scores_by_example_nothing_is_said_of_further_data() -> None:
    runs = [replace(each, by_example=None) for each in (*_runs("a", A), *_runs("b", B))]
    pair = compare(runs, over=Over.BOTH).pairs[0]
    assert (pair.p, pair.verdict, pair.ci95) == (None, "not testable", None)
    assert pair.notes[-1] == (
        "nothing can be said of further seeds on further data: not all runs have scores of the same test examples"
    )
    alone = compare([*_runs("a", A[:1]), *_runs("b", B[:1])], over=Over.BOTH).pairs[0]
    assert alone.notes[-1].endswith("a single seed, or a single cluster of examples, shows no variance")
    assert compare([*_runs("a", A[:1]), *_runs("b", B[:1])], over=Over.EXAMPLES).pairs[0].p is not None
    with pytest.raises(HpsearchError, match="here the unit is the fold"):
        compare([run(name, 0.1 * fold, fold=fold) for name in "ab" for fold in range(3)], over=Over.BOTH)
    with pytest.raises(UnknownNameError, match="known: both, examples, seeds"):
        over_named("example")


def test_one_run_of_each_has_an_interval_over_further_data_alone() -> None:
    found = compare([*_runs("a", A[:1]), *_runs("b", B[:1])]).pairs[0]
    assert found.over_examples is not None
    assert found.over_examples.populations.keys() == {Population.EXAMPLES}
    assert found.p is None


@pytest.mark.parametrize("start", [0, 10])  # a seed that the other side has, too, or none
def test_one_run_against_several_has_an_interval_over_further_data_alone(start: int) -> None:
    """One seed of a network is no method without a seed: nobody knows how much its seeds vary."""
    found = compare([*_runs("a", A), *_runs("b", B[:1], start=start)], over=Over.BOTH).pairs[0]
    assert found.over_examples is not None
    assert found.over_examples.populations.keys() == {Population.EXAMPLES}
    assert (found.p, found.verdict) == (None, Verdict.NOT_TESTABLE)


def test_a_verdict_over_examples_has_no_note_that_nothing_can_be_tested() -> None:
    found = compare([*_runs("a", A[:1]), *_runs("b", B[:1])], over=Over.EXAMPLES).pairs[0]
    assert found.p is not None
    assert not any("n = 1" in note for note in found.notes)


def test_runs_without_them_or_with_other_examples_have_none() -> None:
    whole = [*_runs("a", A), *_runs("b", B)]
    plain = replace(whole[0], by_example=None)
    assert compare([plain, *whole[1:]]).pairs[0].over_examples is None
    other = ExampleScores(tuple(map(str, range(39))), {METRIC: tuple(A[0, :39].tolist())})
    assert compare([replace(whole[0], by_example=other), *whole[1:]]).pairs[0].over_examples is None
    shown = compare([replace(each, by_example=None) for each in whole]).pairs[0]
    assert "over_examples" not in shown.to_json()
    assert set(compare(whole).to_json()["pairs"][0]["over_examples"]) == {
        *("examples", "clusters", "seeds", "mean_difference", "populations")
    }
