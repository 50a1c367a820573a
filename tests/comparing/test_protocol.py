"""What is grouped, paired and refused: baselines without a seed, groups by a parameter, lengths, mistakes."""

from array import array
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations_with_replacement

import numpy as np
import pytest
from scipy import stats

from hpsearch.comparing import Question, compare_runs
from hpsearch.comparing.comparison import Verdict
from hpsearch.comparing.conclusion import conclude
from hpsearch.comparing.question import Test, Unit, planned_test
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.records import FinishedRun, Goal, Outcome, Series
from hpsearch.report.comparison.rows import caption, pair_rows
from tests.comparing.arms import METRIC, compare, run, seeds

OLD, NEW = [0.900, 0.912, 0.895, 0.921, 0.907], [0.921, 0.928, 0.917, 0.944, 0.925]


def test_a_baseline_without_a_seed_stands_against_every_run() -> None:
    (pair,) = compare([*seeds("new", NEW), run("linear", 0.9, deterministic=True)]).pairs
    other = stats.ttest_1samp(NEW, 0.9)
    assert (pair.n, pair.statistic, pair.p) == (5, pytest.approx(other.statistic), pytest.approx(other.pvalue))
    assert "linear has no seed: its one value is compared with every run of new" in pair.notes


def test_groups_by_a_parameter_are_paired_over_the_other_settings() -> None:
    runs = [
        run(
            "e",
            0.8 + 0.01 * seed + 0.1 * (width == 64) + 0.02 * (rnn == "lstm"),
            seed=seed,
            params={"w": width, "rnn": rnn},
        )
        for seed in range(3)
        for width in (32, 64)
        for rnn in ("lstm", "gru")
    ]
    (pair,) = compare(runs, by="rnn").pairs
    assert (pair.a, pair.b, pair.n) == ("rnn=lstm", "rnn=gru", 3)
    assert pair.values.differences == pytest.approx([0.02] * 3)
    assert pair.values.a == pytest.approx([0.87, 0.88, 0.89])
    alone = compare(runs)
    assert alone.experiments[0].values == pytest.approx([0.86, 0.87, 0.88])
    assert alone.experiments[0].runs_dropped == ()
    assert alone.warnings[0].startswith("e: several runs of one unit count as their mean: seed 0 (")
    assert alone.warnings[0].endswith("; their settings differ, and --by would tell them apart")


def test_confirmed_trials_of_one_experiment_are_arms_of_their_own() -> None:
    runs = seeds("e", OLD, trial=0) + seeds("e", NEW, trial=3)
    assert [each.name for each in compare(runs).experiments] == ["e (trial 0)", "e (trial 3)"]


def test_trainings_of_different_lengths_are_tested_with_a_warning_and_can_be_read_at_a_common_step() -> None:
    def curve(value: float) -> dict[str, Series]:
        return {METRIC: Series(array("q", [10, 20]), array("d", [value, value + 0.5]))}

    short = [run("short", v, seed=i, steps=10, histories=curve(v)) for i, v in enumerate(OLD)]
    long = [run("long", v, seed=i, steps=20, histories=curve(v - 0.1)) for i, v in enumerate(NEW)]
    found = compare([*short, *long, run("linear", 0.9, deterministic=True, steps=1)])
    assert (found.pairs[0].test, found.pairs[0].values.a) == ("paired t", tuple(OLD))
    assert "the trainings differ in length (short 10, long 20)" in found.warnings[0]
    same = compare(short + long, step=10)
    assert same.pairs[0].values.a == pytest.approx(OLD)
    assert same.pairs[0].values.b == pytest.approx(np.subtract(NEW, 0.1))
    assert not any("length" in warning for warning in same.warnings)


def test_groups_without_a_run_that_counts_are_left_out_with_a_sentence() -> None:
    runs = [run("e", v, seed=i, params={"p": p}) for p, values in ((1, OLD), (2, NEW)) for i, v in enumerate(values)]
    bad = [run("e", v, seed=i, params={"p": 3}, outcome=Outcome.PRUNED) for i, v in enumerate(OLD[:2])]
    bad += [run("e", None, seed=9, params={"p": 3}, outcome=Outcome.FAILED, reason="no disk")]
    found = compare([*runs, *bad], by="p")
    assert [each.name for each in found.experiments] == ["p=1", "p=2"]
    assert len(found.pairs) == 1
    assert found.warnings[0] == (
        "p=3 is left out, as none of its runs counts: e seed0, e seed1: pruned: its value is of a smaller budget; "
        "e seed9: failed: no disk"
    )
    assert [each.n for each in compare([*runs, *bad], by="p", baseline="p=3").experiments] == [5, 5, 0]
    assert [each.n for each in compare(bad, by="p").experiments] == [0]
    several = compare([*seeds("a", OLD), run("b", 0.5, seed=1, outcome=Outcome.FAILED)])
    assert [each.n for each in several.experiments] == [5, 0]  # an experiment that was named is shown


def test_the_headline_claims_nothing_about_what_was_not_tested() -> None:
    (headline, *_) = conclude(compare(seeds("a", [0.75, 0.5]) + seeds("b", [0.625, 0.375])))
    assert "not tested against b" in headline
    assert "differ" not in headline


def test_keys_of_different_origins_are_the_same_seed() -> None:
    as_text = [run("b", v, seed=str(i)) for i, v in enumerate(NEW)]
    assert compare(seeds("a", OLD) + as_text).pairs[0].n == 5


def test_minimised_metrics_turn_the_verdict_and_not_the_difference() -> None:
    found = compare_runs(seeds("a", NEW) + seeds("b", OLD), Question(METRIC, Goal.MINIMIZE))
    (pair,) = found.pairs
    assert pair.verdict is Verdict.WORSE
    assert pair.mean_difference == pytest.approx(0.02)
    assert conclude(found)[1].startswith("b is better than a by 0.02 (95% interval 0.0")


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"unit": "sed"}, UnknownNameError, "did you mean 'seed'"),
        ({"unit": "fold"}, HpsearchError, "no run has a fold"),
        ({"adjust": "bonferroni"}, UnknownNameError, "unknown adjustment"),
        ({"baseline": "c"}, UnknownNameError, "known: a, b"),
        ({"margin": 0.0}, HpsearchError, "a margin is a difference above 0"),
        ({"seed": -1}, HpsearchError, "a seed is a whole number from 0 on, not -1"),
        ({"alpha": 5.0}, HpsearchError, "alpha is an error rate"),
    ],
)
def test_mistakes_are_sentences(options: dict[str, object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        compare(seeds("a", OLD) + seeds("b", NEW), **options)


def over_data_sets(differences: Sequence[float]) -> list[FinishedRun]:
    """Return runs of a and b whose difference a - b is given for each data set; b's scores rise by 0.002."""
    scores = [(f"d{place:02d}", 0.8 + 0.002 * place, gain) for place, gain in enumerate(differences)]
    return [
        run(name, round(score + gain * (name == "a"), 6), dataset=place)
        for place, score, gain in scores
        for name in "ba"
    ]


@pytest.mark.parametrize("order", [1, -1])
def test_tied_ranks_are_averaged_so_that_the_order_of_rows_turns_no_verdict(order: int) -> None:
    """On 21 data sets a gains 0.02, on the last 9 it loses as much: each rank is 15.5. Numbered by rows, the 9 win."""
    (pair,) = compare(over_data_sets([0.02] * 21 + [-0.02] * 9)[::order]).pairs
    ahead = {"a": Verdict.BETTER, "b": Verdict.WORSE}
    assert pair.verdict is ahead[pair.a]
    low, high = pair.ci_adjusted or (0.0, 0.0)
    assert low > 0 or high < 0


def test_the_sentence_over_data_sets_has_the_interval_of_the_signed_ranks() -> None:
    """Nine data sets; the mean of any two of the gains, 45 means: their median, the 6th and the 40th."""
    gains = [0.010, 0.021, 0.013, 0.034, 0.015, 0.026, -0.002, 0.018, 0.029]
    found = compare(over_data_sets(gains))
    means = sorted((x + y) / 2 for x, y in combinations_with_replacement(gains, 2))
    (pair,) = found.pairs
    assert pair.mean_difference is not None
    assert abs(pair.hodges_lehmann or 0.0) == pytest.approx(means[22])
    said = f"{means[22]:.4g} (95% interval {means[5]:.4g} to {means[39]:.4g})"
    assert conclude(found)[1].startswith(
        f"a is better than b by ranks: it is ahead by {abs(pair.mean_difference):.4g} in the mean, and the typical "
        f"difference is {said}; wilcoxon"
    )
    assert "differences of signed ranks are Hodges and Lehmann's" in caption(found)


def test_an_end_that_ties_open_at_0_is_said_to_be_open() -> None:
    found = compare(over_data_sets([0.0] * 10 + [0.01, 0.012, 0.015, 0.02, 0.022, 0.03]))
    (pair,) = found.pairs
    assert (pair.p or 1.0) == pytest.approx(2 / 2**6, abs=0.01)
    assert "interval just above 0 to" in conclude(found)[1]
    assert any("just below 0" in cell for cell in pair_rows(found)[0].cells)  # of b against a


def three(gain: float, more: float) -> list[FinishedRun]:
    """Return three arms on eight seeds: b is ahead of a by about `gain`, c by `gain + more`."""
    noise = np.random.default_rng(5).normal(0, 0.01, (3, 8))
    means = (0.8, 0.8 + gain, 0.8 + gain + more)
    return [each for name, mean, row in zip("abc", means, noise, strict=True) for each in seeds(name, mean + row)]


def test_under_holm_the_sentence_and_the_table_have_intervals_that_hold_together() -> None:
    found = compare(three(0.1, 0.004))
    ahead, _, unclear = found.pairs
    assert (ahead.verdict, unclear.verdict) == (Verdict.WORSE, Verdict.NOT_ENOUGH_EVIDENCE)
    test = stats.ttest_rel(ahead.values.a, ahead.values.b)
    assert ahead.ci95 == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert ahead.ci_adjusted == pytest.approx(tuple(test.confidence_interval(1 - 0.05 / 3)))
    assert ahead.ci_adjusted_level == pytest.approx(1 - 0.05 / 3)
    low, high = ahead.ci_adjusted or (0.0, 0.0)
    assert f"(simultaneous 95% interval {-high:.4g} to {-low:.4g})" in conclude(found)[1]
    assert "intervals that hold together at 95% (each has 98.33%)" in caption(found)
    assert "effects with 95% intervals, each of its pair alone" in caption(found)


def test_a_pair_that_only_a_later_step_of_holm_rejects_has_the_interval_of_its_step() -> None:
    found = compare(three(0.1, 0.017))
    step = found.pairs[2]
    p = step.p or 0.0
    assert 0.05 / 3 < p <= 0.05  # the two others are clear
    assert step.verdict is Verdict.WORSE
    assert step.ci_adjusted_level == pytest.approx(0.95)
    assert "(95% interval at the level of its step " in conclude(found)[3]
    assert pair_rows(found)[2].cells[4].endswith("(95%)")
    by_bh = compare(three(0.1, 0.017), adjust="bh")
    assert "(95% interval after bh " in conclude(by_bh)[1]
    assert all(pair.ci_adjusted_level == pytest.approx(0.95) for pair in by_bh.pairs)  # three of three rejected
    alone = compare(three(0.1, 0.017), adjust="none")
    assert "(95% interval of this pair alone " in conclude(alone)[1]


def test_another_level_has_an_interval_of_that_level() -> None:
    found = compare(seeds("a", OLD) + seeds("b", NEW), alpha=0.01)
    (pair,) = found.pairs
    test = stats.ttest_rel(OLD, NEW)
    assert pair.ci95 == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert pair.ci_adjusted == pytest.approx(tuple(test.confidence_interval(0.99)))
    assert "(99% interval " in conclude(found)[1]


def test_an_equivalent_pair_has_the_interval_of_the_two_one_sided_tests() -> None:
    close = [0.901, 0.911, 0.8955, 0.9205, 0.9075]
    found = compare(seeds("a", OLD) + seeds("b", close), margin=0.002)
    (pair,) = found.pairs
    assert pair.verdict is Verdict.EQUIVALENT
    assert pair.ci_adjusted == pytest.approx(tuple(stats.ttest_rel(OLD, close).confidence_interval(0.9)))
    assert "(90% interval " in conclude(found)[1]
    assert any("claims of a difference together keep the error rate of 0.05" in each for each in conclude(found))
    assert pair_rows(found)[0].cells[4].endswith("(90%)")


def test_of_data_sets_a_margin_is_tested_by_the_t_and_that_is_said() -> None:
    (pair,) = compare(over_data_sets([0.010, 0.021, 0.013, 0.034, 0.015, 0.026]), margin=0.1).pairs
    assert pair.verdict is Verdict.EQUIVALENT
    assert any("equivalence is tested by the paired t" in note for note in pair.notes)
    low, high = pair.ci_adjusted or (0.0, 0.0)
    assert -0.1 < low < (pair.shown_difference or 0.0) < high < 0.1


def test_ties_are_seen_through_rounding() -> None:
    """0.3 and 0.1 + 0.2 are a tie, and so are means of the same numbers in another order."""
    (pair,) = compare(seeds("a", [0.1 + 0.2, 0.5, 0.9]) + seeds("b", [0.3, 0.4, 0.8])).pairs
    assert pair.values.differences[0] == 0.0
    assert pair.p_superiority == pytest.approx((2 + 0.5) / 3)
    (turned,) = compare(seeds("a", [0.1, 0.2]) + seeds("b", [0.2, 0.1])).pairs
    assert turned.mean_difference == 0.0
    (same,) = compare(seeds("a", [0.1 + 0.2, 0.7]) + seeds("b", [0.3, 0.1 + 0.6])).pairs
    assert same.identical
    assert same.verdict is Verdict.NOT_ENOUGH_EVIDENCE


def test_a_tiny_metric_has_digits_in_the_table() -> None:
    tiny = [value * 1e-12 for value in OLD], [value * 1e-12 for value in NEW]
    found = compare(seeds("a", tiny[0]) + seeds("b", tiny[1]))
    assert found.pairs[0].verdict is compare(seeds("a", OLD) + seeds("b", NEW)).pairs[0].verdict is Verdict.WORSE
    assert pair_rows(found)[0].cells[3] == "−2e−14"


def test_a_question_that_leaves_metric_goal_and_unit_open_is_answered_by_what_the_runs_tell() -> None:
    runs = seeds("a", OLD) + seeds("b", NEW)
    found, told = compare_runs(runs, Question()), compare_runs(runs, Question(METRIC, Goal.MAXIMIZE, Unit.SEED))
    assert found == replace(told, unit_reason=found.unit_reason)
    assert found.unit_reason != told.unit_reason


def test_every_design_is_decided_by_its_planned_test() -> None:
    folds = [
        run(arm, (place + 1) * score, fold=place) for arm, score in (("a", 0.1), ("b", 0.12)) for place in range(5)
    ]
    for runs, decided, planned in (
        (seeds("a", OLD) + seeds("b", NEW), Test.PAIRED_T, planned_test(Unit.SEED)),
        (seeds("a", OLD) + seeds("b", NEW, start=10), Test.WELCH_T, planned_test(Unit.SEED, paired=False)),
        (folds, Test.CORRECTED_T, planned_test(Unit.FOLD)),
    ):
        assert [pair.test for pair in compare(runs).pairs] == [decided] == [planned]
    assert planned_test(Unit.DATASET) is Test.WILCOXON
    assert planned_test(Unit.FOLD, five_by_two=True) is Test.FIVE_BY_TWO_F
