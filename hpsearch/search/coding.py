"""Configurations as numbers: a position in [0, 1] for each parameter, and the features that a model compares."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.records import is_number, label
from hpsearch.space import Choice, Float, Int, Parameter, Space
from hpsearch.space.ranges import same

Array = NDArray[np.float64]

_ABSENT = 0.5
"""The feature of a number that does not exist: equal for all configurations without it."""


class Coding:
    """The parameters of a space, in its order, as the columns of arrays of positions: (configurations, parameters).

    Numbers have their place on their scale, numbers to choose from their place among the others, and the options of
    other choices equal parts of [0, 1]. A position stands for the nearest value of its range: see `snapped`.
    """

    def __init__(self, space: Space) -> None:
        self.parameters = space.parameters
        self._columns = [_column(parameter) for parameter in self.parameters]
        places = {parameter.path: index for index, parameter in enumerate(self.parameters)}
        self._when = [
            [(places[path], self._columns[places[path]].place(option)) for path, option in parameter.when]
            for parameter in self.parameters
        ]
        widths = [column.width for column in self._columns]
        self.owner = np.repeat(np.arange(len(widths)), widths)
        """The parameter that each feature belongs to."""

    def encode(self, params: Mapping[str, Any]) -> Array:
        """Return the positions of a configuration; a parameter that it does not have gets 0.5."""
        return np.array(
            [
                column.position(params[parameter.path]) if parameter.path in params else _ABSENT
                for parameter, column in zip(self.parameters, self._columns, strict=True)
            ]
        )

    def decode(self, positions: Array, given: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
        """Return the configuration at some positions, shape (parameters,), but for the values that are given."""
        params: dict[str, Any] = {}
        for parameter, column, position in zip(self.parameters, self._columns, positions, strict=True):
            if parameter.exists(params):
                known = parameter.path in given
                params[parameter.path] = given[parameter.path] if known else column.value(float(position))
        return params

    def snapped(self, positions: Array) -> Array:
        """Return the positions of the values that these stand for."""
        return np.column_stack([column.snap(positions[:, index]) for index, column in enumerate(self._columns)])

    def features(self, positions: Array) -> Array:
        """Return what a model compares, shape (configurations, features), of snapped positions."""
        exist = np.ones(positions.shape, dtype=bool)
        parts = []
        for index, (column, when) in enumerate(zip(self._columns, self._when, strict=True)):
            for above, option in when:
                exist[:, index] &= exist[:, above] & (positions[:, above] == option)
            parts.append(column.features(positions[:, index], exist[:, index]))
        return np.concatenate(parts, axis=1)


class _Number:
    """A number, by its place on its scale; of a range with few values each has an equal part of it."""

    width = 1

    def __init__(self, values: Float | Int) -> None:
        self._values = values
        self._step = 1 if isinstance(values, Int) and values.log else None if values.log else values.step
        half = (self._step or 0) / 2
        self._low, self._high = self._scale(values.low - half), self._scale(values.high + half)

    def _scale(self, value: float) -> float:
        return math.log(value) if self._values.log else float(value)

    def position(self, value: Any) -> float:
        width = self._high - self._low
        return (self._scale(value) - self._low) / width if width else _ABSENT

    place = position

    def value(self, position: float) -> Any:
        return self._nearest(float(self._raw(np.array(position))))

    def _raw(self, positions: Array) -> Array:
        scaled = self._low + np.clip(positions, 0.0, 1.0) * (self._high - self._low)
        return np.exp(scaled) if self._values.log else scaled

    def _nearest(self, value: float) -> Any:
        if isinstance(self._values, Float):
            return self._values.nearest(value)
        index = round((value - self._values.low) / self._values.step)
        return self._values.nth(min(max(index, 0), self._values.count - 1))

    def snap(self, positions: Array) -> Array:
        if self._step is None or self._low == self._high:
            return np.clip(positions, 0.0, 1.0)
        steps = np.rint((self._raw(positions) - self._values.low) / self._step) * self._step
        values = np.clip(self._values.low + steps, self._values.low, self._values.high)
        scaled = np.log(values) if self._values.log else values
        return np.asarray((scaled - self._low) / (self._high - self._low))

    def features(self, positions: Array, exist: NDArray[np.bool_]) -> Array:
        return np.where(exist, positions, _ABSENT)[:, None]


class _Option:
    """One of several options: numbers in their order, and other values as different from one another as can be."""

    def __init__(self, values: Choice) -> None:
        options: Sequence[Any] = values.options
        self._ordered = len(options) > 2 and all(map(is_number, options))
        self._options = sorted(options) if self._ordered else list(options)
        self.width = 1 if self._ordered else len(options)

    def place(self, value: Any) -> float:
        """Return the position of an option, which a library may know by its label."""
        index = next((index for index, option in enumerate(self._options) if same(option, value)), None)
        if index is None:
            index = next(index for index, option in enumerate(self._options) if label(option) == value)
        return (index + 0.5) / len(self._options)

    position = place

    def value(self, position: float) -> Any:
        return self._options[int(self._index(np.array([position]))[0])]

    def _index(self, positions: Array) -> NDArray[np.intp]:
        return np.clip(positions * len(self._options), 0, len(self._options) - 1).astype(np.intp)

    def snap(self, positions: Array) -> Array:
        return np.asarray((self._index(positions) + 0.5) / len(self._options))

    def features(self, positions: Array, exist: NDArray[np.bool_]) -> Array:
        if self._ordered:
            return np.where(exist, positions, _ABSENT)[:, None]
        # two options are at a squared distance of 1, as are the ends of a range of numbers
        chosen = np.arange(len(self._options)) == self._index(positions)[:, None]
        return np.where(chosen & exist[:, None], math.sqrt(0.5), 0.0)


def _column(parameter: Parameter) -> _Number | _Option:
    return _Option(parameter.range) if isinstance(parameter.range, Choice) else _Number(parameter.range)
