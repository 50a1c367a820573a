"""What an arm is, what one run of it is, which keys count; and that merging and dropping are said at the top."""

import numpy as np
import pytest

from hpsearch.comparing.statistics.two_samples import corrected_t
from hpsearch.records import FinishedRun, SearchOrigin
from tests.comparing.arms import METRIC, compare, run, seeds

OLD, NEW = [0.900, 0.912, 0.895, 0.921, 0.907], [0.921, 0.928, 0.917, 0.944, 0.925]


def test_experiments_of_one_name_in_two_places_are_two_arms() -> None:
    found = compare(seeds("logs", OLD, place=("projA", "work")) + seeds("logs", NEW, place=("projB", "work")))
    assert [(each.name, each.n) for each in found.experiments] == [("projA/logs", 5), ("projB/logs", 5)]
    assert (found.pairs[0].n, found.pairs[0].test) == (5, "paired t")
    by = compare(
        seeds("logs", OLD, place=("projA",), params={"p": 1}) + seeds("logs", NEW, place=("projB",), params={"p": 1}),
        by="p",
    )
    assert [each.name for each in by.experiments] == ["projA/logs p=1", "projB/logs p=1"]


def test_an_arm_that_is_called_like_a_trial_of_another_is_another() -> None:
    runs = [*seeds("e", OLD, trial=1), *seeds("e", NEW, trial=2), *seeds("e (trial 1)", NEW)]
    assert [each.n for each in compare(runs).experiments] == [5, 5, 5]


@pytest.mark.parametrize("key", ["seed", "fold", "dataset"])
def test_duplicates_of_a_unit_are_their_mean_whatever_their_order_and_it_is_said(key: str) -> None:
    first = [run("a", value, **{key: at}) for at, value in enumerate(OLD)]
    again = run("a", 0.99, run="again", **{key: 2})
    others = [run("b", value, **{key: at}) for at, value in enumerate(NEW)]
    found = [compare([*first, again, *others]), compare([again, *first, *others])]
    for each in found:
        assert each.experiments[0].values == pytest.approx([*OLD[:2], (OLD[2] + 0.99) / 2, *OLD[3:]])
        assert each.pairs[0].p == found[0].pairs[0].p
        said = f"a: several runs of one unit count as their mean: {key} 2 (a {key}2, again)"
        assert said.removesuffix(")") in each.warnings[0].replace("again, a", "a")


def test_the_seeds_of_a_fold_are_averaged_and_are_no_repeats() -> None:
    generator = np.random.default_rng(0)
    values = {name: generator.normal(0.8, 0.02, (10, 5)) for name in "ab"}
    runs = [
        run(name, float(value), fold=fold, seed=seed)
        for name in "ab"
        for seed, row in enumerate(values[name])
        for fold, value in enumerate(row)
    ]
    found = compare(runs)
    truth = corrected_t((values["a"] - values["b"]).mean(axis=0), test_to_train=1 / 4)
    assert (found.pairs[0].n, found.pairs[0].p) == (5, pytest.approx(truth.p))
    assert found.experiments[0].values == pytest.approx(values["a"].mean(axis=0))
    told = "the runs of one fold are averaged, as they are no further folds: a 50 runs on 5 folds, b 50 runs on 5 folds"
    assert found.warnings == (told,)


def test_two_folds_times_five_seeds_are_no_five_times_two() -> None:
    generator = np.random.default_rng(1)
    cells = [(name, at, fold) for name in "ab" for at in range(5) for fold in range(2)]
    by_seed = [run(name, float(generator.normal()), seed=at, fold=fold) for name, at, fold in cells]
    by_repeat = [run(name, float(generator.normal()), repeat=at, fold=fold) for name, at, fold in cells]
    assert (compare(by_seed).pairs[0].n, compare(by_seed).pairs[0].test) == (2, "corrected resampled t")
    assert (compare(by_repeat).pairs[0].n, compare(by_repeat).pairs[0].test) == (10, "5x2cv F")


def test_a_fold_that_lacks_a_seed_is_compared_by_the_seeds_that_both_have() -> None:
    runs = [
        run(name, 0.1 * fold + 0.01 * seed, fold=fold, seed=seed)
        for name in "ab"
        for fold in range(3)
        for seed in range(2)
    ]
    found = compare([*runs[:-1]])
    assert found.pairs[0].values.differences == pytest.approx([0.0, 0.0, 0.0])
    assert "a and b: only the runs that both have count on fold 2" in found.warnings
    apart = [
        run(name, 0.1 * fold, fold=fold, seed=seed + 5 * (name == "b"))
        for name in "ab"
        for fold in range(3)
        for seed in range(2)
    ]
    assert any("each side's own mean counts on fold 0, fold 1, fold 2" in line for line in compare(apart).warnings)


def test_runs_that_lack_what_the_unit_is_are_left_out_with_a_line() -> None:
    runs = [run(name, 0.5 + 0.1 * fold + 0.01 * (name == "a") * fold, fold=fold) for name in "ab" for fold in range(4)]
    found = compare([*runs, run("a", 0.9, seed=3)])
    assert [each.n for each in found.experiments] == [4, 4]
    assert found.experiments[0].runs_dropped[0].why == "has no fold, which is the unit of replication"
    assert found.warnings == ("a: 1 of 5 runs do not count: has no fold, which is the unit of replication (1)",)


@pytest.mark.parametrize("settings", [{"lr": 0.1}, {}])
def test_a_seed_that_all_runs_of_one_arm_note_is_no_key(settings: dict[str, float]) -> None:
    runs = [run("a", value, seed=42, run=f"a{at}", params=settings) for at, value in enumerate(OLD)]
    found = compare([*runs, *seeds("b", NEW)])
    assert [each.n for each in found.experiments] == [5, 5]
    assert found.pairs[0].test == "welch t"
    assert found.warnings[0] == (
        "a: seed 42 is noted in all 5 runs, and in no run of another experiment: it tells none apart, "
        "and each counts by itself"
    )


def test_a_constant_seed_of_different_settings_is_no_key_in_two_searches_either() -> None:
    runs = [
        run(name, value, seed=42, run=f"{name}{at}", params={"lr": at, "seed": 42})
        for name, values in (("a", OLD), ("b", NEW))
        for at, value in enumerate(values)
    ]
    assert [each.n for each in compare(runs).experiments] == [5, 5]
    same = [run(each.experiment, each.metrics[METRIC].value, seed=42, run=each.run) for each in runs]
    assert [each.n for each in compare(same).experiments] == [1, 1]  # trainings of one seed and setting, over both


@pytest.mark.parametrize("search", [None, SearchOrigin(METRIC)])
def test_trials_that_all_note_one_seed_are_trials(search: SearchOrigin | None) -> None:
    runs = [run(name, 0.1 * at, trial=at, seed=42, search=search) for name in "ab" for at in range(6)]
    found = compare(runs)
    assert (str(found.unit), [each.n for each in found.experiments]) == ("trial", [6, 6])
    assert max(point.n for point in found.expected_best) == 6
    assert found.pairs[0].p is None


def test_a_number_and_a_text_are_one_seed_unless_an_arm_has_both() -> None:
    texts = [run("b", value, seed=str(at)) for at, value in enumerate(NEW)]
    assert compare(seeds("a", OLD) + texts).pairs[0].n == 5
    both = compare([*seeds("a", OLD), run("a", 0.5, seed="0", run="text"), *texts])
    assert [each.n for each in both.experiments] == [6, 5]
    assert '"0"' in both.experiments[0].units


def test_a_repeat_that_alone_tells_runs_apart_pairs_them() -> None:
    runs = [run(name, value, repeat=at) for name, values in (("a", OLD), ("b", NEW)) for at, value in enumerate(values)]
    found = compare(runs)
    assert (found.pairs[0].test, found.pairs[0].values.units[:2]) == ("paired t", ("repeat 0", "repeat 1"))
    assert found.unit_reason.startswith("The unit of replication is the repeat, as no seed varies")
    noted = [run(name, value, repeat=0, fold=at) for name, values in (("a", OLD),) for at, value in enumerate(values)]
    assert compare([*noted, *(run("b", v, fold=at) for at, v in enumerate(NEW))]).pairs[0].n == 5


def test_seeds_that_one_side_alone_notes_pair_nothing_and_it_is_said() -> None:
    found = compare([*seeds("a", OLD), *(run("b", value, run=f"b{at}") for at, value in enumerate(NEW))])
    assert found.pairs[0].test == "welch t"
    assert found.warnings == ("a and b are not paired: no seed is noted with b",)


def test_what_is_left_out_is_said_at_the_top() -> None:
    runs = [*seeds("a", [*OLD, 0.99]), *seeds("b", NEW), run("a", None, seed=9), run("a", float("nan"), seed=10)]
    found = compare([*runs, FinishedRun(experiment="b", run="late", seed=11, dropped="it has not ended")])
    assert found.warnings == (
        f"a: 2 of 8 runs do not count: has no {METRIC} (1), {METRIC} is nan (1)",
        "b: 1 of 6 runs do not count: it has not ended (1)",
        "a and b: left out, because without a partner: seed 5 of a",
    )
    assert (
        compare(
            runs,
        )
        .experiments[0]
        .n
        == 6
    )


def test_values_of_a_parameter_that_look_alike_are_several() -> None:
    values: list[object] = [1, "1", True, 1.0, "true"]
    runs = [run("e", 0.1 * at, seed=at, params={"p": value}) for at, value in enumerate(values)]
    names = {each.name: each.n for each in compare(runs, by="p").experiments}
    assert names == {"p=1": 2, 'p="1"': 1, "p=true": 1, 'p="true"': 1}
