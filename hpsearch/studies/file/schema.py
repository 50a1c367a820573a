"""The JSON Schema (2020-12) of study files."""

from typing import Any

from hpsearch.space.schema import section_schema
from hpsearch.studies.file.settings import StudySettings

_TEXT = {"type": "string"}
_SET = {"type": "object", "description": "Values that are fixed in the arm's space, by dotted name."}
_FACTORS = {
    "type": "object",
    "description": "Two or more levels of settings, by dotted name; every combination is an arm.",
    "minProperties": 1,
    "additionalProperties": {"type": "array", "minItems": 2},
}


def study_schema() -> dict[str, Any]:
    """Return the schema of a whole study file."""
    searched = {
        "type": "object",
        "description": "An arm that is searched and confirmed.",
        "additionalProperties": False,
        "required": ["space"],
        "properties": {
            "space": {**_TEXT, "description": "A space file, seen from the study file."},
            "set": _SET,
            "factors": _FACTORS,
        },
    }
    baseline = {
        "type": "object",
        "description": "A classical method of the family.",
        "additionalProperties": False,
        "required": ["baseline"],
        "properties": {"baseline": _TEXT},
    }
    settings = section_schema(StudySettings)
    own = {
        "set": {**_SET, "description": "Values that are fixed in the spaces of all arms, by dotted name."},
        "arms": {"type": "object", "minProperties": 1, "additionalProperties": {"anyOf": [searched, baseline]}},
        "quick": {"type": "object", "description": "Dotted paths and the values that --quick lays over the file."},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A study",
        **settings,
        "properties": {**settings["properties"], **own},
        "required": ["question", "metric", "arms", "budget", "replicates"],
    }
