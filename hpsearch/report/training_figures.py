"""Pictures of one training: losses, learning rate, moving average, rate of change."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hpsearch.report.drawing import BLUE, GREEN, GREY, ORANGE, PANEL, label, new_figure, say, tidy
from hpsearch.report.training_view import Series, TrainingView


def draw_training(view: TrainingView) -> Figure:
    """Draw four panels: losses, learning rate with the schedule's decisions, moving average, its rate of change."""
    figure = new_figure(PANEL[0] * 2.6, PANEL[1] * 2.2)
    losses, rate, average, speed = figure.subplots(2, 2).flat
    figure.suptitle(label(view.title, longest=64))
    _panel(losses, view.unit, "loss" if view.train or view.val else view.metric.name)
    lines = [(view.train, BLUE, "o"), (view.val, ORANGE, "s")] if view.train or view.val else [(view.metric, BLUE, "o")]
    for series, colour, marker in lines:
        _line(losses, series, colour, marker)
    _end(losses)
    _panel(rate, view.unit, "learning rate")
    _line(rate, view.rate, GREEN, ".")
    if view.rate and min(view.rate.values) > 0:
        rate.set_yscale("log")
    for decision in view.decisions:
        rate.axvline(decision.step, color=GREY, lw=1, ls=":")
    _end(rate, legend=False)
    _panel(average, view.unit, view.average.name)
    _line(average, view.average, BLUE, "")
    _end(average, legend=False)
    _panel(speed, view.unit, f"change per {view.unit}")
    speed.axhline(0.0, color=GREY, lw=1)
    _line(speed, view.speed, ORANGE, "")
    _end(speed, legend=False)
    return figure


def _panel(axes: Axes, unit: str, name: str) -> None:
    tidy(axes, x=unit, y=name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _line(axes: Axes, series: Series, colour: str, marker: str) -> None:
    if series:
        axes.plot(series.steps, series.values, marker=marker, markersize=3, color=colour, label=label(series.name))


def _end(axes: Axes, *, legend: bool = True) -> None:
    named = [line for line in axes.lines if not str(line.get_label()).startswith("_")]
    if not named:
        say(axes, "nothing yet")
    elif legend:
        axes.legend(frameon=False)
