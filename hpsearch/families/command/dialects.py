"""The dialects in which programs print numbers: JSON, Python, words for people, progress bars, colours."""

import ast
import json
import re
import warnings
from collections.abc import Mapping
from typing import Any

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
"""Colours and movements of the cursor (ECMA-48), and titles of windows."""
_NUMBER = re.compile(
    r"[\s(\[{'\"=:]*(?:[a-z_][\w.]*\()?"
    r"([-+]?(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan|inf(?:inity)?))"
    r"[\s.,;:%)\]}'\"|/]*",
    re.ASCII | re.IGNORECASE,
)
"""A number with what may stand around it in print: quotation marks, brackets, `tensor(`, a percent sign."""
_STARTS = 4
"""At how many braces of a line an object may begin."""
_OF_ALL = re.compile(r"[\s(\[]*(\d+)\s*/\s*\d+[\s)\]:,]*", re.ASCII)
"""A step of so many, as in `epoch 3/10`."""


def visible(line: str) -> str:
    """Return what a terminal would show at last of a line, without colours.

    After a carriage return, as in a progress bar, the line is written anew; after backspaces its end is.
    """
    states = [state for state in _ESCAPES.sub("", line).split("\r") if state.strip("\b \t\n")]
    return _overwritten(states[-1]) if states else ""


def _overwritten(text: str) -> str:
    if "\b" not in text:
        return text
    shown: list[str] = []
    place = 0
    for letter in text:
        if letter == "\b":
            place = max(0, place - 1)
        else:
            shown[place:] = [letter]
            place += 1
    return "".join(shown)


def parsed(text: str) -> Mapping[str, Any]:
    """Return the object at the end of a line, in JSON or as Python prints a dict; a logger may have words before it.

    The words may have braces, and of two objects the last counts where both tell the same.
    """
    first, end = text.find("{"), text.rstrip()
    start = first
    for _ in range(_STARTS if end.endswith("}") else 0):
        if start < 0:
            break
        if found := _object(end[start:]):
            return {**_object(end[first:start].rstrip()), **found}
        start = text.find("{", start + 1)
    return {}


def _object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return _python_dict(text)
    return found if isinstance(found, dict) else {}


def _python_dict(text: str) -> Mapping[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return {}
    if not isinstance(node, ast.Dict):
        return {}
    pairs = zip(node.keys, node.values, strict=True)
    return {
        key.value: _literal(value) for key, value in pairs if isinstance(key, ast.Constant) and type(key.value) is str
    }


def _literal(node: ast.expr) -> Any:
    """Return the value of a number or text, also one within `tensor(...)` or `np.float64(...)`; else None."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return node.id if node.id in ("nan", "inf") else None
    if isinstance(node, ast.Call) and node.args:
        return _literal(node.args[0])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = number_in(_literal(node.operand))
        return None if value is None else -value
    return None


def matched(text: str, pattern: str) -> Mapping[str, Any]:
    """Return the groups of all matches in a line; of several the last counts."""
    found: dict[str, Any] = {}
    for match in re.finditer(pattern, text):
        found |= {name.replace("__", "/"): group for name, group in match.groupdict().items() if group is not None}
    return found


def number_in(value: Any) -> float | None:
    """Return a number, also one in print; None for anything else and for one that is too large for a float."""
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value)
        return float(match[1]) if match else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def of_all(value: Any) -> float | None:
    """Return the first number of a step of so many, as in `3/10`; None for anything else."""
    match = _OF_ALL.fullmatch(str(value))
    return float(match[1]) if match else None
