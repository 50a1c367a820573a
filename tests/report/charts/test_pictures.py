"""The numbers of the pictures against the comparison and the runs."""

from array import array
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from hpsearch.comparing import Question, compare_runs
from hpsearch.records import FinishedRun, Goal, Measurement, Outcome, SearchOrigin, Series
from hpsearch.report.charts import numbers
from hpsearch.report.charts.gallery import gallery, palette_of
from hpsearch.report.charts.limits import robust_limits, whole_step
from hpsearch.report.charts.style import MOST_NAMED
from hpsearch.report.comparison.contents import ReportContents
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


RANGES = {"rate": {"log": [1e-5, 1.0]}, "width": {"int": [1, 12]}, "kind": {"choice": ["b", "a", "c"]}}


def test_parallel_coordinates_have_the_scales_of_the_space_and_all_trials() -> None:
    runs = [replace(run, search=SearchOrigin("val/accuracy", ranges=RANGES)) for run in trials("one")]
    runs[3] = replace(runs[3], outcome=Outcome.PRUNED)
    (picture,) = numbers.prepare_parallel(runs, Goal.MAXIMIZE, "val/accuracy", {})
    assert len(picture.values) == len(runs)
    assert picture.values[-1] is None
    assert (picture.outcomes[-1], picture.numbers[-1]) == ("pruned", "3")
    by_name = {axis.name: axis for axis in picture.axes}
    assert (by_name["rate"].log, by_name["rate"].low, by_name["rate"].high) == (True, 1e-5, 1.0)
    assert [text for _, text in numbers.axis_ticks(by_name["rate"])] == ["1e-5", "1e-4", "0.001", "0.01", "0.1", "1"]
    assert [at for at, _ in numbers.axis_ticks(by_name["width"])] == [2, 4, 6, 8, 10, 12]
    assert by_name["kind"].labels == ("b", "a", "c")


def test_an_exploded_value_is_cut_off_and_a_good_one_never() -> None:
    losses = [0.5 + place / 100 for place in range(20)]
    limits = robust_limits([*losses, 1e6], Goal.MINIMIZE)
    assert limits is not None
    assert limits.low < min(losses)
    assert max(losses) < limits.high < 1
    assert limits.says.startswith("1 value is cut off, as far as 1e6")
    assert robust_limits([*losses, -1e6], Goal.MINIMIZE) is None
    assert robust_limits(losses, Goal.MINIMIZE) is None
    assert robust_limits([0.5, 0.6, 1e6], Goal.MINIMIZE) is None


@pytest.mark.parametrize(
    ("low", "high", "step"), [(1, 3, 1), (1, 8, 1), (1, 12, 2), (0, 40, 5), (0, 45, 10), (0, 1000, 200), (2, 2, 1)]
)
def test_ticks_of_whole_numbers_are_whole(low: float, high: float, step: int) -> None:
    assert whole_step(low, high) == step


def test_a_few_trials_are_no_history() -> None:
    assert numbers.prepare_searches(trials("one", 4), Goal.MAXIMIZE, "val/accuracy") is None
    assert numbers.prepare_searches(trials("one", 5), Goal.MAXIMIZE, "val/accuracy") is not None


def many_arms() -> ReportContents:
    """Sixty arms with long names."""
    names = [f"an arm with a rather long name and number {place:03d}" for place in range(60)]
    runs = [run for place, name in enumerate(names) for run in replicates(name, 0.5 + place / 1000, seeds=2)]
    return ReportContents(compare_runs(runs, Question("test/accuracy", Goal.MAXIMIZE, baseline=names[0])), runs)


def single_run() -> ReportContents:
    """One run."""
    runs = replicates("only", 0.9, seeds=1)
    return ReportContents(compare_runs(runs, Question("test/accuracy", Goal.MAXIMIZE)), runs)


def shown_texts(figure: Figure) -> list[Text]:
    """All texts of a figure but for the labels of ticks that lie beyond the axes."""
    hidden = {
        id(tick.label1)
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    }
    found = [text for text in figure.findobj(Text) if isinstance(text, Text) and id(text) not in hidden]
    return [text for text in found if text.get_visible() and text.get_text().strip()]


@pytest.mark.parametrize("make", [seeds_evidence, datasets_evidence, many_arms, single_run])
def test_no_text_of_a_figure_lies_on_another_or_leaves_it(make: Callable[[], ReportContents]) -> None:
    """Legends are outside of the axes, too; ticks that parallel coordinates write on their lines are left out."""
    for picture in gallery(make()):
        figure = picture.draw()
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        whole = figure.bbox.padded(2)
        for legend in figure.legends:
            for axes in figure.axes:
                assert not legend.get_window_extent(renderer).overlaps(axes.get_window_extent(renderer)), picture.name
        boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in shown_texts(figure)]
        for name, box in boxes:
            assert whole.x0 <= box.x0, (picture.name, name)
            assert box.x1 <= whole.x1, (picture.name, name)
        if not picture.name.startswith("trials"):
            for (one, first), (other, second) in combinations(boxes, 2):
                assert not first.padded(-1).overlaps(second.padded(-1)), (picture.name, one, other)


def test_of_many_series_the_best_are_named() -> None:
    (picture,) = [each for each in gallery(many_arms()) if each.name == "learning-curves"]
    figure = picture.draw()
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(names) == MOST_NAMED + 1
    assert names[-1] == "50 others"
    assert len({line.get_color() for line in figure.axes[0].lines}) <= MOST_NAMED + 1


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
