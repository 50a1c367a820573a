"""Figures of how the score hangs on the parameters. `prepare_x` gives the numbers, `draw_x` draws them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpsearch.records import ExperimentRecord, RunRecord
from hpsearch.report.drawing import BLUE, ORANGE, PANEL, label, new_figure, say, tidy
from hpsearch.report.wording import plain, short_names

LOG_RATIO = 30.0
"""Positive values that span a larger ratio are shown on a log scale."""
Scale = Literal["linear", "log", "category"]


class Slice(NamedTuple):
    """One parameter: its values and the objective of the trials that have it; `categories` are at places 0, 1, ..."""

    name: str
    scale: Scale
    categories: tuple[str, ...]
    numbers: tuple[int, ...]
    places: tuple[float, ...]
    values: tuple[float, ...]


class Slices(NamedTuple):
    """The slices of all parameters that vary, and the number of the best trial."""

    metric: str
    best: int | None
    slices: tuple[Slice, ...]


def prepare_slices(record: ExperimentRecord, *, order: Mapping[str, float] | None = None) -> Slices:
    """Take the complete trials; parameters with one value only are left out. `order`: importances, largest first."""
    trials = [trial for trial in record.ranked if trial.value is not None and math.isfinite(trial.value)]
    paths = list(dict.fromkeys(path for trial in record.trials for path in trial.params))
    names = short_names(paths)
    paths.sort(key=lambda path: -(order or {}).get(path, 0.0))
    slices = [_slice(path, names[path], [trial for trial in trials if path in trial.params]) for path in paths]
    varying = tuple(each for each in slices if len(set(each.places)) > 1)
    return Slices(record.objective.metric, None if record.best is None else record.best.number, varying)


def _slice(path: str, name: str, trials: Sequence[RunRecord]) -> Slice:
    given = [trial.params[path] for trial in trials]
    scale: Scale = "linear"
    categories: tuple[str, ...] = ()
    if all(_is_number(value) for value in given):
        places = [float(value) for value in given]
        if places and min(places) > 0 and max(places) / min(places) > LOG_RATIO:
            scale = "log"
    else:
        scale, categories = "category", tuple(sorted({plain(value) for value in given}))
        places = [float(categories.index(plain(value))) for value in given]
    values = tuple(trial.value for trial in trials if trial.value is not None)
    return Slice(name, scale, categories, tuple(trial.number for trial in trials), tuple(places), values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def draw_slices(slices: Slices) -> Figure:
    """Draw a panel for each parameter, a point for each trial (the later the darker) and a ring around the best."""
    count = len(slices.slices)
    columns = min(3, max(1, count))
    rows = max(1, math.ceil(count / columns))
    figure = new_figure(max(4.5, PANEL[0] * columns), max(3.2, PANEL[1] * rows))
    if not count:
        axes = figure.add_subplot()
        tidy(axes, x="parameter", y=slices.metric)
        say(axes, "no complete trials with different values")
        return figure
    latest = max(max(each.numbers) for each in slices.slices)
    for index, each in enumerate(slices.slices):
        axes = figure.add_subplot(rows, columns, index + 1, sharey=figure.axes[0] if index else None)
        _draw_slice(axes, each, slices.best, latest)
        tidy(axes, x=each.name, y=slices.metric if index % columns == 0 else "")
    points = figure.axes[0].collections[0]
    figure.colorbar(points, ax=figure.axes, label="trial", fraction=0.04)
    return figure


def _draw_slice(axes: Axes, part: Slice, best: int | None, latest: int) -> None:
    axes.scatter(
        part.places, part.values, c=part.numbers, cmap="cividis_r", vmin=0, vmax=max(latest, 1), s=22, linewidths=0
    )
    if best in part.numbers:
        at = part.numbers.index(best)
        axes.plot(part.places[at], part.values[at], "o", mfc="none", mec=ORANGE, mew=1.8, markersize=10)
    if part.scale == "log":
        axes.set_xscale("log")
    if part.scale == "category":
        slanted: dict[str, Any] = {"rotation": 30, "ha": "right"} if len(part.categories) > 3 else {}
        axes.set_xticks(range(len(part.categories)), [label(name) for name in part.categories], **slanted)
        axes.set_xlim(-0.5, len(part.categories) - 0.5)


class Importance(NamedTuple):
    """Shares of the parameters, the largest first."""

    metric: str
    names: tuple[str, ...]
    shares: tuple[float, ...]


def prepare_importance(importance: Mapping[str, float], metric: str) -> Importance:
    """Order the shares that `engines.importance` found."""
    names = short_names(importance)
    ordered = sorted(importance.items(), key=lambda item: -item[1])
    return Importance(metric, tuple(names[path] for path, _ in ordered), tuple(share for _, share in ordered))


def draw_importance(importance: Importance) -> Figure:
    """Draw a bar with its percentage for each parameter."""
    count = len(importance.names)
    figure = new_figure(6.4, max(2.4, 0.9 + 0.32 * count))
    axes = figure.add_subplot()
    tidy(axes, x=f"share of the importance for {importance.metric}", y="")
    if not count:
        say(axes, "too few complete trials to tell")
        return figure
    bars = axes.barh(range(count), importance.shares, color=BLUE)
    axes.bar_label(bars, [f"{share:.0%}" for share in importance.shares], padding=3)
    axes.set_yticks(range(count), [label(name) for name in importance.names])
    axes.invert_yaxis()
    axes.set_xlim(0, max(importance.shares) * 1.12)
    axes.grid(visible=False, axis="y")
    return figure
