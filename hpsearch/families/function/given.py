"""A space that is given in Python: what a dictionary, a dataclass or a pydantic model says of each setting."""

import dataclasses
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from pydantic import BaseModel

from hpsearch.errors import HpsearchError


def fields_of(space: Any) -> Mapping[str, Any]:
    """Return what a dictionary, a dataclass or a pydantic model says of each setting, ranges and values.

    Raises:
        HpsearchError: It is none of these.
    """
    if isinstance(space, Mapping):
        return {name: _inner(value) for name, value in space.items()}
    if isinstance(space, BaseModel):
        return {name: _inner(getattr(space, name)) for name in type(space).model_fields}
    if isinstance(space, type) and issubclass(space, BaseModel):
        given = {name: field for name, field in space.model_fields.items() if not field.is_required()}
        return {name: _inner(field.get_default(call_default_factory=True)) for name, field in given.items()}
    if dataclasses.is_dataclass(space):
        return {name: _inner(value) for name, value in _dataclass_fields(space)}
    raise HpsearchError(
        f"space={space!r} is no space: give a dictionary such as {{'lr': {{'log': [1e-4, 1e-1]}}}}, a dataclass, a "
        "pydantic model or the path of a YAML file"
    )


def _dataclass_fields(space: Any) -> Iterator[tuple[str, Any]]:
    for each in dataclasses.fields(space):
        if not isinstance(space, type):
            yield each.name, getattr(space, each.name)
        elif each.default is not dataclasses.MISSING:
            yield each.name, each.default
        elif each.default_factory is not dataclasses.MISSING:
            yield each.name, each.default_factory()


def _inner(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    nested = isinstance(value, Mapping | BaseModel) or (dataclasses.is_dataclass(value) and not isinstance(value, type))
    return fields_of(value) if nested else value
