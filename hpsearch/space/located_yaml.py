"""YAML in which every value knows where it was written, so that each mistake can be shown at its line and column.

Scalars follow the core schema of YAML 1.2: `1e-3`, `.5`, `0x10` and `0o17` are numbers, `012` is 12; `1:30`, `on` and
`no` are text. Aliases are followed; merge keys (`<<`), tags and duplicate keys are refused. Nothing is ever constructed
but text, numbers, booleans, null, lists and mappings.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from yaml.composer import Composer
from yaml.nodes import MappingNode, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from hpsearch.errors import Problem, SpaceError
from hpsearch.plain_files import read_plain

Scalar = str | int | float | bool | None
ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Place:
    """Where something was written: 1-based line and column; line 0 when the source has no lines."""

    source: str
    line: int = 0
    column: int = 0

    def problem(self, message: str, help: str = "") -> Problem:  # noqa: A002 -- the word of a Problem
        """Return a Problem at this place."""
        return Problem(self.source, self.line, self.column, message, help)


class Problems:
    """Collects what is wrong with a file while it is read, so that all its mistakes are raised at once."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def add(self, place: Place, message: str, help: str = "") -> None:  # noqa: A002 -- the word of a Problem
        """Note a mistake at a place, and what would be right."""
        self._found.append(place.problem(message, help))

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


_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"([-+]?)\.(?:inf|Inf|INF)")
_NAN = re.compile(r"\.(?:nan|NaN|NAN)")

_UNTAGGED = "untagged"
_QUOTED = "quoted"
_LARGEST_INTEGER = 2**63 - 1
_MOST_VALUES = 20_000
_MOST_BYTES = 1 << 20
_DEEPEST = 40


def read_file(path: Path, problems: Problems | None = None) -> tuple[str, Node]:
    """Return the text of a YAML file and its root node; see `parse`.

    Raises:
        SpaceError: The file cannot be read or parsed.
    """
    start = Place(str(path), 1, 1)
    if path.suffix == ".py":
        right = f"`hpsearch init {path}` writes a space file for it"
        raise SpaceError([Place(str(path)).problem("is a program, not a space file", right)])
    try:
        data = read_plain(path, most=_MOST_BYTES)
    except OSError as error:
        reason = "is a folder, not a file" if path.is_dir() else f"cannot be read: {error.strerror or error}"
        raise SpaceError([Place(str(path)).problem(reason)]) from error
    except ValueError as error:  # a null character in the path
        raise SpaceError([Place(str(path)).problem(f"is not the name of a file: {error}")]) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = _place_in(data[: error.start].decode("utf-8", "replace"), start.source)
        raise SpaceError([place.problem(f"not UTF-8 text (byte 0x{data[error.start]:02x})")]) from error
    return text, parse(text, start, problems)


def parse(text: str, start: Place, problems: Problems | None = None) -> Node:
    """Parse a YAML document. When `start` has line 0, every node is at `start`.

    Mistakes that leave something to read, such as duplicate keys, are added to `problems` if that is given.

    Raises:
        SpaceError: The text is not YAML, or holds what is refused.
    """
    try:
        composer = _Composer(text)
        document = composer.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(start.source, mark.line + 1, mark.column + 1) if mark and start.line else start
        message = ", ".join(part for part in (error.context, error.problem) if part)
        escaped = "unknown escape character" in message
        right = "within '...' a backslash stands for itself; within double quotes write two" if escaped else ""
        raise SpaceError([place.problem(f"not valid YAML: {message}", right)]) from error
    except ReaderError as error:
        place = _place_in(text[: error.position], start.source) if start.line else start
        raise SpaceError(
            [place.problem(f"not valid YAML: the character {error.character!r} is not allowed")]
        ) from error
    except (RecursionError, ValueError, OverflowError) as error:
        raise SpaceError([start.problem("not valid YAML: nested too deeply, or an impossible escape")]) from error
    if document is None:
        return Node(None, start, start)
    builder = _Builder(start)
    root = builder.build(document, None, 0)
    if problems is None:
        return builder.problems.checked(root)
    problems.extend(builder.problems)
    return root


def _place_in(before: str, source: str) -> Place:
    lines = before.split("\n")
    return Place(source, len(lines), len(lines[-1]) + 1)


class _Composer(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML's parser up to the node graph, with a resolver that only notes whether a scalar was quoted."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:  # noqa: ARG002 # the parent's signature
        return _QUOTED if kind is ScalarNode and not implicit[0] else _UNTAGGED


class _Builder:
    """Turns PyYAML's nodes into ours and collects what must be refused."""

    def __init__(self, start: Place) -> None:
        self.start = start
        self.problems = Problems()
        self.values = 0

    def place(self, node: yaml.Node) -> Place:
        if not self.start.line:
            return self.start
        return Place(self.start.source, node.start_mark.line + 1, node.start_mark.column + 1)

    def build(self, node: yaml.Node, key: Place | None, depth: int) -> Node:
        place = self.place(node)
        self.values += 1
        value: Any = None
        if self.values > _MOST_VALUES or depth > _DEEPEST:
            if not any("too large" in problem.message for problem in self.problems):
                self.problems.add(place, "too large: too many values, nested too deeply, or an endless alias")
        elif node.tag not in (_UNTAGGED, _QUOTED):
            self.problems.add(place, f"tags such as {_short_tag(node.tag)} are not allowed; write plain values")
        elif isinstance(node, MappingNode):
            value = self.build_mapping(node, depth)
        elif isinstance(node, SequenceNode):
            value = [self.build(child, None, depth + 1) for child in node.value]
        elif isinstance(node, ScalarNode):
            value = self.build_scalar(node, place)
        return Node(value, place, key or place)

    def build_mapping(self, node: MappingNode, depth: int) -> dict[str, Node]:
        children: dict[str, Node] = {}
        for key_node, value_node in node.value:
            place = self.place(key_node)
            if not isinstance(key_node, ScalarNode) or not key_node.value or key_node.tag not in (_UNTAGGED, _QUOTED):
                self.problems.add(place, "a key must be a name")
                continue
            name = key_node.value
            if name == "<<" and key_node.tag == _UNTAGGED:
                self.problems.add(place, "merge keys ('<<') are not supported; write the settings out")
            elif name in children:
                first = children[name].key
                self.problems.add(place, f"duplicate key {name!r}, first written in line {first.line}")
            else:
                self.check_text(name, place)
                children[name] = self.build(value_node, place, depth + 1)
        return children

    def build_scalar(self, node: ScalarNode, place: Place) -> Scalar:
        self.check_text(node.value, place)
        if node.tag == _QUOTED:
            return str(node.value)
        value = resolve_scalar(node.value)
        if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
            self.problems.add(place, "a whole number of more than 64 bits")
            return 0
        return value

    def check_text(self, text: str, place: Place) -> None:
        if any("\ud800" <= character <= "\udfff" for character in text):
            self.problems.add(place, "half of a surrogate pair is not text")


def resolve_scalar(text: str) -> Scalar:
    """Return the value of an unquoted scalar in the core schema of YAML 1.2."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return text[0] in "tT"
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) < 30 else _LARGEST_INTEGER + 1
    if _BASED.fullmatch(text):
        return int(text[2:], 8 if text[1] == "o" else 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    if infinite := _INFINITE.fullmatch(text):
        return float(f"{infinite[1]}inf")
    return float("nan") if _NAN.fullmatch(text) else text


def _short_tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")
