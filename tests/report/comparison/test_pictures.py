"""The numbers of the pictures against the comparison and the runs."""

from array import array

import pytest

from hpsearch.comparing import Question, compare_runs
from hpsearch.records import FinishedRun, Goal, Measurement, Series
from hpsearch.report.charts import numbers
from hpsearch.report.charts.gallery import gallery, palette_of
from tests.report.comparison.evidence import datasets_evidence, replicates, search_evidence, seeds_evidence, trials


def test_scores_and_differences_are_those_of_the_comparison() -> None:
    comparison = seeds_evidence().comparison
    scores, differences = numbers.prepare_scores(comparison), numbers.prepare_differences(comparison)
    assert scores.lines[0].name == "ours"
    by_name = {line.name: dict(zip(line.units, line.values, strict=True)) for line in scores.lines}
    line = differences.lines[0]
    a, b = line.name.split(" − ")
    assert line.differences == pytest.approx([by_name[a][unit] - by_name[b][unit] for unit in line.units])
    assert differences.margin == 0.01


def test_ranks_add_up() -> None:
    picture = numbers.prepare_critical_difference(datasets_evidence().comparison)
    assert picture is not None
    assert sum(rank for _, rank in picture.ranks) == pytest.approx(1 + 2 + 3 + 4)
    assert [rank for _, rank in picture.ranks] == sorted(rank for _, rank in picture.ranks)


def test_learning_curves_are_medians_of_replicates_and_leave_trials_out() -> None:
    evidence = seeds_evidence()
    curves = numbers.prepare_learning_curves(evidence.comparison, evidence.runs)
    assert curves is not None
    assert curves.y_title == "val/accuracy"
    ours = next(line for line in curves.lines if line.name == "ours")
    last = sorted(run.histories["val/accuracy"].values[-1] for run in replicates("ours", 0.92))
    assert ours.x == (1, 2, 3, 4, 5)
    assert ours.y[-1] == pytest.approx((last[4] + last[5]) / 2)
    assert all(low <= middle <= high for low, middle, high in zip(ours.low, ours.y, ours.high, strict=True))


def test_the_best_so_far_never_gets_worse() -> None:
    evidence = search_evidence()
    searches = numbers.prepare_searches(evidence.runs, Goal.MAXIMIZE, "val/accuracy")
    assert searches is not None
    for line in searches.lines:
        assert list(line.best) == [max(line.values[: place + 1]) for place in range(len(line.values))]


def test_parallel_coordinates_know_what_a_trial_does_not_have() -> None:
    (picture,) = numbers.prepare_parallel(trials("one"), Goal.MAXIMIZE, "val/accuracy", {"one": {"width": 0.9}})
    names = [axis.name for axis in picture.axes]
    assert names[0] == "width"
    assert picture.axes[0].values.count(None) == 4
    assert next(axis for axis in picture.axes if axis.name == "rate").log
    assert next(axis for axis in picture.axes if axis.name == "kind").labels == ("a", "b")
    assert list(picture.values) == sorted(picture.values, reverse=True)


def test_costs_count_every_run() -> None:
    costs = {cost.name: cost for cost in numbers.prepare_costs(seeds_evidence().runs)}
    assert costs["ours"].runs == 22
    assert costs["ours"].seconds == sum(10 + seed for seed in range(10)) + 12 * 3


def test_a_single_run_has_a_curve_without_a_band() -> None:
    run = FinishedRun(
        experiment="one",
        run="one",
        seed=0,
        metrics={"loss": Measurement(1.0)},
        histories={"loss": Series(array("q", [1, 2]), array("d", [2.0, 1.0]))},
    )
    comparison = compare_runs([run], Question("loss", Goal.MINIMIZE))
    curves = numbers.prepare_learning_curves(comparison, [run])
    assert curves is not None
    assert curves.lines[0].y == curves.lines[0].low == (2.0, 1.0)


def test_an_experiment_has_one_colour_on_every_picture() -> None:
    colours: dict[str, set[str]] = {"ours": set(), "theirs": set()}
    for picture in gallery(seeds_evidence()):
        for trace in picture.plot()["data"] if picture.plot else ():
            owner = trace.get("legendgroup") or str(trace.get("y", [""])[0])
            ink = trace.get("line", {}).get("color") or trace.get("marker", {}).get("color")
            if owner in colours and isinstance(ink, str):
                colours[owner].add(ink)
    assert [len(found) for found in colours.values()] == [1, 1]
    assert colours["ours"] != colours["theirs"]


def test_an_experiment_of_two_groups_on_one_page_has_one_colour() -> None:
    groups = [search_evidence(("one", "two")), search_evidence(("two", "three"))]
    palette = palette_of(*groups)
    inks = {
        trace["legendgroup"]: trace["line"]["color"]
        for group in groups
        for picture in gallery(group, palette)
        if picture.name == "search" and picture.plot
        for trace in picture.plot()["data"]
        if "line" in trace
    }
    assert len(set(inks.values())) == 3
    assert all(inks[name] == palette.colour(name) for name in ("one", "two", "three"))
    second = next(picture for picture in gallery(groups[1], palette) if picture.name == "search")
    assert second.plot is not None
    assert {trace["line"]["color"] for trace in second.plot()["data"] if "line" in trace} == {
        inks["two"],
        inks["three"],
    }


def test_learning_curves_count_in_the_unit_of_the_runs_and_mark_the_best_step() -> None:
    steps, values = array("q", [1, 2, 3]), array("d", [0.9, 0.4, 0.7])
    run = FinishedRun(
        experiment="one",
        run="one",
        seed=0,
        unit="epoch",
        metrics={"loss": Measurement(0.4)},
        histories={"loss": Series(steps, values)},
    )
    curves = numbers.prepare_learning_curves(compare_runs([run], Question("loss", Goal.MINIMIZE)), [run])
    assert curves is not None
    assert (curves.x_title, curves.lines[0].y, curves.lines[0].best) == ("epoch", (0.9, 0.4, 0.7), 1)


@pytest.mark.parametrize("make", [seeds_evidence, datasets_evidence, search_evidence])
def test_every_picture_can_be_drawn_and_plotted(make) -> None:  # type: ignore[no-untyped-def] # one of three functions
    for picture in gallery(make()):
        assert picture.draw().axes
        if picture.plot:
            assert picture.plot()["data"]
