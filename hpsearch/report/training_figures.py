"""Pictures of one training: losses, learning rate, moving average, rate of change; and of a range test."""

from collections.abc import Sequence

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


def draw_range(
    rates: Sequence[float],
    losses: Sequence[float],
    smoothed: Sequence[float],
    suggestions: Sequence[tuple[str, float | None]],
) -> Figure:
    """Draw a learning rate range test: the loss over the rate, with what it suggests."""
    figure = new_figure()
    axes = figure.add_subplot()
    tidy(axes, x="learning rate", y="train/loss")
    if not rates:
        say(axes, "the loss was never finite")
        return figure
    axes.set_xscale("log")
    axes.plot(rates, losses, ".", color=GREY, label="loss")
    axes.plot(rates, smoothed, color=BLUE, label="smoothed")
    for (name, rate), style in zip(suggestions, ("--", ":"), strict=False):
        if rate is not None:
            axes.axvline(rate, color=ORANGE, ls=style, label=f"{name}: {rate:.2g}")
    if losses[0] > 0:  # the last losses of a divergence would flatten everything else
        axes.set_ylim(top=min(1.05 * max(losses), 2.5 * max(smoothed[0], losses[0])))
    axes.legend(frameon=False)
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
