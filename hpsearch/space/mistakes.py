"""What pydantic refuses about a configuration, in the words of the space file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hpsearch.errors import suggestion
from hpsearch.settings import NAMED
from hpsearch.space.elsewhere import help_for
from hpsearch.space.fields import Items, describe, expectation, section_of, walk
from hpsearch.space.ranges import show
from hpsearch.space.template import Missing

_RULES = ("value_error", "assertion_error")
_OUT_OF_BOUNDS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number")
_WRONG_KIND = (
    *("float_type", "float_parsing", "int_type", "int_parsing", "int_from_float", "int_parsing_size", "bool_type"),
    *("bool_parsing", "string_type", "list_type", "tuple_type", "dict_type", "literal_error", "enum", "path_type"),
    *("model_type", "model_attributes_type", "is_instance_of", "union_tag_not_found"),
)


@dataclass(frozen=True)
class Mistake:
    """One thing that pydantic refused: the dotted path of the setting, the message, and what would be right, if known.

    `rule` tells that a validator of the family said it, which may have looked at several settings. `missing` tells that
    the setting has no place of its own.
    """

    path: str
    message: str
    rule: bool = False
    missing: bool = False
    help: str = ""

    def concerns(self, path: str) -> bool:
        """Check whether it is about the setting at `path` or something inside it."""
        return self.path == path or self.path.startswith(f"{path}.")


def mistakes(model: type[BaseModel], configuration: Mapping[str, Any], section: str = "") -> list[Mistake]:
    """List the mistakes of a configuration, one for each setting; `section` begins every path."""
    try:
        model.model_validate(configuration)
    except ValidationError as error:
        return mistakes_of(model, error, section)
    return []


def mistakes_of(model: type[BaseModel], error: ValidationError, section: str = "") -> list[Mistake]:
    """List the mistakes of a failed validation; those of a union's members count as one."""
    by_path: dict[str, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False, include_context=False):
        by_path.setdefault(_known_path(model, details), []).append(details)
    return [
        _mistake(model, path, details[0], section)
        for path, details in by_path.items()
        if not any(isinstance(each["input"], Missing) for each in details)
    ]


def _known_path(model: type[BaseModel], error: ErrorDetails) -> str:
    """Drop what pydantic adds to the place of an error, such as the name of a union's member."""
    location = [step for step in error["loc"] if step != NAMED]
    steps = [str(step) for step, _, _ in walk(section_of(model), location)]
    following = location[len(steps) : len(steps) + 1]
    if error["type"] in ("missing", "extra_forbidden") or (following and isinstance(following[0], int)):
        steps += [str(step) for step in following]
    return ".".join(steps)


def _mistake(model: type[BaseModel], path: str, error: ErrorDetails, section: str) -> Mistake:
    full = ".".join(part for part in (section, path) if part)
    expected = _expected(model, path)
    if error["type"] == "missing":
        parent, _, name = full.rpartition(".")
        inside = f" in {parent}" if parent else ""
        return Mistake(full, f"missing setting {name!r}{inside} (expected {expected.words})", missing=True)
    reason = _reason(error, expected)
    rule = error["type"] in _RULES
    right = "" if rule else help_for(error["input"])
    return Mistake(full, f"{full}: {reason}" if full else reason, rule=rule, help=right)


@dataclass(frozen=True)
class _Expected:
    """What a setting accepts: in words, its kind without bounds, and the words that are names of values."""

    words: str = "a value"
    kind: str = ""
    names: Sequence[str] = ()


def _expected(model: type[BaseModel], path: str) -> _Expected:
    steps = path.split(".")
    reached = list(walk(section_of(model), steps))
    if len(reached) < len(steps):
        return _Expected()
    field, parent = reached[-1][2], reached[-2][1] if len(reached) > 1 else None
    if field is not None:
        return _Expected(expectation(field), describe(field.annotation), _names(field.annotation))
    if isinstance(parent, Items):
        return _Expected(describe(parent.annotation), describe(parent.annotation), _names(parent.annotation))
    return _Expected()


def _reason(error: ErrorDetails, expected: _Expected) -> str:
    if error["type"] in _RULES:
        return error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    value = show(error["input"])
    reason = error["msg"].removeprefix("Input ")
    if not expected.kind:
        return f"{value} {reason}"
    if error["type"] in _OUT_OF_BOUNDS:
        return f"{value} is out of bounds (expected {expected.words})"
    if error["type"] not in _WRONG_KIND:
        return f"{value} {reason} (expected {expected.words})"
    hint = suggestion(error["input"], expected.names) if isinstance(error["input"], str) else ""
    more = f" (expected {expected.words})" if expected.words != expected.kind else ""
    return f"{value} is not {expected.kind}{hint}{more}"


def _names(annotation: Any) -> Sequence[str]:
    """Return the text values of a Literal or an enumeration, also inside a union."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(member.value) for member in annotation]
    if get_origin(annotation) is Literal:
        return [argument for argument in get_args(annotation) if isinstance(argument, str)]
    return [name for argument in get_args(annotation) for name in _names(argument)]
