"""Ranges as other tools write them, and how they are written here: the help of a message, never a reading.

W&B sweeps (`values`, `min` and `max` with a `distribution`), Optuna (`suggest_float`, `loguniform`, `low` and `high`),
Ray Tune (`tune.loguniform(1e-4, 1e-1)`, `grid_search`), Hydra (`choice(a, b)`, `interval(a, b)`, `range(a, b)`), and a
bare list.
"""

import ast
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hpsearch.records import is_number
from hpsearch.space.ranges import flow

_CALL = re.compile(r"(?:[A-Za-z_]+\.)*([A-Za-z_]+)\((.*)\)\s*", flags=re.DOTALL)
_LOG = ("log", "loguniform", "log_uniform")
_OPTIONS = ("values", "categorical", "grid_search", "suggest_categorical", "choices", "options", "sample_from")


def help_for(value: Any) -> str:
    """Return how a value that looks like another tool's range is written here; empty if it looks like none."""
    if isinstance(value, Mapping):
        written = _mapping({str(key): each for key, each in value.items()})
    elif isinstance(value, list):
        written = _choice(value)
    elif isinstance(value, str):
        written = _call(value)
    else:
        written = None
    return f"write {written}" if written else ""


def _mapping(value: dict[str, Any]) -> str | None:
    for name in _OPTIONS:
        if isinstance(value.get(name), list | Mapping):
            return _choice(list(value[name]))
    if set(value) <= {"value", "distribution"} and "value" in value:  # W&B: a constant
        return flow(value["value"])
    kind = str(value.get("distribution", value.get("type", ""))).lower()
    if {"min", "max"} <= set(value):
        return _numbers(value["min"], value["max"], kind, step=value.get("q"), log=value.get("log"))
    if {"low", "high"} <= set(value):
        return _numbers(value["low"], value["high"], kind, step=value.get("step"), log=value.get("log"))
    for name, bounds in value.items():
        plain = name.removeprefix("suggest_").removeprefix("tune.").lower()
        if plain in _KINDS and isinstance(bounds, list) and len(bounds) >= 2:
            log = bool(value.get("log")) or any(word in plain for word in _LOG)
            return _numbers(bounds[0], bounds[1], plain, step=value.get("step"), log=log)
    return None


_KINDS = (
    *(
        "int",
        "float",
        "uniform",
        "loguniform",
        "log_uniform",
        "quniform",
        "randint",
        "int_uniform",
        "log_uniform_values",
    ),
    *("discrete_uniform", "qloguniform", "lograndint", "real", "integer", "interval", "range"),
)


def _call(text: str) -> str | None:
    """Read `tune.loguniform(1e-4, 1e-1)` and `choice(a, b)`: names and literals only."""
    found = _CALL.fullmatch(text.strip())
    if found is None:
        return None
    kind = found[1].removeprefix("suggest_").lower()
    values = _arguments(found[2])
    if values is None:
        return None
    numbers = [value for value in values if is_number(value)]
    if kind in ("choice", "categorical", "grid_search", "shuffle"):
        return _choice(list(values[0]) if len(values) == 1 and isinstance(values[0], list) else values)
    if kind not in _KINDS or len(numbers) < 2:
        return None
    if kind in ("range", "randint", "lograndint") and all(isinstance(number, int) for number in numbers):
        numbers[1] -= 1  # these exclude their upper bound
    step = numbers[2] if len(numbers) > 2 and kind != "range" else None
    return _numbers(numbers[0], numbers[1], kind, step=step, log=kind.startswith("log") or kind == "qloguniform")


def _arguments(text: str) -> list[Any] | None:
    """Return the literals between the brackets of a call; bare words are texts."""
    quoted = re.sub(r"(?<![\w.'\"-])([A-Za-z_][\w-]*)(?![\w.'\"(=])", r"'\1'", text)
    try:
        read = ast.literal_eval(f"[{quoted}]")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return list(read)


def _choice(options: Sequence[Any]) -> str | None:
    return f"{{choice: [{', '.join(flow(option) for option in options)}]}}" if options else None


def _numbers(low: Any, high: Any, kind: str, *, step: Any, log: Any) -> str | None:
    """Return a range of numbers; whole bounds of nothing else than a float make whole numbers."""
    if not is_number(low) or not is_number(high) or not low < high:
        return None
    on_log_scale = bool(log) or "log" in kind
    if kind in ("log_uniform", "q_log_uniform") and not (low > 0):  # W&B's are exponents of e
        low, high = _rounded(math.exp(low)), _rounded(math.exp(high))
    whole = isinstance(low, int) and isinstance(high, int) and not any(word in kind for word in ("float", "real"))
    if whole and kind in ("uniform", "quniform", "log_uniform_values", "loguniform"):
        whole = False
    bounds = f"[{flow(low)}, {flow(high)}]"
    if whole:
        more = ", log: true" if on_log_scale else f", step: {flow(step)}" if is_number(step) and step != 1 else ""
        return f"{{int: {bounds}{more}}}"
    if on_log_scale:
        return f"{{log: {bounds}}}" if low > 0 else None
    return f"{{float: {bounds}{f', step: {flow(step)}' if is_number(step) else ''}}}"


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
