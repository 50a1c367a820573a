"""What is grouped, paired and refused: baselines without a seed, groups by a parameter, lengths, mistakes."""

from array import array

import numpy as np
import pytest
from scipy import stats

from hpsearch.compare.conclusion import conclude
from hpsearch.compare.pair_result import Verdict
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.records import Outcome, Series
from tests.compare.arms import METRIC, compare, run, seeds

OLD, NEW = [0.900, 0.912, 0.895, 0.921, 0.907], [0.921, 0.928, 0.917, 0.944, 0.925]


def test_a_baseline_without_a_seed_stands_against_every_run() -> None:
    (pair,) = compare([*seeds("new", NEW), run("linear", 0.9, deterministic=True)]).pairs
    other = stats.ttest_1samp(NEW, 0.9)
    assert (pair.n, pair.statistic, pair.p) == (5, pytest.approx(other.statistic), pytest.approx(other.pvalue))
    assert "linear has no seed: its one value stands against every run of new" in pair.notes


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
    assert pair.differences == pytest.approx([0.02] * 3)
    assert pair.a_values == pytest.approx([0.87, 0.88, 0.89])
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
    assert (found.pairs[0].test, found.pairs[0].a_values) == ("paired t", tuple(OLD))
    assert "the trainings differ in length (short 10, long 20)" in found.warnings[0]
    same = compare(short + long, step=10)
    assert same.pairs[0].a_values == pytest.approx(OLD)
    assert same.pairs[0].b_values == pytest.approx(np.subtract(NEW, 0.1))
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
    from hpsearch.compare import compare_runs
    from hpsearch.records import Goal

    found = compare_runs(seeds("a", NEW) + seeds("b", OLD), metric=METRIC, goal=Goal.MINIMIZE)
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
        ({"alpha": 5.0}, HpsearchError, "alpha is an error rate"),
    ],
)
def test_mistakes_are_sentences(options: dict[str, object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        compare(seeds("a", OLD) + seeds("b", NEW), **options)
