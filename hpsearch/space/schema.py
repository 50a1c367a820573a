"""The JSON Schema (2020-12) of a family's space files, so that editors complete and check them."""

import ast
import inspect
import textwrap
from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from hpsearch.space.fields import Branch, Items, SettingsSection, is_free, is_optional, shape_of, without_null
from hpsearch.space.search_settings import Confirm, Objective, Search
from hpsearch.space.space import FamilyInterface

Schema = dict[str, Any]

_NUMBERS = ("number", "integer")
_MUTABLE: Mapping[str, Schema] = MappingProxyType(
    {"mutable": {"type": "boolean", "description": "Whether pbt and pb2 may change the value during the training."}}
)
_REFERENCE: Schema = {"type": "string", "pattern": r"\.py:\w+$"}
_OWN: Sequence[Schema] = (
    {**_REFERENCE, "description": "A class or function in a file in the space file's folder: ./mine.py:Mine."},
    {
        "type": "object",
        "propertyNames": _REFERENCE,
        "additionalProperties": {"anyOf": [{"type": "object"}, {"type": "null"}]},
        "minProperties": 1,
        "maxProperties": 1,
    },
)


def json_schema(interface: FamilyInterface, family_name: str) -> Schema:
    """Return the schema of a whole space file: every value of the family's settings may be a range."""
    own: dict[str, Schema] = {
        "family": {"const": family_name, "description": "The kind of model with its data, loss and metrics."},
        "objective": _objective(interface),
        "search": _model(Search, ranges=False),
        "require": {"type": "array", "items": {"type": "string"}, "description": "Conditions on a configuration."},
        "start": {"type": "array", "items": {"type": "object"}, "description": "Configurations to try first."},
        "confirm": {"anyOf": [_model(Confirm, ranges=False), {"type": "null"}]},
        "quick": {"type": "object", "description": "Dotted paths and the values that --quick lays over the file."},
    }
    family = _model(interface.Config, ranges=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A space of the family {family_name}",
        **family,
        "properties": {**own, **family["properties"]},
        "required": ["family", "objective"],
    }


def _objective(interface: FamilyInterface) -> Schema:
    schema = _model(Objective, ranges=False)
    names = [f"val/{name}" for name in sorted(interface.metrics)]
    schema["properties"]["metric"] = {"enum": names} if names else {"type": "string", "not": {"pattern": "^test/"}}
    return {**schema, "required": ["metric"]}


def section_schema(model: type[BaseModel]) -> Schema:
    """Return the schema of a section that holds no ranges."""
    return _model(model, ranges=False)


def _model(model: type[BaseModel], *, ranges: bool, hidden: Sequence[str] = ()) -> Schema:
    """Return the schema of a section; nothing is required, because quick and --set may add what is missing."""
    texts = field_texts(model)
    fields = {name: field for name, field in model.model_fields.items() if name not in hidden}
    schema: Schema = {
        "type": "object",
        "additionalProperties": is_free(model),
        "properties": {name: _field(field, texts.get(name), ranges=ranges) for name, field in fields.items()},
    }
    if model.__doc__:
        schema["description"] = inspect.cleandoc(model.__doc__)
    return schema


def _field(field: FieldInfo, text: str | None, *, ranges: bool) -> Schema:
    forms = _forms(field.annotation, field.metadata, ranges=ranges)
    schema: Schema = {**forms[0]} if len(forms) == 1 else {"anyOf": forms}
    if field.description or text:
        schema["description"] = field.description or text
    if field.default is not PydanticUndefined and not isinstance(field.default, BaseModel):
        schema["default"] = TypeAdapter(Any).dump_python(field.default, mode="json")
    return schema


def _forms(annotation: Any, metadata: Sequence[Any], *, ranges: bool) -> list[Schema]:
    """Return the ways in which a setting may be written."""
    shape = shape_of(annotation)
    null: list[Schema] = [{"type": "null"}] if is_optional(annotation) and annotation is not Any else []
    if isinstance(shape, Branch):
        return _branch_forms(shape, ranges=ranges) + null
    if isinstance(shape, SettingsSection):
        forms = [_model(without_null(annotation), ranges=ranges), *null]
    elif isinstance(shape, Items):
        items = _forms(shape.annotation, (), ranges=ranges)
        forms = [{"type": "array", "items": items[0] if len(items) == 1 else {"anyOf": items}}, *null]
    if isinstance(shape, SettingsSection | Items):
        return [*forms, _choice(_forms(annotation, metadata, ranges=False))] if ranges else forms
    leaf = _leaf(annotation, metadata)
    return [*leaf, *(_range_forms(leaf) if ranges else [])]


def _leaf(annotation: Any, metadata: Sequence[Any]) -> list[Schema]:
    schema = TypeAdapter(Annotated[annotation, *metadata] if metadata else annotation).json_schema()
    definitions = schema.pop("$defs", {})
    schema = _inlined(schema, definitions)
    return _opened(schema)


def _opened(schema: Schema) -> list[Schema]:
    """Return the alternatives of a schema, those inside alternatives too."""
    if set(schema) != {"anyOf"}:
        return [schema]
    return [form for alternative in schema["anyOf"] for form in _opened(alternative)]


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
        return {name: _inlined(child, definitions) for name, child in schema.items()}
    return [_inlined(child, definitions) for child in schema] if isinstance(schema, list) else schema


def _range_forms(leaf: Sequence[Schema]) -> list[Schema]:
    forms = [_choice(leaf)]
    for schema in leaf:
        if schema.get("type") == "number":
            forms += [
                _range("float", schema, {"step": _positive("number"), "log": {"type": "boolean"}}),
                _range("log", schema),
            ]
        if schema.get("type") in _NUMBERS:
            forms.append(_range("int", schema, {"step": _positive("integer"), "log": {"type": "boolean"}}))
    return forms


def _range(head: str, bound: Schema, extra: Mapping[str, Schema] | None = None) -> Schema:
    bounds = {"type": "array", "items": bound, "minItems": 2, "maxItems": 2}
    return _closed({head: bounds, **(extra or {}), **_MUTABLE}, [head])


def _positive(kind: str) -> Schema:
    return {"type": kind, "exclusiveMinimum": 0}


def _choice(options: Sequence[Schema]) -> Schema:
    item = options[0] if len(options) == 1 else {"anyOf": [*options]}
    listed = {"type": "array", "items": item, "minItems": 1, "uniqueItems": True}
    return _closed({"choice": listed, **_MUTABLE}, ["choice"])


def _closed(properties: Mapping[str, Schema], required: Sequence[str] = ()) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": {**properties}, "required": [*required]}


def _branch_forms(branch: Branch, *, ranges: bool) -> list[Schema]:
    names: Schema = {"enum": list(branch.options)}
    options = {
        name: {"anyOf": [_model(option, ranges=ranges, hidden=["kind"]), {"type": "null"}]}
        for name, option in branch.options.items()
    }
    one = {**_closed(options), "minProperties": 1, "maxProperties": 1}
    if not ranges:
        return [names, one, *(_OWN if branch.own else [])]
    several = {**_closed(options), "minProperties": 1}
    listed = {"type": "array", "items": names, "minItems": 1, "uniqueItems": True}
    return [names, one, _closed({"choice": {"anyOf": [several, listed]}}, ["choice"])]


def field_texts(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstrings of the fields of a class and its parents; empty without source code."""
    texts: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if not issubclass(each, BaseModel) or each is BaseModel:
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0]
        except (OSError, TypeError, SyntaxError):
            continue
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for field, below in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
                value = below.value
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    texts[field.target.id] = inspect.cleandoc(value.value)
    return texts
