"""The part of JSON Schema that json_schema uses, as a validator; jsonschema is no dependency of hpsearch."""

import re

TYPES = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: isinstance(value, int | float) and not isinstance(value, bool) and value == int(value),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}
RULES = {
    "type": lambda value, kind: TYPES[kind](value),
    "enum": lambda value, options: value in options,
    "const": lambda value, only: value == only,
    "anyOf": lambda value, schemas: any(accepts(schema, value) for schema in schemas),
    "minimum": lambda value, bound: value >= bound,
    "maximum": lambda value, bound: value <= bound,
    "exclusiveMinimum": lambda value, bound: value > bound,
    "exclusiveMaximum": lambda value, bound: value < bound,
    "pattern": lambda value, pattern: re.search(pattern, value) is not None,
    "items": lambda value, schema: all(accepts(schema, item) for item in value),
    "minItems": lambda value, least: len(value) >= least,
    "maxItems": lambda value, most: len(value) <= most,
    "uniqueItems": lambda value, _: all(item not in value[:index] for index, item in enumerate(value)),
    "required": lambda value, names: all(name in value for name in names),
    "propertyNames": lambda value, names: all(accepts(names, name) for name in value),
    "minProperties": lambda value, least: len(value) >= least,
    "maxProperties": lambda value, most: len(value) <= most,
    "properties": lambda value, known: all(accepts(known[name], item) for name, item in value.items() if name in known),
}
ANNOTATIONS = {"$schema", "title", "description", "default", "additionalProperties"}


def accepts(schema: dict, value: object) -> bool:
    unknown = set(schema) - set(RULES) - ANNOTATIONS
    assert not unknown, f"the validator does not know {unknown}"
    others = schema.get("additionalProperties", True)
    if isinstance(value, dict) and others is not True:
        free = [item for name, item in value.items() if name not in schema.get("properties", {})]
        if not all(others and accepts(others, item) for item in free):
            return False
    kind = schema.get("type")
    if kind and not RULES["type"](value, kind):
        return False
    return all(RULES[rule](value, given) for rule, given in schema.items() if rule in RULES)
