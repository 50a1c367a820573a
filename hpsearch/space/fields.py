"""What a settings class expects at each of its fields: a section, a branch, a list of either, or a single value."""

import types
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hpsearch.settings import Option, OwnOption, fixed_settings
from hpsearch.space.located_yaml import Node
from hpsearch.space.ranges import looks_like_range

_BOUNDS = {"gt": "above", "ge": "of at least", "lt": "below", "le": "of at most"}
_NOUNS: dict[Any, str] = {float: "a number", int: "a whole number", bool: "true or false", str: "text", Path: "a path"}


@dataclass(frozen=True)
class SettingsSection:
    """A group of settings by name; the `fixed` ones cannot change while a training runs; see Settings."""

    fields: Mapping[str, FieldInfo]
    fixed: frozenset[str] = frozenset()
    one_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Branch:
    """One of several named groups of settings; with `own`, also code of the user's, `./mine.py:Mine`."""

    options: Mapping[str, type[BaseModel]]
    own: bool = False

    @property
    def known(self) -> str:
        """What may be named, in words."""
        return ", ".join(self.options) + (", or a class of your own: ./mine.py:Mine" if self.own else "")


@dataclass(frozen=True)
class Items:
    """A list whose items are all alike."""

    annotation: Any

    @property
    def item(self) -> "Shape":
        """What each item is."""
        return shape_of(self.annotation)


@dataclass(frozen=True)
class Leaf:
    """A single value; `words` are the texts that it may be, where those are known."""

    words: tuple[str, ...] = ()


Shape = SettingsSection | Branch | Items | Leaf


def section_of(model: type[BaseModel]) -> SettingsSection:
    """Return the fields of a settings class, without the name of an option."""
    hidden = "kind" if issubclass(model, Option) else ""
    fields = {name: field for name, field in model.model_fields.items() if name != hidden}
    return SettingsSection(fields, fixed_settings(model), getattr(model, "one_of", ()))


def shape_of(annotation: Any) -> Shape:
    """Describe what an annotation expects; an optional type is described without `None`."""
    if isinstance(annotation, SettingsSection):
        return annotation  # a free section of a file
    members = [_bare(member) for member in _members(annotation) if member is not type(None)]
    if members and all(isinstance(member, type) and issubclass(member, Option) for member in members):
        named = [member for member in members if not issubclass(member, OwnOption)]
        own = len(named) < len(members)
        return Branch({member.model_fields["kind"].default: member for member in named}, own)
    if len(members) != 1:
        return Leaf(tuple(word for member in members for word in _words(member)))
    only = members[0]
    if isinstance(only, type) and issubclass(only, BaseModel):
        return section_of(only)
    arguments = get_args(only)
    if get_origin(only) in (list, Sequence) or (get_origin(only) is tuple and arguments[1:] == (...,)):
        return Items(arguments[0])
    return Leaf(_words(only))


def _words(annotation: Any) -> tuple[str, ...]:
    """Return the texts that an annotation lists: those of a Literal or an Enum."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(str(member.value) for member in annotation)
    return tuple(word for word in get_args(annotation) if isinstance(word, str)) if _is_literal(annotation) else ()


def _is_literal(annotation: Any) -> bool:
    return get_origin(annotation) is Literal


def spelled(word: Any, known: Iterable[str]) -> Any:
    """Return the known word that differs from a text in case only, as `adamw` from `adamW`; else the value itself."""
    if not isinstance(word, str) or word in (listed := tuple(known)):
        return word
    alike = [each for each in listed if each.lower() == word.lower()]
    return alike[0] if len(alike) == 1 else word


def field_shape(field: FieldInfo) -> Shape:
    """Describe what a field expects."""
    return shape_of(field.annotation)


def is_optional(annotation: Any) -> bool:
    """Check whether null is accepted."""
    return annotation is None or type(None) in _members(annotation) or annotation is Any


def without_null(annotation: Any) -> Any:
    """Return the one thing that an annotation accepts besides null."""
    return next(_bare(member) for member in _members(annotation) if member is not type(None))


def walk(shape: Shape, path: Sequence[str | int]) -> Iterator[tuple[str | int, Shape, FieldInfo | None]]:
    """Follow a path of names, option names and indices; yield each step with what it leads to, until one is unknown."""
    field: FieldInfo | None = None
    for step in path:
        if isinstance(shape, SettingsSection) and step in shape.fields:
            field = shape.fields[str(step)]
            shape = field_shape(field)
        elif isinstance(shape, Branch) and step in shape.options:
            shape, field = section_of(shape.options[str(step)]), None
        elif isinstance(shape, Items) and str(step).isdecimal():
            shape, field = shape.item, None
        else:
            return
        yield step, shape, field


def expectation(field: FieldInfo) -> str:
    """Describe the accepted values of a field, for example `a number above 0 or null`."""
    return describe(field.annotation, field.metadata)


def describe(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """Describe the accepted values of an annotation."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return describe(inner, [*metadata, *_opened(more)])
    members = [member for member in _members(annotation) if member is not type(None)]
    shape = shape_of(annotation)
    if isinstance(shape, Branch):
        words = [f"one of {shape.known}"]
    elif len(members) > 1:
        words = [describe(member, metadata) for member in members]
    else:
        words = [_describe_one(member, shape, metadata) for member in members]
    return " or ".join([*words, "null"] if type(None) in _members(annotation) else words)


def _describe_one(annotation: Any, shape: Shape, metadata: Sequence[Any]) -> str:
    if get_origin(annotation) is Annotated:
        return describe(annotation, metadata)
    if isinstance(shape, SettingsSection):
        return f"a section with {', '.join(shape.fields)}"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return f"one of {', '.join(str(argument) for argument in arguments)}"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return f"one of {', '.join(str(member.value) for member in annotation)}"
    if isinstance(shape, Items):
        return f"a list, each {describe(shape.annotation)}"
    if (origin or annotation) in (list, tuple, dict, Mapping):
        return "a mapping" if (origin or annotation) in (dict, Mapping) else "a list"
    kind = _NOUNS.get(annotation) or f"a value of type {getattr(annotation, '__name__', annotation)}"
    bounds = [
        f"{word} {getattr(rule, name):g}" for rule in metadata for name, word in _BOUNDS.items() if hasattr(rule, name)
    ]
    patterns = [f"matching {rule.pattern}" for rule in metadata if getattr(rule, "pattern", None)]
    return " ".join([kind, " and ".join(bounds), *patterns]).replace("  ", " ").strip()


def _members(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(inner for member in get_args(annotation) for inner in _members_kept(member))
    return (annotation,)


def _members_kept(member: Any) -> tuple[Any, ...]:
    """Members of a union inside a union; an annotated single type keeps its metadata."""
    bare = _bare(member)
    return _members(bare) if get_origin(bare) in (Union, types.UnionType) else (member,)


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _opened(metadata: Sequence[Any]) -> list[Any]:
    """Open the FieldInfo objects that `Annotated[..., Field(gt=0)]` nests inside a union."""
    return [item for entry in metadata for item in (entry.metadata if isinstance(entry, FieldInfo) else [entry])]


def is_free(model: type[BaseModel]) -> bool:
    """Check whether a configuration may have sections that its class does not name."""
    return model.model_config.get("extra") == "allow"


def settings_of(model: type[BaseModel], root: Node, *, reserved: Collection[str]) -> SettingsSection:
    """Return the settings of a family's configuration in a file.

    Those of a family that leaves some sections to the user are what the file has. So a name that the file does not have
    is as unknown to `quick`, `--set` and `require` as in any other family. They cannot change while a training runs.
    """
    declared = section_of(model)
    if not is_free(model):
        return declared
    free = {
        name: _field(node)
        for name, node in root.mapping.items()
        if name not in reserved and name not in declared.fields
    }
    return SettingsSection({**declared.fields, **free}, declared.fixed | free.keys())


def _field(node: Node) -> FieldInfo:
    if not isinstance(node.value, dict) or looks_like_range(node):
        return FieldInfo(annotation=None)
    return FieldInfo(annotation=SettingsSection({name: _field(child) for name, child in node.mapping.items()}))  # type: ignore[arg-type] # read by `shape_of` alone
