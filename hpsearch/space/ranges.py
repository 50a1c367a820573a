"""The ranges of a space: what may stand where a configuration has a single value.

The value of a `mutable` range may change while a trial is trained; which pruners change it is theirs to say.
"""

import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any


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


def is_number(value: Any) -> bool:
    """Check whether the value is a finite number, of a size that floats have; a boolean is not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of more than 308 digits
        return False


def same(left: Any, right: Any) -> bool:
    """Check whether two values mean the same: 1 and 1.0 do; 1 and true, or 1 and '1', do not."""
    if is_number(left) and is_number(right):
        return bool(left == right)
    return label(left) == label(right)


def label(value: Any) -> str:
    """Return a stable text for a plain value: its JSON with sorted keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


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
