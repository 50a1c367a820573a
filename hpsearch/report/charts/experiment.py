"""Figures of an experiment: `prepare_x` gives the numbers, `draw_x` draws them; neither needs a screen."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hpsearch.records import ExperimentRecord, Outcome, RunRecord
from hpsearch.report.charts.limits import Limits, robust_limits
from hpsearch.report.charts.style import (
    BLUE,
    GREEN,
    GREY,
    MARKERS,
    ORANGE,
    PANEL,
    label,
    name_above,
    new_figure,
    say,
    show_limits,
    tidy,
)
from hpsearch.report.replicates import group_of, reached, scored, summarise, summarise_baselines
from hpsearch.report.wording import plain, short_names


class ValueHistory(NamedTuple):
    """The complete trials' values in their order, the best so far, and the numbers of the other trials."""

    metric: str
    numbers: tuple[int, ...]
    values: tuple[float, ...]
    best: tuple[float, ...]
    others: tuple[int, ...]
    limits: Limits | None = None


def prepare_history(record: ExperimentRecord) -> ValueHistory:
    """Values of trials that are not complete are left out: they are of a smaller budget."""
    kept = [
        (trial.number, trial.value)
        for trial in record.trials
        if trial.outcome is Outcome.COMPLETE and trial.value is not None and math.isfinite(trial.value)
    ]
    numbers, values = tuple(number for number, _ in kept), tuple(value for _, value in kept)
    others = tuple(t.number for t in record.trials if t.outcome is not None and t.number not in numbers)
    metric, goal = record.objective.metric, record.objective.goal
    return ValueHistory(metric, numbers, values, tuple(reached(values, goal)), others, robust_limits(values, goal))


def draw_history(history: ValueHistory) -> Figure:
    """Points for the trials, a line for the best so far, ticks at the foot for trials without a full value."""
    figure = new_figure()
    axes = figure.add_subplot()
    tidy(axes, x="trial", y=history.metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    show_limits(axes, history.limits)
    if not history.numbers:
        say(axes, "no trial is complete yet")
        return figure
    axes.plot(history.numbers, history.values, "o", color=BLUE, markersize=4, label="complete trials")
    axes.step(history.numbers, history.best, where="post", color=ORANGE, label="best so far")
    if history.others:
        feet = [0.0] * len(history.others)
        transform = axes.get_xaxis_transform()
        axes.plot(
            history.others, feet, "|", color=GREY, transform=transform, clip_on=False, label="pruned, failed, ..."
        )
    name_above(figure, axes)
    return figure


class TrialCurve(NamedTuple):
    """The metric of one trial at its steps; `taken` is the point that gives the trial its value, or None."""

    number: int
    complete: bool
    best: bool
    steps: tuple[int, ...]
    values: tuple[float, ...]
    taken: tuple[int, float] | None = None


class LearningCurves(NamedTuple):
    """The curves of all trials, the best one last; `unit` is what a step counts."""

    metric: str
    unit: str
    curves: tuple[TrialCurve, ...]
    limits: Limits | None = None


def prepare_learning_curves(record: ExperimentRecord) -> LearningCurves:
    """Take the objective's metric at each step of every trial."""
    best = record.best
    curves = []
    for trial in record.trials:
        finite = [(step, value) for step, value in trial.history if math.isfinite(value)]
        if finite:
            steps, values = zip(*finite, strict=True)
            complete, is_best = trial.outcome is Outcome.COMPLETE, best is not None and trial.number == best.number
            taken = next((point for point in finite if point[0] == trial.step), None) if record.at == "best" else None
            curves.append(TrialCurve(trial.number, complete, is_best, steps, values, taken))
    ordered = sorted(curves, key=lambda curve: (curve.best, curve.complete))
    limits = robust_limits((value for curve in curves for value in curve.values), record.objective.goal)
    return LearningCurves(record.objective.metric, record.unit, tuple(ordered), limits)


def draw_learning_curves(curves: LearningCurves) -> Figure:
    """Complete trials in blue, the others in grey, the best one in orange on top; a ring marks each one's best step."""
    figure = new_figure()
    axes = figure.add_subplot()
    tidy(axes, x=curves.unit, y=curves.metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    show_limits(axes, curves.limits)
    if not curves.curves:
        say(axes, "nothing has been reported yet")
        return figure
    named: set[str] = set()
    for curve in curves.curves:
        name = f"trial {curve.number} (best)" if curve.best else "complete" if curve.complete else "not complete"
        colour = ORANGE if curve.best else BLUE if curve.complete else GREY
        width, alpha, marker = (2.2, 1.0, "o") if curve.best else (1.0, 0.6, ".")
        shown = "" if name in named else name
        axes.plot(
            curve.steps, curve.values, marker=marker, markersize=3, color=colour, lw=width, alpha=alpha, label=shown
        )
        named.add(name)
        if curve.complete and curve.taken is not None:
            ring = "" if "best step" in named else "best step"
            step, value = curve.taken
            axes.plot([step], [value], "o", markersize=8, fillstyle="none", color=colour, alpha=alpha, label=ring)
            named.add("best step")
    name_above(figure, axes)
    return figure


class ReplicateScores(NamedTuple):
    """One test metric: values, mean and standard deviation by confirmed trial, and the baselines' (mean) scores."""

    metric: str
    trials: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    means: tuple[float, ...]
    deviations: tuple[float | None, ...]
    baselines: tuple[tuple[str, float], ...]


def prepare_replicates(record: ExperimentRecord) -> tuple[ReplicateScores, ...]:
    """Return the complete replicates' scores, a group for each test metric, or for the objective if there is none."""
    record, metrics = scored(record)
    groups = []
    summaries, floors = summarise(record.replicates), summarise_baselines(record.baselines)
    for metric in metrics:
        trials = [group for group, scores in summaries.items() if metric in scores]
        if not trials:
            continue
        values = [
            tuple(
                each.scores[metric]
                for each in record.replicates
                if group_of(each) == group and each.outcome is Outcome.COMPLETE and metric in each.scores
            )
            for group in trials
        ]
        baselines = [(name, scores[metric].mean) for name, scores in floors.items() if metric in scores]
        found = [summaries[group][metric] for group in trials]
        means, deviations = tuple(each.mean for each in found), tuple(each.sd for each in found)
        groups.append(
            ReplicateScores(metric, tuple(map(str, trials)), tuple(values), means, deviations, tuple(baselines))
        )
    return tuple(groups)


def draw_replicates(groups: Sequence[ReplicateScores]) -> Figure:
    """Draw a panel for each metric: points for the trainings, their mean and deviation, lines for the baselines."""
    figure = new_figure(max(4.5, PANEL[0] * 1.4 * len(groups)), 3.6)
    if not groups:
        axes = figure.add_subplot()
        tidy(axes, x="confirmed trial", y="test score")
        say(axes, "nothing has been confirmed yet")
    for index, group in enumerate(groups):
        _draw_group(figure.add_subplot(1, len(groups), index + 1), group)
    if groups:
        name_above(figure, figure.axes[0])  # all panels have the same series
    return figure


def _draw_group(axes: Axes, group: ReplicateScores) -> None:
    tidy(axes, x="confirmed trial", y=group.metric)
    places = range(len(group.trials))
    axes.set_xticks(places, group.trials)
    axes.set_xlim(-0.6, len(group.trials) - 0.4)
    for place, values, mean, deviation in zip(places, group.values, group.means, group.deviations, strict=True):
        name = "replicates" if place == 0 else ""
        axes.plot([place] * len(values), values, "o", color=BLUE, alpha=0.7, markersize=5, label=name)
        bar = None if deviation is None else [deviation]
        shown = "mean ± sd" if place == 0 else ""
        axes.errorbar([place + 0.15], [mean], yerr=bar, fmt="D", color=ORANGE, capsize=4, markersize=5, label=shown)
    for index, (name, score) in enumerate(group.baselines):
        style = ("--", ":", "-.")[index % 3]
        marker = MARKERS[index % len(MARKERS)]
        axes.axhline(score, ls=style, color=GREEN, marker=marker, markevery=[0], label=label(name))


LOG_RATIO = 30.0
"""Where no space says how they were searched: positive values that span a larger ratio are shown on a log scale."""
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


def prepare_slices(
    record: ExperimentRecord,
    *,
    order: Mapping[str, float] | None = None,
    ranges: Mapping[str, Mapping[str, Any]] | None = None,
) -> Slices:
    """Take the complete trials; parameters with one value only are left out.

    `order` are importances, the largest comes first; `ranges` are those of the space, whose scales are then taken.
    """
    trials = [trial for trial in record.ranked if trial.value is not None and math.isfinite(trial.value)]
    paths = list(dict.fromkeys(path for trial in record.trials for path in trial.params))
    names = short_names(paths)
    paths.sort(key=lambda path: -(order or {}).get(path, 0.0))
    having = {path: [trial for trial in trials if path in trial.params] for path in paths}
    slices = [_slice(path, names[path], having[path], (ranges or {}).get(path, {})) for path in paths]
    varying = tuple(each for each in slices if len(set(each.places)) > 1)
    return Slices(record.objective.metric, None if record.best is None else record.best.number, varying)


def _slice(path: str, name: str, trials: Sequence[RunRecord], written: Mapping[str, Any]) -> Slice:
    given = [trial.params[path] for trial in trials]
    scale: Scale = "linear"
    categories: tuple[str, ...] = ()
    if "choice" not in written and all(_is_number(value) for value in given):
        places = [float(value) for value in given]
        guessed = bool(places) and min(places) > 0 and max(places) / min(places) > LOG_RATIO
        if written.get("log") if written else guessed:
            scale = "log"
    else:
        options = [plain(option) for option in written.get("choice", ())]
        scale = "category"
        categories = tuple(dict.fromkeys([*options, *sorted({plain(value) for value in given})]))
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
