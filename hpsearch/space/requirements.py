"""Requirements: conditions on a configuration, parsed with `ast` and interpreted here, never handed to Python's eval.

model.width % model.heads == 0
model.position != 'rope' or model.position.rope.base >= model.width
max(model.layers, 2) * model.width <= 2048 and train.precision in ['fp32', 'bf16']
"""

import ast
import operator
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from hpsearch.errors import suggestion
from hpsearch.settings import Option
from hpsearch.space.fields import Branch, SettingsSection, walk
from hpsearch.space.ranges import show

_LONGEST = 500
_DEEPEST = 40
_LARGEST_POWER = 64
_LARGEST_NUMBER = 10.0**100


def _power(base: Any, exponent: Any) -> Any:
    if abs(exponent) > _LARGEST_POWER:
        raise OverflowError("the exponent is too large")
    return base**exponent


_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}
_SIGNS: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {"min": min, "max": max, "abs": abs, "len": len}
_NAMES: dict[str, Any] = {"true": True, "false": False, "null": None, "none": None}


class RequirementError(Exception):
    """A requirement that cannot be understood; the message says why."""


class _NotChosen(Exception):  # noqa: N818 # not an error: the requirement does not apply
    """A setting was mentioned whose branch or section the configuration does not have."""


@dataclass(frozen=True)
class Requirement:
    """A condition that every configuration must fulfil."""

    text: str
    expression: ast.expr = field(compare=False, repr=False)
    paths: tuple[tuple[str, ...], ...] = field(compare=False, repr=False)

    def broken(self, config: BaseModel) -> bool:
        """Check whether a configuration breaks it; one that mentions settings of an option not chosen does not apply.

        What cannot be computed (a division by zero, text compared with a number) counts as broken.
        """
        try:
            for path in self.paths:
                _look_up(config, path)
            return not _evaluate(self.expression, config)
        except _NotChosen:
            return False
        except (ArithmeticError, TypeError, ValueError):
            return True


def parse_requirement(text: Any, settings: SettingsSection) -> Requirement:
    """Parse a requirement and check every setting that it names.

    Raises:
        RequirementError: It is no condition, or names an unknown setting.
    """
    if not isinstance(text, str):
        raise RequirementError(f"{show(text)} is not a condition such as 'model.width % 2 == 0'")
    if len(text) > _LONGEST:
        raise RequirementError(f"longer than {_LONGEST} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expression = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "it is nested too deeply or holds a null character"
        raise RequirementError(f"cannot be read: {reason}") from error
    _check(expression, 0)
    paths = _paths(expression)
    if not paths:
        raise RequirementError("names no setting, so it is always the same")
    for path in paths:
        _check_path(path, settings)
    return Requirement(text, expression, tuple(paths))


def _check(node: ast.expr, depth: int) -> None:
    """Refuse everything but the small language of requirements."""
    if depth > _DEEPEST:
        raise RequirementError("is nested too deeply")
    if isinstance(node, ast.Constant):
        if not isinstance(node.value, bool | int | float | str | None):
            raise RequirementError(f"{ast.unparse(node)} is not a number, text, true, false or null")
    elif isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id not in _FUNCTIONS or node.keywords or not node.args:
            raise RequirementError(f"{ast.unparse(node.func)}(...) cannot be called; known: {', '.join(_FUNCTIONS)}")
    elif isinstance(node, ast.BinOp):
        _check_operators([node.op], _ARITHMETIC)
    elif isinstance(node, ast.Compare):
        _check_operators(node.ops, _COMPARISONS)
    elif isinstance(node, ast.UnaryOp):
        _check_operators([node.op], _SIGNS)
    elif not isinstance(node, ast.BoolOp | ast.List | ast.Tuple) and _path(node) is None:
        raise RequirementError(f"{_shortened(node)} is not allowed here; use settings, numbers, text and comparisons")
    for child in _operands(node):
        _check(child, depth + 1)


def _check_operators(operators: Sequence[ast.AST], known: Any) -> None:
    for each in operators:
        if type(each) not in known:
            raise RequirementError(f"the operator {type(each).__name__} is not allowed")


def _operands(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.Call):
        return node.args
    if _path(node) is not None:
        return []
    return [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]


def _shortened(node: ast.expr) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 40 else text[:37] + "..."


def _path(node: ast.expr) -> tuple[str, ...] | None:
    """Return the steps of `model.position.rope` or `model.sizes[0]`; None for anything else."""
    steps: list[str] = []
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute):
            steps.append(node.attr)
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and type(node.slice.value) is int:
            steps.append(str(node.slice.value))
        else:
            return None
        node = node.value
    return (node.id, *reversed(steps))


def _paths(node: ast.expr) -> list[tuple[str, ...]]:
    path = _path(node)
    if path is not None:
        return [] if path[0] in _NAMES and len(path) == 1 else [path]
    return [found for child in _operands(node) for found in _paths(child)]


def _check_path(path: tuple[str, ...], settings: SettingsSection) -> None:
    steps = list(walk(settings, path))
    if len(steps) == len(path):
        return
    shape = steps[-1][1] if steps else settings
    written, unknown = ".".join(path[: len(steps)]), path[len(steps)]
    known: tuple[str, ...] = ()
    if isinstance(shape, SettingsSection):
        known = tuple(shape.fields)
    elif isinstance(shape, Branch):
        known = tuple(shape.options)
    inside = f" in {written}" if written else ""
    listed = f"; known: {', '.join(known)}" if known else f"; {written} is a single value"
    raise RequirementError(f"names an unknown setting {unknown!r}{inside}{suggestion(unknown, known)}{listed}")


def _look_up(value: Any, path: Sequence[str]) -> Any:
    """Follow a path into a validated configuration.

    Raises:
        _NotChosen: The path leads into an option that was not chosen.
    """
    inside = False  # whether the name of the option has been passed
    for step in path:
        if isinstance(value, Option) and not inside:
            if value.kind != step:
                raise _NotChosen
            inside = True
        elif isinstance(value, BaseModel):
            value, inside = getattr(value, step), False
        elif isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list | tuple) and int(step) < len(value):
            value, inside = value[int(step)], False
        else:
            raise _NotChosen
    return value.kind if isinstance(value, Option) and not inside else value


def _evaluate(node: ast.expr, config: BaseModel) -> Any:
    path = _path(node)
    if path is not None:
        return _NAMES[path[0]] if path[0] in _NAMES and len(path) == 1 else _look_up(config, path)
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.BoolOp):
        decide = all if isinstance(node.op, ast.And) else any
        return decide(_evaluate(operand, config) for operand in node.values)
    if isinstance(node, ast.UnaryOp):
        return _SIGNS[type(node.op)](_evaluate(node.operand, config))
    if isinstance(node, ast.Compare):
        return _compare(node, config)
    values = [_evaluate(operand, config) for operand in _operands(node)]
    if isinstance(node, ast.BinOp):
        return _ARITHMETIC[type(node.op)](*(_bounded(value) for value in values))
    return (
        _FUNCTIONS[node.func.id](*values) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else values
    )


def _compare(node: ast.Compare, config: BaseModel) -> bool:
    left = _evaluate(node.left, config)
    for compare, operand in zip(node.ops, node.comparators, strict=True):
        right = _evaluate(operand, config)
        if not _COMPARISONS[type(compare)](left, right):
            return False
        left = right
    return True


def _bounded(value: Any) -> int | float:
    """Arithmetic is for numbers of a sensible size: no repeated text, no formatting, no memory filled by a power."""
    if not isinstance(value, int | float):
        raise TypeError("arithmetic needs numbers")
    if abs(value) > _LARGEST_NUMBER:
        raise OverflowError("the number is too large")
    return value
