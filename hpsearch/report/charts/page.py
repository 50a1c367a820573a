"""Each picture for the page: traces and layout as plotly.js reads them, from what prepare_x gave."""

from collections.abc import Iterable, Mapping, Sequence
from math import log10
from typing import Any

from hpsearch.records import Goal
from hpsearch.report.charts.limits import Limits, robust_limits, whole_step
from hpsearch.report.charts.numbers import (
    Axis,
    Cost,
    Curves,
    Differences,
    Parallel,
    Scores,
    Searches,
    axis_ticks,
    short_label,
)
from hpsearch.report.charts.style import MOST_NAMED, Palette

Plot = dict[str, Any]
_ROW = 46
"""Pixels for one line of a picture with a line for each experiment."""
_DIFFERENCE, _MEAN = "#888888", "#444444"
"""A difference belongs to two experiments: it has the colour of neither."""
_SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x", "star")


def plot_scores(scores: Scores, palette: Palette) -> Plot:
    """Show a row of points for each experiment; resting on one names its run."""
    traces: list[Plot] = []
    for line in scores.lines:
        ink, symbol = palette.colour(line.name), _SYMBOLS[palette.place(line.name) % len(_SYMBOLS)]
        mark = {"color": ink, "symbol": symbol, "opacity": 0.55, "size": 9}
        traces.append(_points(line.name, line.values, line.units, mark))
        traces.append(_mean(line.name, line.mean, line.interval, ink))
    return {"data": traces, "layout": _rows(len(scores.lines), x=scores.metric)}


def plot_differences(differences: Differences) -> Plot:
    """Show a row of paired differences for each pair, with the mean, its interval and the margin."""
    traces: list[Plot] = []
    for line in differences.lines:
        mark = {"color": _DIFFERENCE, "opacity": 0.5, "size": 8}
        traces.append(_points(line.name, line.differences, line.units, mark))
        traces.append(_mean(line.name, line.mean, line.interval, _MEAN))
    layout = _rows(len(differences.lines), x=f"difference in {differences.metric}")
    shapes = [
        {"type": "line", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "yref": "paper", "line": {"color": "#888", "width": 1}}
    ]
    if differences.margin is not None:
        band = {"type": "rect", "x0": -differences.margin, "x1": differences.margin, "y0": 0, "y1": 1, "yref": "paper"}
        shapes.append({**band, "fillcolor": "#888", "opacity": 0.2, "line": {"width": 0}, "layer": "below"})
    layout["shapes"] = shapes
    return {"data": traces, "layout": layout}


def _points(name: str, values: Sequence[float], units: Sequence[str], mark: Plot) -> Plot:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": list(values),
        "y": [name] * len(values),
        "text": list(units),
        "marker": mark,
        "hovertemplate": "%{text}: %{x}<extra></extra>",
        "showlegend": False,
    }


def _mean(name: str, mean: float | None, interval: tuple[float, float] | None, ink: str) -> Plot:
    trace: Plot = {
        "type": "scatter",
        "mode": "markers",
        "x": [mean],
        "y": [name],
        "showlegend": False,
        "marker": {"color": ink, "symbol": "line-ns-open", "size": 18, "line": {"width": 3}},
        "hovertemplate": "mean %{x}<extra></extra>",
    }
    if interval is not None and mean is not None:
        bars = {"type": "data", "symmetric": False, "array": [interval[1] - mean], "arrayminus": [mean - interval[0]]}
        trace["error_x"] = {**bars, "color": ink, "thickness": 2, "width": 6}
        trace["hovertemplate"] = f"mean %{{x}}, interval {interval[0]:.4g} to {interval[1]:.4g}<extra></extra>"
    return trace


def _rows(lines: int, *, x: str) -> Plot:
    return {
        "height": 110 + _ROW * max(1, lines),
        "xaxis": {"title": {"text": x}, "zeroline": False},
        "yaxis": {"autorange": "reversed", "automargin": True, "type": "category"},
    }


def plot_curves(curves: Curves, palette: Palette) -> Plot:
    """Show lines with bands, a ring at a line's best step; a click in the legend hides one. It names the best ones."""
    traces: list[Plot] = [_unnamed(line.name, line.x, line.y, shape="linear") for line in curves.lines[MOST_NAMED:]]
    for line in curves.lines[:MOST_NAMED]:
        ink = palette.colour(line.name)
        if line.low != line.high:
            both = [*line.x, *reversed(line.x)], [*line.high, *reversed(line.low)]
            band = {
                "type": "scatter",
                "x": both[0],
                "y": both[1],
                "fill": "toself",
                "mode": "none",
                "hoverinfo": "skip",
            }
            fill = {"fillcolor": _faint(ink), "showlegend": False, "legendgroup": line.name}
            traces.append({**band, **fill})
        dash = ("solid", "dash", "dashdot", "dot")[palette.place(line.name) % 4]
        drawn = {"type": "scatter", "mode": "lines", "x": list(line.x), "y": list(line.y), "name": line.name}
        traces.append({**drawn, "line": {"color": ink, "dash": dash}, "legendgroup": line.name})
        if line.best is not None:
            ring = {"type": "scatter", "mode": "markers", "x": [line.x[line.best]], "y": [line.y[line.best]]}
            look = {"marker": {"color": ink, "symbol": "circle-open", "size": 12, "line": {"width": 2}}}
            hover = {"hovertemplate": "best step: %{x}, %{y}<extra></extra>", "showlegend": False}
            traces.append({**ring, **look, **hover, "legendgroup": line.name})
    layout = _axes(curves.x_title, curves.y_title, limits=curves.limits)
    if curves.whole:
        layout["xaxis"] |= _whole(x for line in curves.lines for x in line.x)
    return {"data": traces, "layout": layout}


def _unnamed(name: str, x: Sequence[float], y: Sequence[float], *, shape: str) -> Plot:
    """Return one of so many lines that a legend could not name them; resting on it says which it is."""
    drawn = {"type": "scatter", "mode": "lines", "x": list(x), "y": list(y), "name": name, "showlegend": False}
    hover = {"text": [name] * len(x), "hovertemplate": "%{text}: %{y}<extra></extra>"}
    return {**drawn, **hover, "line": {"color": _GREY, "width": 1, "shape": shape}, "opacity": 0.6}


def plot_searches(searches: Searches, palette: Palette) -> Plot:
    """Show points for the complete trials, a step line for the best so far."""
    traces: list[Plot] = [
        _unnamed(line.name, line.numbers, line.best, shape="hv") for line in searches.lines[MOST_NAMED:]
    ]
    for line in searches.lines[:MOST_NAMED]:
        ink = palette.colour(line.name)
        points = {
            "type": "scatter",
            "mode": "markers",
            "x": list(line.numbers),
            "y": list(line.values),
            "name": line.name,
        }
        look = {"marker": {"color": ink, "opacity": 0.4}, "showlegend": False, "legendgroup": line.name}
        traces.append({**points, **look})
        best = {"type": "scatter", "mode": "lines", "x": list(line.numbers), "y": list(line.best)}
        step = {"line": {"color": ink, "shape": "hv"}, "name": f"{line.name}, best so far", "legendgroup": line.name}
        traces.append({**best, **step})
    layout = _axes("complete trials", searches.metric, limits=searches.limits)
    layout["xaxis"] |= _whole(float(n) for line in searches.lines for n in line.numbers)
    return {"data": traces, "layout": layout}


def _axes(x: str, y: str, *, limits: Limits | None = None) -> Plot:
    return {
        "height": 420,
        "xaxis": {"title": {"text": x}},
        "yaxis": {"title": {"text": y}, "automargin": True} | ({"range": [limits.low, limits.high]} if limits else {}),
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
    }


def _whole(values: Iterable[float]) -> Plot:
    """Return the ticks of an axis of whole numbers."""
    found = list(values)
    return {"dtick": whole_step(min(found), max(found)), "tick0": 0, "tickformat": ",d"} if found else {}


_SCALE = ("#e8d95a", "#a59c74", "#575d6d", "#00224e")
"""From the worst value to the best, in Cividis, which the colour-blind read too; report.js turns it on a dark page."""
_GREY = "#b9bec4"
"""Of a trial without a value."""


def plot_parallel(parallel: Parallel) -> Plot:
    """Show a line for each trial over its parameters; dragging along an axis keeps the lines that pass there.

    Trials without a value are grey, and their ends are on the axis of outcomes.
    """
    found = [value for value in parallel.values if value is not None]
    low, high = min(found), max(found)
    limits = robust_limits(found, parallel.goal)
    low, high = (max(low, limits.low), min(high, limits.high)) if limits else (low, high)
    span = (high - low) or 1.0
    shown = [low - 0.1 * span if value is None else min(max(value, low), high) for value in parallel.values]
    dimensions = [_dimension(axis) for axis in parallel.axes]
    dimensions.append({"label": parallel.metric, "values": shown})
    kinds = list(dict.fromkeys(parallel.outcomes))
    if len(kinds) > 1:
        ends = {"tickvals": list(range(len(kinds))), "ticktext": kinds, "range": [0, len(kinds) - 1]}
        dimensions.append({"label": "outcome", "values": [kinds.index(each) for each in parallel.outcomes]} | ends)
    look = {"color": shown, "colorscale": _colours(parallel), "cmin": min(shown), "cmax": high, "showscale": True}
    trace = {"type": "parcoords", "dimensions": dimensions, "line": look, "labelangle": -15}
    return {"data": [trace], "layout": {"height": 460, "margin": {"l": 70, "r": 60, "t": 90, "b": 30}}}


def _colours(parallel: Parallel) -> list[list[Any]]:
    """Return the scale of colours, below which trials without a value are grey."""
    inks = _SCALE if parallel.goal is Goal.MAXIMIZE else _SCALE[::-1]
    foot = 0.0 if parallel.complete == len(parallel.values) else 0.08
    stops = [[foot + (1 - foot) * place / (len(inks) - 1), ink] for place, ink in enumerate(inks)]
    return [[0.0, _GREY], [foot, _GREY], *stops] if foot else stops


def _dimension(axis: Axis) -> Plot:
    """Return an axis; a missing value of a trial is below the others."""
    low, high = (log10(axis.low), log10(axis.high)) if axis.log else (axis.low, axis.high)
    span = (high - low) or 1.0
    below = low - 0.12 * span
    missing = any(value is None for value in axis.values)
    values = [below if value is None else log10(value) if axis.log else value for value in axis.values]
    dimension: Plot = {"label": short_label(axis.name), "values": values}
    dimension["range"] = [below if missing else low, low + span]
    ticks = axis_ticks(axis)
    return dimension | {"tickvals": [place for place, _ in ticks], "ticktext": [text for _, text in ticks]}


def plot_slices(parallel: Parallel, ink: str) -> Plot:
    """Show a panel for each parameter, on the scale of the space: a point for each complete trial."""
    count = len(parallel.axes)
    columns = min(_PANELS, count)
    rows = -(-count // columns)
    layout: Plot = {"height": 60 + 240 * rows, "showlegend": False}
    layout["grid"] = {"rows": rows, "columns": columns, "pattern": "independent", "xgap": 0.12, "ygap": 0.35}
    limits = robust_limits((value for value in parallel.values if value is not None), parallel.goal)
    traces = []
    for place, axis in enumerate(parallel.axes, start=1):
        end = "" if place == 1 else str(place)
        kept = [
            (log10(at) if axis.log else at, value, number)
            for at, value, number in zip(axis.values, parallel.values, parallel.numbers, strict=True)
            if at is not None and value is not None
        ]
        points = {"type": "scatter", "mode": "markers", "xaxis": f"x{end}", "yaxis": f"y{end}"}
        drawn = {"x": [at for at, _, _ in kept], "y": [value for _, value, _ in kept]}
        hover = {"text": [f"trial {number}" for *_, number in kept], "hovertemplate": "%{text}: %{y}<extra></extra>"}
        traces.append({**points, **drawn, **hover, "marker": {"color": ink, "opacity": 0.7, "size": 7}})
        ticks = axis_ticks(axis)
        values, texts = [at for at, _ in ticks], [text for _, text in ticks]
        low, high = (log10(axis.low), log10(axis.high)) if axis.log else (axis.low, axis.high)
        around = 0.06 * ((high - low) or 1.0)
        layout[f"xaxis{end}"] = {
            "title": {"text": short_label(axis.name)},
            "tickvals": values,
            "ticktext": texts,
            "range": [low - around, high + around],
        }
        first = (place - 1) % columns == 0
        layout[f"yaxis{end}"] = {"automargin": True, "title": {"text": parallel.metric if first else ""}}
        if limits:
            layout[f"yaxis{end}"]["range"] = [limits.low, limits.high]
    return {"data": traces, "layout": layout}


_PANELS = 3
"""In a row of slices."""


def plot_importance(shares: Mapping[str, float], ink: str) -> Plot:
    """Show a bar for each parameter's share, in the colour of its experiment."""
    bar = {
        "type": "bar",
        "orientation": "h",
        "x": list(shares.values()),
        "y": list(shares),
        "marker": {"color": ink},
    }
    return {
        "data": [bar],
        "layout": _rows(len(shares), x="importance") | {"yaxis": {"autorange": "reversed", "automargin": True}},
    }


def plot_costs(costs: Sequence[Cost], palette: Palette) -> Plot:
    """Show a bar for each experiment's training time."""
    text = [f"{cost.runs} runs, {cost.per_run:.1f} s each" for cost in costs]
    bar = {"type": "bar", "orientation": "h", "x": [cost.seconds / 60 for cost in costs], "y": [c.name for c in costs]}
    marker = {"color": [palette.colour(cost.name) for cost in costs]}
    look = {"text": text, "marker": marker, "hovertemplate": "%{x:.2f} min: %{text}<extra></extra>"}
    return {"data": [{**bar, **look}], "layout": _rows(len(costs), x="training time in minutes")}


def _faint(ink: str) -> str:
    red, green, blue = (int(ink[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"
