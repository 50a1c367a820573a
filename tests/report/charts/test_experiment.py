import io
from dataclasses import replace

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from hpsearch.records import ExperimentRecord, Goal, Monitor, Outcome, RunRecord
from hpsearch.report.charts.experiment import (
    draw_history,
    draw_importance,
    draw_learning_curves,
    draw_replicates,
    draw_slices,
    prepare_history,
    prepare_importance,
    prepare_learning_curves,
    prepare_replicates,
    prepare_slices,
)

EMPTY = ExperimentRecord("e", "", "f", Monitor("val/auc", Goal.MAXIMIZE), "best", ())


def saved(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=50)
    return file.getvalue()


def runs(*values: float | None, outcome: Outcome = Outcome.COMPLETE) -> tuple[RunRecord, ...]:
    return tuple(
        RunRecord(f"trials/{number:04d}", number, {"rate": 10.0**-number}, seed=0, outcome=outcome, value=value)
        for number, value in enumerate(values)
    )


@pytest.mark.parametrize(("goal", "best"), [(Goal.MAXIMIZE, (2.0, 2.0, 3.0)), (Goal.MINIMIZE, (2.0, 1.0, 1.0))])
def test_the_best_so_far_follows_the_goal(goal: Goal, best: tuple[float, ...]) -> None:
    record = replace(EMPTY, objective=Monitor("val/x", goal), trials=runs(2.0, 1.0, 3.0, float("nan")))
    history = prepare_history(record)
    assert history.best == best
    assert (history.numbers, history.others) == ((0, 1, 2), (3,))


def test_values_of_a_smaller_budget_are_not_drawn_beside_full_ones(record: ExperimentRecord) -> None:
    history = prepare_history(record)
    pruned = {trial.number for trial in record.trials if trial.outcome is Outcome.PRUNED}
    assert pruned <= set(history.others)
    assert not pruned & set(history.numbers)


def test_axes_name_the_metric_and_the_unit(record: ExperimentRecord) -> None:
    axes = draw_history(prepare_history(record)).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("trial", "val/auc")
    axes = draw_learning_curves(prepare_learning_curves(record)).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "val/auc")


def test_a_curve_shows_over_fitting_and_marks_the_best_step() -> None:
    over_fitted = replace(runs(0.9)[0], history=((1, 0.5), (2, 0.9), (3, 0.6)), step=2)
    curve, ring = draw_learning_curves(prepare_learning_curves(replace(EMPTY, trials=(over_fitted,)))).axes[0].lines
    assert list(curve.get_ydata()) == [0.5, 0.9, 0.6]
    assert (list(ring.get_xdata()), list(ring.get_ydata()), ring.get_label()) == ([2], [0.9], "best step")
    last = draw_learning_curves(prepare_learning_curves(replace(EMPTY, at="last", trials=(over_fitted,))))
    assert len(last.axes[0].lines) == 1


def test_the_best_curve_is_on_top(record: ExperimentRecord) -> None:
    curves = prepare_learning_curves(record)
    assert record.best is not None
    assert (curves.curves[-1].number, curves.curves[-1].best) == (record.best.number, True)
    figure = draw_learning_curves(curves)
    complete = sum(curve.complete for curve in curves.curves)
    assert len(figure.axes[0].lines) == len(curves.curves) + complete
    assert to_hex(figure.axes[0].lines[-1].get_color()) == "#d55e00"


def test_slices_are_on_the_scales_of_the_space_where_it_is_known() -> None:
    """Values that lie near one another were searched on a log scale, and numbers of a choice are no scale at all."""
    params: list[dict[str, float | int]] = [{"rate": 0.01, "width": 64}, {"rate": 0.02, "width": 256}]
    trials = tuple(replace(run, params=each) for run, each in zip(runs(0.5, 0.6), params, strict=True))
    ranges = {"rate": {"log": [1e-4, 1.0]}, "width": {"choice": [64, 128, 256]}}
    slices = prepare_slices(replace(EMPTY, trials=trials), ranges=ranges).slices
    assert [each.scale for each in slices] == ["log", "category"]
    assert slices[1].categories == ("64", "128", "256")
    assert set(slices[1].places) == {0.0, 2.0}


def test_an_exploded_curve_flattens_no_other() -> None:
    histories = [*(((1, 0.5), (2, 0.6), (3, 0.61 + place / 100)) for place in range(5)), ((1, -1e6), (2, 0.5))]
    trials = tuple(replace(run, history=each) for run, each in zip(runs(*[0.6] * 6), histories, strict=True))
    axes = draw_learning_curves(prepare_learning_curves(replace(EMPTY, trials=trials))).axes[0]
    assert axes.get_ylim()[0] > 0
    assert axes.get_title(loc="right") == "1 value is cut off, as far as -1e6."


def test_slices_are_on_the_scale_of_their_values(record: ExperimentRecord) -> None:
    slices = prepare_slices(record, order={"train.learning_rate": 1.0})
    found = {each.name: each for each in slices.slices}
    assert slices.slices[0].name == "learning_rate"
    assert found["learning_rate"].scale == "log"
    assert found["layers"].scale == "linear"
    assert (found["kernels"].scale, found["kernels"].categories) == ("category", ("[3,3]", "[5,5]"))
    complete = {trial.number for trial in record.trials if trial.outcome is Outcome.COMPLETE}
    assert set(found["layers"].numbers) == complete
    assert 0 < len(found["base"].numbers) < len(complete)
    figure = draw_slices(slices)
    assert [axes.get_xlabel() for axes in figure.axes[:-1]] == [each.name for each in slices.slices]
    assert figure.axes[0].get_xscale() == "log"


def test_a_parameter_of_one_value_has_no_slice() -> None:
    trials = tuple(replace(run, params={"a": 1, "b": run.number}) for run in runs(0.1, 0.2))
    assert [each.name for each in prepare_slices(replace(EMPTY, trials=trials)).slices] == ["b"]


def test_importance_bars_are_in_order() -> None:
    prepared = prepare_importance({"model.width": 0.2, "train.rate": 0.8}, "val/auc")
    assert (prepared.names, prepared.shares) == (("rate", "width"), (0.8, 0.2))
    axes = draw_importance(prepared).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.8, 0.2]
    assert axes.get_xlabel() == "share of the importance for val/auc"


def test_replicates_have_every_seed_the_mean_and_the_baselines(record: ExperimentRecord) -> None:
    accuracy, loss = prepare_replicates(record)
    assert (accuracy.metric, loss.metric) == ("test/auc", "test/loss")
    assert accuracy.values == ((0.8, 0.9),)
    assert accuracy.means == (pytest.approx(0.85),)
    assert dict(accuracy.baselines) == {"sloreta": 0.6, "<i>minimum norm</i>": 0.5}
    assert dict(loss.baselines) == {"<i>minimum norm</i>": 1.5}
    figure = draw_replicates((accuracy, loss))
    assert [axes.get_ylabel() for axes in figure.axes] == ["test/auc", "test/loss"]


def test_what_is_empty_says_so() -> None:
    figures = {
        "no trial is complete yet": draw_history(prepare_history(EMPTY)),
        "nothing has been reported yet": draw_learning_curves(prepare_learning_curves(EMPTY)),
        "nothing has been confirmed yet": draw_replicates(prepare_replicates(EMPTY)),
        "too few complete trials to tell": draw_importance(prepare_importance({}, "val/auc")),
        "no complete trials with different values": draw_slices(prepare_slices(EMPTY)),
    }
    for text, figure in figures.items():
        assert [each.get_text() for each in figure.axes[0].texts] == [text]
        assert saved(figure)


def test_a_dollar_in_a_name_is_no_formula() -> None:
    trials = tuple(replace(run, params={"$\\bad{$": ["$x", "$\\y{$"][run.number]}) for run in runs(0.1, 0.2))
    record = replace(EMPTY, objective=Monitor("val/$\\loss{$", Goal.MINIMIZE), trials=trials)
    assert saved(draw_slices(prepare_slices(record)))
    assert saved(draw_history(prepare_history(record)))
    assert saved(draw_importance(prepare_importance({"$\\bad{$": 1.0}, "val/$\\loss{$")))
