"""A configuration with ranges in place of values: its parameters, and the ways to fill it.

A template is a tree of plain values, lists and mappings whose leaves may be a Float, Int or Choice; where the family
has a branch it holds a Chosen (one option, fixed) or a BranchRange (a range over the named options).
"""

import copy
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from hpsearch.errors import HpsearchError
from hpsearch.space.ranges import Choice, Float, Int, Range, canonical, same

Condition = tuple[str, str]


@dataclass(frozen=True)
class Chosen:
    """A branch whose option is fixed."""

    name: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class BranchRange:
    """A range over the options of a branch, each with its own settings."""

    settings: Mapping[str, Mapping[str, Any]]

    @property
    def range(self) -> Choice:
        """The choice of an option's name."""
        return Choice(tuple(self.settings))


class Missing:
    """Stands where something was written wrongly, so that it is not judged twice."""


@dataclass(frozen=True)
class Parameter:
    """One range of a space; it exists only when each branch in `when` has taken the option named there."""

    path: str
    range: Range
    when: tuple[Condition, ...] = ()
    branch: bool = False

    def exists(self, params: Mapping[str, Any]) -> bool:
        """Check whether the branches above have taken the options that lead here."""
        return all(params.get(path) == option for path, option in self.when)

    def found_in(self, config: Mapping[str, Any]) -> Any:
        """Return the value of this leaf in a complete configuration.

        Raises:
            HpsearchError: There is none.
        """
        found: Any = config
        for step in self.path.split("."):
            if isinstance(found, Mapping) and step in found:
                found = found[step]
            elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
                found = found[int(step)]
            elif not isinstance(found, Mapping) or found.get("kind") != step:
                raise HpsearchError(f"{self.path}: it has no value")
        if self.branch and isinstance(found, Mapping):
            found = found.get("kind")
        return canonical(self.range, found) if self.range.contains(found) else _option(self.range, found)


@dataclass(frozen=True)
class Template:
    """The tree with its parameters in the order of the file, parents before children."""

    tree: Mapping[str, Any]

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every range of the tree."""
        return tuple(_parameters(self.tree, "", ()))

    @cached_property
    def size(self) -> int | None:
        """How many configurations there are; None when a range is continuous."""
        return _size(self.tree, None)

    @property
    def combinations(self) -> int:
        """How many configurations there are, continuous ranges aside."""
        return _size(self.tree, 1) or 1

    @cached_property
    def broken(self) -> bool:
        """Whether something in it was written wrongly and is missing."""
        return _broken(self.tree)

    def active(self, params: Mapping[str, Any]) -> tuple[Parameter, ...]:
        """Return the parameters that exist under the options that `params` has taken."""
        return tuple(parameter for parameter in self.parameters if parameter.exists(params))

    def fill(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration that these values make.

        Raises:
            HpsearchError: An active parameter has none.
        """
        filled: dict[str, Any] = _fill(self.tree, "", params)
        return filled

    def sample(self, rng: random.Random, given: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
        """Draw a value for every parameter that exists, those aside that are given."""
        params: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.exists(params):
                path = parameter.path
                params[path] = given[path] if path in given else parameter.range.sample(rng)
        return params

    def grid(self) -> Iterator[dict[str, Any]]:
        """Return every combination of values.

        Raises:
            HpsearchError: A range is continuous.
        """
        for parameter in self.parameters:
            if parameter.range.grid() is None:
                raise HpsearchError(f"a grid needs finite ranges: give {parameter.path} a step, or use choice")
        return _combinations(self.parameters, {})

    def written(self) -> dict[str, Any]:
        """Return the tree as a space file writes it."""
        written: dict[str, Any] = _written(self.tree)
        return written


def _option(values: Range, found: Any) -> Any:
    """Return the option that a section with all its settings was written as; what is none of the options as it is."""
    for option in values.options if isinstance(values, Choice) and isinstance(found, Mapping) else ():
        if isinstance(option, Mapping) and all(name in found and same(found[name], option[name]) for name in option):
            return option
    return found


def _children(tree: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping):
        yield from tree.items()
    elif isinstance(tree, list):
        yield from ((str(index), child) for index, child in enumerate(tree))
    elif isinstance(tree, Chosen):
        yield tree.name, tree.settings


def _broken(tree: Any) -> bool:
    return isinstance(tree, Missing) or any(_broken(child) for _, child in _children(tree))


def join(path: str, step: str | int) -> str:
    """Return the dotted path one step further down."""
    return f"{path}.{step}" if path else str(step)


def _parameters(tree: Any, path: str, when: tuple[Condition, ...]) -> Iterator[Parameter]:
    if isinstance(tree, Float | Int | Choice):
        yield Parameter(path, tree, when)
    elif isinstance(tree, BranchRange):
        yield Parameter(path, tree.range, when, branch=True)
        for name, settings in tree.settings.items():
            yield from _parameters(settings, join(path, name), (*when, (path, name)))
    for step, child in _children(tree):
        yield from _parameters(child, join(path, step), when)


def _size(tree: Any, continuous: int | None) -> int | None:
    """Return the number of configurations, a continuous range counted as `continuous` of them (or None)."""
    if isinstance(tree, Float | Int | Choice):
        return continuous if tree.count is None else tree.count
    if isinstance(tree, BranchRange):
        sizes = [_size(settings, continuous) for settings in tree.settings.values()]
        return None if None in sizes else sum(size for size in sizes if size is not None)
    size = 1
    for _, child in _children(tree):
        inner = _size(child, continuous)
        if inner is None:
            return None
        size *= inner
    return size


_PLAIN = (str, int, float, type(None))
"""What most leaves of a template are."""


def _fill(tree: Any, path: str, params: Mapping[str, Any]) -> Any:
    if isinstance(tree, _PLAIN):
        return tree
    if isinstance(tree, Float | Int | Choice):
        return copy.deepcopy(_value(path, params))
    if isinstance(tree, BranchRange):
        name = _value(path, params)
        if name not in tree.settings:
            raise HpsearchError(f"{path} has no option {name!r}; known: {', '.join(tree.settings)}")
        return {"kind": name, **_fill(tree.settings[name], join(path, name), params)}
    if isinstance(tree, Chosen):
        return {"kind": tree.name, **_fill(tree.settings, join(path, tree.name), params)}
    if isinstance(tree, Mapping):
        return {name: _fill(child, join(path, name), params) for name, child in tree.items()}
    if isinstance(tree, list):
        return [_fill(child, join(path, index), params) for index, child in enumerate(tree)]
    return tree


def _value(path: str, params: Mapping[str, Any]) -> Any:
    if path not in params:
        raise HpsearchError(f"no value was given for {path}")
    return params[path]


def _combinations(parameters: Sequence[Parameter], params: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if not parameters:
        yield dict(params)
        return
    first, *rest = parameters
    if not first.exists(params):
        yield from _combinations(rest, params)
        return
    for value in first.range.grid() or ():
        yield from _combinations(rest, {**params, first.path: value})


def _written(tree: Any) -> Any:
    if isinstance(tree, Float | Int | Choice):
        return copy.deepcopy(tree.written())
    if isinstance(tree, BranchRange):
        return {"choice": {name: _written(settings) for name, settings in tree.settings.items()}}
    if isinstance(tree, Chosen):
        return {tree.name: _written(tree.settings)}
    if isinstance(tree, Mapping):
        return {name: _written(child) for name, child in tree.items()}
    return [_written(child) for child in tree] if isinstance(tree, list) else tree
