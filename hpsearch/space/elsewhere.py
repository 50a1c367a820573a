"""Ranges as other tools write them, and how they are written here: the help of a message, never a reading.

W&B sweeps (`values`, `min` and `max` with a `distribution`), Optuna (`suggest_float`, `loguniform`, `low` and `high`),
Ray Tune (`tune.loguniform(1e-4, 1e-1)`, `grid_search`), Hydra (`choice(a, b)`, `interval(a, b)`, `range(a, b)`, `a,b`),
Hyperopt (`hp.loguniform('lr', -9, -2)`), NNI (`_type`, `_value`), Ax (`bounds`), and a bare list.
"""

import ast
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from hpsearch.errors import SpaceError
from hpsearch.records import is_number
from hpsearch.space.located_yaml import Place, parse
from hpsearch.space.ranges import RangeSyntaxError, flow, read_range

_LOG = ("log", "loguniform", "log_uniform")
_OPTIONS = ("values", "categorical", "grid_search", "suggest_categorical", "choices", "options", "sample_from")
_CHOICES = ("choice", "categorical", "grid_search", "shuffle")
_BOUNDS = (("min", "max"), ("low", "high"), ("lower", "upper"))
_SCALES = ("scale", "scaling", "sampling", "scale_type")
"""What tells the scale in words, as Keras Tuner, Vizier and SigOpt have it."""
_HIGHEST_EXPONENT = 100
_MOST_STEPS = 1e6
_CALL = re.compile(r"\s*[A-Za-z_][\w.]*\(.*\)\s*", flags=re.DOTALL)
_LISTED = re.compile(r"\s*[-+.\deE]+\s*(,\s*[-+.\deE]+\s*)+")
_WORD = re.compile(r"(?<![\w.'\"-])([A-Za-z_][\w-]*)(?![\w.'\"(=-])")


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
    return f"write {written}" if written and _holds(written) else ""


def _holds(written: str) -> bool:
    """Check whether what the help would say can be read: others' bounds may be infinite, equal, or texts."""
    try:
        node = parse(written, Place("help"))
        return not node.mapping or read_range(node) is not None
    except (SpaceError, RangeSyntaxError, OverflowError):
        return False


def meant_as_range(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Yield path, value and `help_for` of settings like another tool's range, where nothing says what they are.

    A list and a lone `value` are no sign of one, as programs have such settings; but where a program's command has a
    place for the whole setting, as `--lr {lr}`, they are.
    """
    command = settings.get("command")
    text = command if isinstance(command, str) else " ".join(map(str, command)) if isinstance(command, list) else ""
    yield from _meant_as_range(settings, "", text)


def _meant_as_range(settings: Mapping[str, Any], path: str, command: str) -> Iterator[tuple[str, Any, str]]:
    for name, value in settings.items():
        full = f"{path}.{name}" if path else str(name)
        certain = isinstance(value, Mapping) and "value" not in value
        written = isinstance(value, str) and _LISTED.fullmatch(value) is None
        asked_for = isinstance(value, Mapping | list) and any(f"{{{each}}}" in command for each in {full, str(name)})
        if (certain or written or asked_for) and (right := help_for(value)):
            yield full, value, right
        elif isinstance(value, Mapping):
            yield from _meant_as_range(value, full, command)


def _mapping(value: dict[str, Any]) -> str | None:
    if {"_type", "_value"} <= set(value) and isinstance(value["_value"], list):
        kind = str(value["_type"])
        return _choice(value["_value"]) if kind == "choice" else _called(kind, value["_value"], {})
    for name in _OPTIONS:
        if isinstance(value.get(name), list | Mapping):
            return _choice(list(value[name]))
    if set(value) <= {"value", "distribution"} and "value" in value:  # W&B: a constant
        return flow(value["value"])
    if found := _bounded(value, str(value.get("distribution", value.get("type", ""))).lower()):
        return found
    for name, bounds in value.items():
        plain = name.removeprefix("suggest_").removeprefix("tune.").lower()
        if isinstance(bounds, Mapping) and plain in (*_KINDS, "log"):
            return _bounded({str(key): each for key, each in bounds.items()}, plain)
        if plain in _KINDS and isinstance(bounds, list) and len(bounds) >= 2:
            log = bool(value.get("log")) or any(word in plain for word in _LOG)
            return _numbers(bounds[0], bounds[1], plain, step=value.get("step", value.get("q")), log=log)
    return None


def _bounded(value: Mapping[str, Any], kind: str) -> str | None:
    """Read two bounds, by whichever names they have."""
    log, step = value.get("log", value.get("log_scale")), value.get("q", value.get("step"))
    log = log or any("log" in str(value.get(name, "")).lower() for name in _SCALES)
    bounds = value.get("bounds")
    if isinstance(bounds, list) and len(bounds) == 2:
        return _numbers(bounds[0], bounds[1], kind, step=step, log=log)
    named = next((names for names in _BOUNDS if set(names) <= set(value)), None)
    return _numbers(value[named[0]], value[named[1]], kind, step=step, log=log) if named else None


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
    """Read `tune.loguniform(1e-4, 1e-1)`, `choice(a, b)` and `1, 2, 3`.

    The text is parsed, and nothing in it is run: `literal_eval` makes numbers, texts and lists, and refuses the rest.
    """
    try:
        if _LISTED.fullmatch(text):
            return _choice(list(ast.literal_eval(f"[{text}]")))
        if not _CALL.fullmatch(text):
            return None
        with warnings.catch_warnings(action="ignore"):  # of Python about a text that is none: '\\d', 1if
            called = ast.parse(_WORD.sub(_literal, text.strip()), mode="eval").body
        while isinstance(called, ast.Call) and _name(called) == "tag" and called.args:  # Hydra: tag(log, interval(...))
            called = called.args[-1]
        if not isinstance(called, ast.Call):
            return None
        values = [ast.literal_eval(argument) for argument in called.args]
        named = {str(each.arg): ast.literal_eval(each.value) for each in called.keywords}
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    kind, module = _name(called), ast.unparse(called.func).rpartition(".")[0]
    if kind.startswith("suggest_") or module.rpartition(".")[2] in ("hp", "trial"):
        values = values[1:] if values and isinstance(values[0], str) else values  # Optuna, Hyperopt: the setting's name
    if module.rpartition(".")[2] == "hp" and "log" in kind and len(values) > 1:  # Hyperopt's bounds are exponents of e
        if not all(is_number(value) and abs(value) < _HIGHEST_EXPONENT for value in values[:2]):
            return None
        values[:2] = [_rounded(math.exp(value)) for value in values[:2]]
    return _called(kind.removeprefix("suggest_").lower(), values, named)


def _literal(word: re.Match[str]) -> str:
    """Return a bare word as a literal: a text, unless it is one of YAML's or Python's constants."""
    known = {"true": "True", "false": "False", "null": "None", "none": "None"}
    return known.get(word[1].lower(), repr(word[1]))


def _name(called: ast.Call) -> str:
    return ast.unparse(called.func).rpartition(".")[2]


def _called(kind: str, values: list[Any], named: Mapping[str, Any]) -> str | None:
    """Return what a call of this name with these arguments means."""
    if kind in _CHOICES:
        offered = next((named[name] for name in ("choices", "categories", "values") if name in named), None)
        values = values if offered is None else [offered]
        return _choice(list(values[0]) if len(values) == 1 and isinstance(values[0], list | tuple) else values)
    bounds = next(
        ([named[low], named[high]] for low, high in (*_BOUNDS, ("start", "stop")) if {low, high} <= set(named)), []
    )
    numbers = [value for value in values or bounds if is_number(value)]
    if kind not in _KINDS or len(numbers) < 2:
        return None
    if kind in ("range", "randint", "lograndint") and all(isinstance(number, int) for number in numbers):
        numbers[1] -= 1  # these exclude their upper bound
    step = named.get("step", named.get("q", numbers[2] if len(numbers) > 2 else None))
    log = named.get("log") or kind.startswith("log") or kind == "qloguniform"
    return _numbers(numbers[0], numbers[1], kind, step=None if log else step, log=log)


def _choice(options: Sequence[Any]) -> str | None:
    return f"{{choice: [{', '.join(flow(option) for option in options)}]}}" if options else None


def _numbers(low: Any, high: Any, kind: str, *, step: Any, log: Any) -> str | None:
    """Return a range of numbers; whole bounds of nothing else than a float make whole numbers."""
    if not is_number(low) or not is_number(high) or not low < high:
        return None
    on_log_scale = bool(log) or "log" in kind
    if kind in ("log_uniform", "q_log_uniform") and not (low > 0):  # W&B's are exponents of e
        if max(-low, high) >= _HIGHEST_EXPONENT:
            return None
        low, high = _rounded(math.exp(low)), _rounded(math.exp(high))
    whole = isinstance(low, int) and isinstance(high, int) and not any(word in kind for word in ("float", "real"))
    if whole and kind in ("uniform", "quniform", "log_uniform_values", "loguniform"):
        whole = False
    if on_log_scale and not low > 0:
        return None
    if not is_number(step) or not 0 < step <= high - low < _MOST_STEPS * step or (whole and not isinstance(step, int)):
        step = None
    elif not on_log_scale:
        high = _reached(low, high, step)
    bounds = f"[{flow(low)}, {flow(high)}]"
    if whole:
        more = ", log: true" if on_log_scale else f", step: {flow(step)}" if step is not None and step != 1 else ""
        return f"{{int: {bounds}{more}}}"
    if on_log_scale:
        return f"{{log: {bounds}}}"
    return f"{{float: {bounds}{f', step: {flow(step)}' if step is not None else ''}}}"


def _reached(low: float, high: float, step: float) -> float:
    """Return the highest bound that whole steps reach: ours ends on a step, others' need not."""
    first, last, each = (Decimal(repr(value)) for value in (low, high, step))
    return type(high)(first + (last - first) // each * each)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
