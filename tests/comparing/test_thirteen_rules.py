"""The thirteen rules that hold by default, a test each (the numbers are those of the design)."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from hpsearch.comparing.comparison import Verdict
from hpsearch.comparing.conclusion import conclude
from hpsearch.comparing.question import Unit
from hpsearch.records import FinishedRun, Outcome
from tests.comparing.arms import METRIC, compare, run, seeds, trials

OLD = [0.900, 0.912, 0.895, 0.921, 0.907]
NEW = [0.921, 0.928, 0.917, 0.944, 0.925]


def grid(experiment: str, values: np.ndarray) -> list[FinishedRun]:
    """Return a run for each (repeat, fold) of an array."""
    return [
        run(experiment, float(value), repeat=repeat, fold=fold)
        for repeat, row in enumerate(values)
        for fold, value in enumerate(row)
    ]


def test_rule_1_the_unit_of_replication_is_chosen_first_and_printed() -> None:
    several = [run(name, 0.9, dataset=data, fold=fold, seed=0) for name in "ab" for data in "xy" for fold in range(3)]
    found = {
        Unit.SEED: compare(seeds("a", OLD) + seeds("b", NEW)),
        Unit.FOLD: compare(grid("a", np.ones((1, 3))) + grid("b", np.ones((1, 3)))),
        Unit.DATASET: compare(several),
        Unit.TRIAL: compare(trials("a", OLD) + trials("b", NEW)),
    }
    for unit, comparison in found.items():
        assert comparison.unit is unit
        assert comparison.unit_reason.startswith("The unit of replication is the ")
        assert any(comparison.unit_reason in sentence for sentence in conclude(comparison))
    assert compare(several, unit="fold").unit is Unit.FOLD
    assert compare(several).pairs[0].n == 2  # two data sets, not six runs


def test_rule_2_pairs_go_by_value_and_dropped_runs_by_name() -> None:
    shuffled = [seeds("new", NEW)[index] for index in (3, 0, 4, 1, 2)]
    failed = run("old", 0.5, seed=5, outcome=Outcome.FAILED, reason="disk full")
    others = [
        run("old", 0.2, seed=6, outcome=Outcome.PRUNED),
        run("old", 0.6, seed=2, run="again"),
        run("new", None, seed=7),
    ]
    comparison = compare(shuffled + seeds("old", OLD) + [failed, *others])
    (pair,) = comparison.pairs
    means = [*OLD[:2], (OLD[2] + 0.6) / 2, *OLD[3:]]
    assert pair.values.differences == pytest.approx(np.subtract(NEW, means))
    assert pair.values.units == ("0", "1", "2", "3", "4")
    assert comparison.warnings[0] == ("old: several runs of one unit count as their mean: seed 2 (again, old seed2)")
    new, old = comparison.experiments
    assert [(each.run, each.why) for each in old.runs_dropped] == [
        ("old seed5", "failed: disk full"),
        ("old seed6", "pruned: its value is of a smaller budget"),
    ]
    assert [(each.run, each.why) for each in new.runs_dropped] == [("new seed7", f"has no {METRIC}")]
    partial = compare(seeds("new", [*NEW, 0.99]) + seeds("old", OLD)).pairs[0]
    assert (partial.n, partial.notes[0]) == (5, "left out, because without a partner: 5 of new")


def test_rule_3_trials_chosen_by_the_metric_are_never_tested() -> None:
    comparison = compare(trials("a", np.linspace(0.5, 0.9, 25)) + trials("b", np.linspace(0.7, 0.99, 25)))
    (pair,) = comparison.pairs
    assert (pair.p, pair.test, pair.verdict, comparison.family_size) == (None, None, Verdict.NOT_TESTABLE, 0)
    assert "hpsearch confirm" in pair.notes[0]
    assert any("hpsearch confirm" in sentence for sentence in conclude(comparison))
    assert {point.name for point in comparison.expected_best} == {"a", "b"}
    mixed = compare(trials("a", [0.1, 0.99]) + seeds("a", OLD) + seeds("b", NEW))
    assert mixed.pairs[0].values.a == tuple(OLD)
    assert any("2 trials were chosen by a metric" in warning for warning in mixed.warnings)


def test_rule_4_folds_are_corrected() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.normal(0.9, 0.02, (1, 10)), generator.normal(0.88, 0.02, (1, 10))
    (pair,) = compare(grid("a", a) + grid("b", b)).pairs
    naive = stats.ttest_rel(a[0], b[0])
    assert (pair.test, pair.df) == ("corrected resampled t", 9)
    assert pair.statistic == pytest.approx(naive.statistic / math.sqrt(1 + 10 / 9))
    assert pair.further.rope is not None
    assert pair.further.rope.worse == pytest.approx((pair.p or 0) / 2)
    sized = [replace(each, train_size=80, test_size=20) for each in grid("a", a) + grid("b", b)]
    assert compare(sized).pairs[0].statistic == pytest.approx(naive.statistic / math.sqrt(1 + 10 * 0.25))
    halves = generator.normal(0.9, 0.02, (5, 2)), generator.normal(0.88, 0.02, (5, 2))
    halved = grid("a", halves[0]) + grid("b", halves[1])
    (two,) = compare(halved).pairs
    assert (two.test, two.df) == ("5x2cv F", (10, 5))
    assert [each.test for each in two.also] == ["5x2cv t", "corrected resampled t"]
    assert two.basis.method == "5x2cv F"  # the interval is that of the test that decides
    assert any("equivalence is tested by the corrected" in note for note in compare(halved, margin=0.1).pairs[0].notes)
    low, high = two.ci95 or (0.0, 0.0)
    assert (low < 0 < high) == ((two.p or 0) > 0.05)


def test_rule_5_holm_over_every_pair_shown() -> None:
    runs = seeds("a", OLD) + seeds("b", NEW) + seeds("c", [0.905, 0.915, 0.9, 0.92, 0.9])
    comparison = compare(runs)
    raw = [pair.p or 1 for pair in comparison.pairs]
    order = np.argsort(raw)
    expected = np.maximum.accumulate([(3 - rank) * raw[index] for rank, index in enumerate(order)])
    assert comparison.family_size == 3
    assert [comparison.pairs[index].p_adjusted for index in order] == pytest.approx(np.minimum(expected, 1))
    with_baseline = compare(runs, baseline="a")
    assert [(pair.a, pair.b) for pair in with_baseline.pairs] == [("b", "a"), ("c", "a")]
    assert with_baseline.family_size == 2
    alike = compare([each for name in "abcd" for each in seeds(name, np.random.default_rng(ord(name)).normal(size=5))])
    assert all((pair.p_adjusted or 0) <= 1 for pair in alike.pairs)
    unadjusted = compare(runs, adjust="none")
    assert [pair.p_adjusted for pair in unadjusted.pairs] == [pair.p for pair in unadjusted.pairs]


def test_rule_6_over_data_sets_the_pairs_do_not_depend_on_the_pool() -> None:
    generator = np.random.default_rng(3)
    scores = {name: generator.normal(0.8 + 0.03 * (name == "a"), 0.03, 14) for name in "abcde"}
    runs = {name: [run(name, float(v), dataset=f"d{i}") for i, v in enumerate(scores[name])] for name in scores}
    pool = compare([each for name in runs for each in runs[name]])
    two = compare(runs["a"] + runs["b"])
    assert pool.pairs[0].test == "wilcoxon"
    assert (pool.pairs[0].p, pool.pairs[0].statistic) == (two.pairs[0].p, two.pairs[0].statistic)
    assert pool.across_datasets is not None
    assert pool.across_datasets.nemenyi_cd == pytest.approx(
        2.728 * math.sqrt(5 * 6 / (6 * 14)), abs=2e-3
    )  # Demsar, table 5
    assert sum(pool.across_datasets.average_ranks.values()) == pytest.approx(15)
    friedman = stats.friedmanchisquare(*scores.values())
    assert pool.across_datasets.friedman.statistic == pytest.approx(friedman.statistic)


def test_rule_7_not_significant_is_not_equal() -> None:
    close = seeds("a", OLD) + seeds("b", [0.901, 0.911, 0.8955, 0.9205, 0.9075])
    open_verdict = compare(close).pairs[0]
    assert open_verdict.verdict is Verdict.NOT_ENOUGH_EVIDENCE
    assert open_verdict.seeds_needed is not None
    assert open_verdict.seeds_needed > 5
    shown = compare(close, margin=0.01)
    assert shown.pairs[0].verdict is Verdict.EQUIVALENT
    assert shown.pairs[0].equivalence is not None
    assert shown.pairs[0].equivalence.equivalent
    assert "equivalent" in conclude(shown)[1]
    assert compare(close, margin=0.0001).pairs[0].verdict is Verdict.NOT_ENOUGH_EVIDENCE
    assert compare(seeds("b", NEW) + seeds("a", OLD)).pairs[0].verdict is Verdict.BETTER
    assert compare(seeds("a", OLD) + seeds("b", NEW)).pairs[0].verdict is Verdict.WORSE


def test_the_data_sets_that_would_do_are_enough_for_the_signed_ranks() -> None:
    scores = {"a": [0.80, 0.60, 0.90, 0.50, 0.70, 0.30], "b": [0.70, 0.50, 0.72, 0.40, 0.60, 0.20]}
    scores["c"] = [0.40, 0.19, 0.43, 0.12, 0.30, -0.11]
    runs = [run(name, value, dataset=f"d{at}") for name, values in scores.items() for at, value in enumerate(values)]
    for pair in compare(runs).pairs:  # six signs give p = 1/32 at best, three tests ask for 0.05 / 3, seven give 1/64
        assert pair.verdict is Verdict.NOT_ENOUGH_EVIDENCE
        assert pair.seeds_needed is None or pair.seeds_needed >= 7


def test_equal_means_are_called_equal_and_one_experiment_alone_is_said() -> None:
    swapped = compare(seeds("a", [0.5, 0.75]) + seeds("b", [0.75, 0.5]))
    assert conclude(swapped)[0] == f"a and b have the same mean {METRIC}, 0.625."
    identical = compare(seeds("a", OLD) + seeds("b", OLD))
    assert conclude(identical)[0] == f"a and b have identical values of {METRIC} in every pair: nothing can be tested."
    assert conclude(compare(seeds("a", OLD)))[0].startswith("Only a has runs that count")


def test_rule_8_every_p_comes_with_what_it_needs() -> None:
    over_data_sets = compare([run(n, v, dataset=i) for n, vs in (("a", OLD), ("b", NEW)) for i, v in enumerate(vs)])
    for comparison in (
        compare(seeds("a", OLD) + seeds("b", NEW)),
        compare(seeds("a", OLD) + seeds("b", NEW, start=90)),
        over_data_sets,
    ):
        pair = comparison.to_json()["pairs"][0]
        interval = () if comparison is over_data_sets else ("ci95",)
        assert all(pair[key] is not None for key in ("test", "n", "statistic", "p", "p_adjusted", *interval))
        assert pair["sided"] == 2
        assert pair["effect"]["ci95"][0] < pair["effect"]["value"] < pair["effect"]["ci95"][1]
        expected = 2 / math.comb(10, 5) if not pair["paired"] else 0.0625
        assert pair["smallest_possible_p"] == pytest.approx(expected)
        assert comparison.family_size == 1
    unbounded = over_data_sets.pairs[0]
    assert (unbounded.ci95, unbounded.ci_adjusted) == (None, None)
    assert "no 95% interval: signed ranks of 5 data sets reject no difference" in unbounded.notes
    assert any(
        "cannot give a p below 0.0625" in note for note in compare(seeds("a", OLD) + seeds("b", NEW)).pairs[0].notes
    )


def test_rule_9_effects_and_intervals() -> None:
    paired = compare(seeds("a", OLD) + seeds("b", NEW)).pairs[0]
    unpaired = compare(seeds("a", OLD) + seeds("b", NEW, start=90)).pairs[0]
    assert paired.effect is not None
    assert unpaired.effect is not None
    assert (paired.effect.name, unpaired.effect.name) == ("d_z", "hedges_g")
    assert (paired.test, unpaired.test) == ("paired t", "welch t")
    assert paired.cliffs_delta == unpaired.cliffs_delta == pytest.approx(-22 / 25)  # one pair above, one tie
    assert (paired.p_superiority, unpaired.p_superiority) == (0, pytest.approx(1.5 / 25))
    assert paired.basis.method == "t"
    other = stats.ttest_rel(OLD, NEW).confidence_interval()
    assert paired.ci95 == pytest.approx((other.low, other.high))
    many = np.random.default_rng(0).normal(size=(2, 100))
    for n, method in ((12, "t"), (99, "t"), (100, "bca")):
        longer = compare(seeds("a", many[0][:n]) + seeds("b", many[1][:n]))
        assert (longer.pairs[0].basis.method, longer.experiments[0].ci_method) == ("t", method)
        test = stats.ttest_rel(many[0][:n], many[1][:n])
        assert longer.pairs[0].ci95 == pytest.approx(tuple(test.confidence_interval()))
    assert compare(seeds("a", OLD) + seeds("b", NEW)).experiments[0].ci_method == "t"


def test_rule_10_a_failed_check_does_not_change_the_test() -> None:
    skewed = np.array([0.0, 0.001, 0.002, 0.001, 0.003, 0.002, 0.0015, 0.3])
    (pair,) = compare(seeds("a", 0.5 + skewed) + seeds("b", np.full(8, 0.5))).pairs
    (check,) = pair.further.checks
    assert check.p is not None
    assert check.p < 0.001
    assert "the test stays as it is" in check.says
    assert pair.test == "paired t"


def test_rule_11_expected_best_says_what_it_assumes_and_ends_where_the_trials_end() -> None:
    searched = trials("a", np.linspace(0, 1, 31), sampler="tpe", pruner="asha")
    searched[0] = replace(searched[0], outcome=Outcome.PRUNED)
    comparison = compare(searched + trials("b", np.linspace(0, 1, 9)))
    assert any("assumes independent trials" in warning for warning in comparison.warnings)
    assert any("asha pruned" in warning for warning in comparison.warnings)
    assert max(point.n for point in comparison.expected_best if point.name == "a") == 30
    assert max(point.n for point in comparison.expected_best if point.name == "b") == 9
    assert any("compare them at n = 9" in warning for warning in comparison.warnings)
    assert any(sentence.startswith(f"The expected best {METRIC} of 9 trials") for sentence in conclude(comparison))
    assert not any("independent" in warning for warning in compare(trials("b", [0.1, 0.2, 0.3])).warnings)


@pytest.mark.parametrize(
    ("a", "b", "sentence"),
    [
        ([0.9], [0.8], "n = 1"),
        ([0.93, 0.83, 0.73, 0.63, 0.53], [0.90, 0.80, 0.70, 0.60, 0.50], "no variance could be estimated"),
        ([math.nan, math.inf, -math.inf], [0.5, 0.6, 0.7], "a has no run that counts"),
    ],
)
def test_rule_12_what_cannot_be_tested_is_a_sentence(a: list[float], b: list[float], sentence: str) -> None:
    comparison = compare(seeds("a", a) + seeds("b", b))
    (pair,) = comparison.pairs
    assert (pair.p, pair.verdict) == (None, Verdict.NOT_TESTABLE)
    assert any(sentence in note for note in pair.notes)
    assert any(sentence in each for each in conclude(comparison))
    json.dumps(comparison.to_json(), allow_nan=False)
    if len(a) == 5:
        assert pair.mean_difference == pytest.approx(0.03)


@pytest.mark.parametrize("margin", [None, 0.01])
def test_rule_12_identical_values_are_no_evidence_and_no_test(margin: float | None) -> None:
    runs = seeds("a", OLD) + seeds("same", OLD) + seeds("better", NEW)
    comparison = compare(runs, margin=margin)
    same = comparison.pairs[0]
    assert (same.verdict, same.p, same.p_adjusted) == (Verdict.NOT_ENOUGH_EVIDENCE, None, None)
    assert (same.mean_difference, same.equivalence, same.seeds_needed) == (0.0, None, None)
    assert comparison.family_size == 2
    assert comparison.pairs[1].p_adjusted == pytest.approx(min(2 * (comparison.pairs[1].p or 0.0), 1.0))
    said = f"the values are identical in all {len(OLD)} pairs, which usually means that both trained the same thing"
    assert said in same.notes[-1]
    assert any(
        sentence.startswith(f"Not enough evidence that a differs from same: {said}")
        for sentence in conclude(comparison)
    )
    assert compare(seeds("a", [0.5]) + seeds("b", [0.5])).pairs[0].verdict is Verdict.NOT_TESTABLE


def test_rule_12_a_model_that_scores_as_its_baseline_in_every_run_trained_no_same_thing() -> None:
    constant = run("most frequent", 0.5, deterministic=True)
    (pair,) = compare([*seeds("model", [0.5, 0.5, 0.5]), constant]).pairs
    assert pair.verdict is Verdict.NOT_ENOUGH_EVIDENCE
    assert pair.notes[-1].startswith(
        "the values are identical in all 3 pairs, which usually means that the model predicts"
    )


def test_rule_13_the_same_input_gives_the_same_bytes_and_the_seed_is_kept() -> None:
    values = np.random.default_rng(1).normal(size=(2, 40))
    runs = seeds("a", values[0] + 0.4) + seeds("b", values[1]) + trials("a", values[0])
    first, second = (compare(runs, seed=4, stochastic_order=True, margin=0.1) for _ in range(2))
    assert first == second
    assert json.dumps(first.to_json()) == json.dumps(second.to_json())
    assert first.seed == 4
    other = compare(runs, seed=5, stochastic_order=True, margin=0.1)
    assert first.pairs[0].further.aso != other.pairs[0].further.aso
