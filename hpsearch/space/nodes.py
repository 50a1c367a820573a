"""Values that know where they were written, and what is wrong with them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from hpsearch.errors import Problem, SpaceError

Scalar = str | int | float | bool | None
ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Place:
    """Where something was written: 1-based line and column; line 0 when the source has no lines."""

    source: str
    line: int = 0
    column: int = 0

    def problem(self, message: str) -> Problem:
        """Return a Problem at this place."""
        return Problem(self.source, self.line, self.column, message)


class Problems:
    """Collects what is wrong with a file while it is read, so that all its mistakes are raised at once."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def add(self, place: Place, message: str) -> None:
        """Note a mistake at a place."""
        self._found.append(place.problem(message))

    def extend(self, problems: Iterable[Problem]) -> None:
        """Note the problems that something else found."""
        self._found.extend(problems)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._found)

    def __len__(self) -> int:
        """How many were noted; one that a second reading found again counts twice."""
        return len(self._found)

    def checked(self, value: ValueT | None) -> ValueT:
        """Return the value that was read, which may be None only after a problem.

        Raises:
            SpaceError: With each problem once, if there is any.
        """
        if value is None or self._found:
            raise SpaceError(dict.fromkeys(self._found))
        return value


@dataclass(frozen=True)
class Node:
    """A value with its place; `key` is the place of its key, or its own place if it has none."""

    value: "Scalar | dict[str, Node] | list[Node]"
    place: Place
    key: Place

    @property
    def mapping(self) -> "dict[str, Node]":
        """The children of a mapping; empty for anything else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> "list[Node]":
        """The items of a list; empty for anything else."""
        return self.value if isinstance(self.value, list) else []

    def plain(self) -> Any:
        """Return the value without places."""
        if isinstance(self.value, dict):
            return {name: child.plain() for name, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def child(self, step: str | int) -> "Node | None":
        """Return the child with this key or index (an index may be text), or None."""
        if isinstance(self.value, dict):
            return self.value.get(str(step))
        if isinstance(self.value, list) and str(step).isdecimal() and int(step) < len(self.value):
            return self.value[int(step)]
        return None

    def nearest(self, path: Sequence[str | int]) -> "Node":
        """Return the node at `path`; steps that were not written are passed over: the nearest ancestor answers."""
        node = self
        for step in path:
            node = node.child(step) or node
        return node

    def with_child(self, name: str, child: "Node") -> "Node":
        """Return a copy of a mapping in which `name` has this value; a key that exists keeps its position."""
        return replace(self, value={**self.mapping, name: child})


def node_from_plain(value: Any, place: Place) -> Node:
    """Wrap plain data in nodes that are all at `place`."""
    if isinstance(value, dict):
        return Node({str(name): node_from_plain(child, place) for name, child in value.items()}, place, place)
    if isinstance(value, list | tuple):
        return Node([node_from_plain(child, place) for child in value], place, place)
    return Node(value, place, place)
