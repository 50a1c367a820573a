"""The ranges of a space, how they are written in YAML, and every way in which that can be wrong.

The value of a `mutable` range may change while a trial is trained; the pruners say which of them change it.
"""

import math
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from hpsearch.records import is_number, label
from hpsearch.space.located_yaml import Node, Place


@dataclass(frozen=True)
class Float:
    """A number between two bounds, both included; on a log scale, or in steps that reach the upper bound exactly."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    mutable: bool = False

    @property
    def count(self) -> int | None:
        """How many values it has; None when it is continuous."""
        return None if self.step is None else steps_between(self.low, self.high, self.step) + 1

    def contains(self, value: Any) -> bool:
        """Check whether the value lies in the range (and on its steps)."""
        slack = 0.0 if self.step is None else 1e-9 * self.step  # somebody may have computed it: 0.1 + 2 * 0.1
        if not is_number(value) or not self.low - slack <= value <= self.high + slack:
            return False
        return bool(abs(value - self.nearest(value)) <= slack)

    def nearest(self, value: float) -> float:
        """Return the value of the range that lies nearest to a number."""
        value = min(max(float(value), self.low), self.high)
        return value if self.step is None else self.nth(round((value - self.low) / self.step))

    def sample(self, rng: random.Random) -> float:
        """Draw a value, uniform on its scale."""
        if self.count is not None:
            return self.nth(rng.randrange(self.count))
        if self.log:
            drawn = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        else:
            drawn = self.low + (self.high - self.low) * rng.random()
        return min(max(drawn, self.low), self.high)

    def grid(self) -> Sequence[float] | None:
        """Return every value, or None when it is continuous."""
        return None if self.count is None else tuple(self.nth(index) for index in range(self.count))

    def written(self) -> dict[str, Any]:
        """Return the range as a space file writes it."""
        if self.step is not None:
            return {"float": [self.low, self.high], "step": self.step, **_flags(self)}
        return {"log" if self.log else "float": [self.low, self.high], **_flags(self)}

    def nth(self, index: int) -> float:
        """Return the value that is `index` steps above the lower bound.

        Decimal arithmetic gives 0.3 where floats give 0.30000000000000004.
        """
        return float(Decimal(repr(self.low)) + index * Decimal(repr(self.step)))


@dataclass(frozen=True)
class Int:
    """A whole number between two bounds, both included."""

    low: int
    high: int
    step: int = 1
    log: bool = False
    mutable: bool = False

    @property
    def count(self) -> int:
        """How many values it has."""
        return (self.high - self.low) // self.step + 1

    def contains(self, value: Any) -> bool:
        """Check whether the value is one of the range's whole numbers."""
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return self.low <= value <= self.high and (value - self.low) % self.step == 0

    def sample(self, rng: random.Random) -> int:
        """Draw a value, uniform on its scale."""
        if not self.log:
            return self.nth(rng.randrange(self.count))
        drawn = math.exp(rng.uniform(math.log(self.low - 0.5), math.log(self.high + 0.5)))
        return min(max(round(drawn), self.low), self.high)

    def nth(self, index: int) -> int:
        """Return the value that is `index` steps above the lower bound."""
        return self.low + self.step * index

    def grid(self) -> Sequence[int]:
        """Return every value."""
        return range(self.low, self.high + 1, self.step)

    def written(self) -> dict[str, Any]:
        """Return the range as a space file writes it."""
        extra: dict[str, Any] = {"log": True} if self.log else {}
        step = {"step": self.step} if self.step != 1 else {}
        return {"int": [self.low, self.high], **extra, **step, **_flags(self)}


@dataclass(frozen=True)
class Choice:
    """One of several values of any kind; for a branch, the names of its options."""

    options: tuple[Any, ...]
    mutable: bool = False

    @property
    def count(self) -> int:
        """How many values it has."""
        return len(self.options)

    def contains(self, value: Any) -> bool:
        """Check whether the value is one of the options."""
        return any(same(value, option) for option in self.options)

    def sample(self, rng: random.Random) -> Any:
        """Draw an option."""
        return self.options[rng.randrange(len(self.options))]

    def grid(self) -> Sequence[Any]:
        """Return every option."""
        return self.options

    def written(self) -> dict[str, Any]:
        """Return the range as a space file writes it."""
        return {"choice": list(self.options), **_flags(self)}


Range = Float | Int | Choice


def _flags(values: Range) -> dict[str, Any]:
    return {"mutable": True} if values.mutable else {}


def same(left: Any, right: Any) -> bool:
    """Check whether two values mean the same: 1 and 1.0 do; 1 and true, or 1 and '1', do not."""
    if type(left) is str and type(right) is str:  # names of options: most values of most trials
        return left == right
    if is_number(left) and is_number(right):
        return bool(left == right)
    return label(left) == label(right)


def canonical(values: Range, value: Any) -> Any:
    """Return a value of a range in the range's own form: the option itself, a float for a Float, on its step."""
    if isinstance(values, Choice):
        return next((option for option in values.options if same(option, value)), value)
    return values.nearest(value) if isinstance(values, Float) else int(value) if isinstance(values, Int) else value


def steps_between(low: float, high: float, step: float) -> int:
    """Count the whole steps between two bounds."""
    return int((Decimal(repr(high)) - Decimal(repr(low))) / Decimal(repr(step)))


def step_fits(low: float, high: float, step: float) -> bool:
    """Check whether a whole number of steps leads from `low` to `high` exactly."""
    return (Decimal(repr(high)) - Decimal(repr(low))) % Decimal(repr(step)) == 0


HEADS = ("float", "log", "int", "choice")
KEYS = (*HEADS, "step", "mutable")
_MOST_STEPS = 1_000_000
INFINITE = "{} is not a finite number; for a program that reads it as text put it in quotes"
"""What is wrong with `.inf` and `.nan`."""


class RangeSyntaxError(Exception):
    """A range that is written wrongly: where, why, and what to write."""

    def __init__(self, place: Place, message: str, right: str = "") -> None:
        super().__init__(message)
        self.place = place
        self.right = right


def looks_like_range(node: Node, *, settings: Collection[str] = ()) -> bool:
    """Check whether a mapping means to be a range; `settings` are names that mean settings here."""
    return any(head in node.mapping and head not in settings for head in HEADS)


def read_range(node: Node) -> Range:
    """Return the range that a mapping describes.

    Raises:
        RangeSyntaxError: It is written wrongly.
    """
    keys = node.mapping
    for name, child in keys.items():
        if name not in KEYS:
            message = f"a range and settings are mixed: {name!r} is not part of a range (known: {', '.join(KEYS)})"
            raise RangeSyntaxError(child.key, message)
    mutable = _flag(keys.get("mutable"), "'mutable' of a range")
    return replace(_read(node), mutable=mutable)


def _read(node: Node) -> Range:
    keys = node.mapping
    if "choice" in keys:
        _only(node, "choice", ())
        return _read_choice(keys["choice"])
    if "int" in keys:
        _only(node, "int", ("step", "log"))
        return _read_int(node)
    if "float" in keys:
        _only(node, "float", ("step", "log"))
        low, high = _bounds(keys["float"], "float")
        return _float(node, keys["float"], float(low), float(high), log=_flag(keys.get("log")))
    _only(node, "log", ())
    low, high = _bounds(keys["log"], "log")
    return _float(node, keys["log"], float(low), float(high), log=True)


def _only(node: Node, head: str, others: tuple[str, ...]) -> None:
    for name, child in node.mapping.items():
        if name != head and name not in (*others, "mutable"):
            raise RangeSyntaxError(child.key, f"'{name}' does not go together with '{head}'")


def _bounds(node: Node, head: str) -> tuple[Any, Any]:
    if len(node.items) != 2:
        raise RangeSyntaxError(node.place, f"'{head}' needs two bounds: {{{head}: [low, high]}}")
    for item in node.items:
        if not is_number(item.value):
            raise RangeSyntaxError(item.place, f"the bound {show(item.plain())} is not a number")
    low, high = (item.value for item in node.items)
    if low >= high:  # type: ignore[operator] # both were just seen to be numbers
        turns = low > high and (head != "log" or high > 0)  # type: ignore[operator]
        right = f"write {{{head}: [{flow(high)}, {flow(low)}]}}" if turns else ""
        raise RangeSyntaxError(node.place, f"the lower bound {low} is not below the upper bound {high}", right)
    return low, high


def _flag(node: Node | None, called: str = "'log' with 'int' or 'float'") -> bool:
    if node is None:
        return False
    if not isinstance(node.value, bool):
        raise RangeSyntaxError(node.place, f"{called} is true or false")
    return node.value


def _check_log(bounds: Node, low: float) -> None:
    if low <= 0:
        raise RangeSyntaxError(bounds.items[0].place, f"a log scale needs bounds above 0, not {low:g}")


def _float(node: Node, bounds: Node, low: float, high: float, *, log: bool) -> Float:
    step = node.mapping.get("step")
    if log:
        _check_log(bounds, low)
        if step:
            raise RangeSyntaxError(step.place, "a range on a log scale cannot have a step")
    if step is None:
        return Float(low, high, log=log)
    return Float(low, high, step=float(_step(step, low, high)))


def _read_int(node: Node) -> Int:
    bounds = node.mapping["int"]
    low, high = (_whole(item, value) for item, value in zip(bounds.items, _bounds(bounds, "int"), strict=True))
    log = _flag(node.mapping.get("log"))
    step = node.mapping.get("step")
    if log:
        _check_log(bounds, low)
        if step:
            raise RangeSyntaxError(step.place, "a range on a log scale cannot have a step")
    return Int(low, high, log=log, step=1 if step is None else _whole(step, _step(step, low, high)))


def _whole(node: Node, value: float) -> int:
    """Return a whole number, which may be written as 1e3."""
    if value != int(value):
        raise RangeSyntaxError(node.place, f"{value:g} is not a whole number")
    return int(value)


def _step(node: Node, low: float, high: float) -> float:
    step = node.value
    if isinstance(step, bool) or not isinstance(step, int | float) or not is_number(step) or step <= 0:
        raise RangeSyntaxError(node.place, f"the step {show(node.plain())} is not a number above 0")
    if (high - low) / step > _MOST_STEPS:
        raise RangeSyntaxError(node.place, f"the step {step} makes more than a million values; leave it out")
    if not step_fits(low, high, step):
        raise RangeSyntaxError(node.place, f"steps of {step} from {low} do not reach {high}")
    return step


def _read_choice(node: Node) -> Choice:
    if isinstance(node.value, dict):
        raise RangeSyntaxError(node.place, "named options are for a branch; here write a list: {choice: [a, b]}")
    if not node.items:
        raise RangeSyntaxError(node.place, "'choice' needs a list of at least one option")
    for index, item in enumerate(node.items):
        if _holds_range(item):
            raise RangeSyntaxError(item.place, "a range is not possible inside a list of options")
        if (infinite := _infinite(item)) is not None:
            raise RangeSyntaxError(infinite.place, INFINITE.format(show(infinite.value)))
        if any(same(item.plain(), other.plain()) for other in node.items[:index]):
            raise RangeSyntaxError(item.place, f"the option {show(item.plain())} is given twice")
    return Choice(tuple(item.plain() for item in node.items))


def is_infinite(node: Node) -> bool:
    """Check whether a node holds a number that is not finite, for which JSON and so every file of a run has no word."""
    return isinstance(node.value, float) and not math.isfinite(node.value)


def _infinite(node: Node) -> Node | None:
    """Return the first number below a node that is not finite."""
    if is_infinite(node):
        return node
    return next(filter(None, map(_infinite, (*node.mapping.values(), *node.items))), None)


def _holds_range(node: Node) -> bool:
    children = [*node.mapping.values(), *node.items]
    if looks_like_range(node) and all(name in KEYS for name in node.mapping):
        return True
    return any(_holds_range(child) for child in children)


def show(value: Any) -> str:
    """Return a value as a space file writes it, on one line and shortened."""
    text = flow(value)
    return text if len(text) <= 80 else text[:77] + "..."


def flow(value: Any) -> str:
    """Return a plain value in YAML's one-line style."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {flow(child)}" for name, child in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(child) for child in value) + "]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return repr(value) if isinstance(value, str) else str(value)
