"""YAML to a typed Space: every name, value, bound and option is checked before the first trial."""

from hpsearch.space.checks import configurations
from hpsearch.space.located_yaml import Node, Place, node_from_plain
from hpsearch.space.params import only, read_given, read_params
from hpsearch.space.ranges import Choice, Float, Int, Range
from hpsearch.space.reading import check_known, code_of, read_space, space_from_resolved
from hpsearch.space.requirements import Requirement
from hpsearch.space.schema import json_schema
from hpsearch.space.search_settings import Confirm, MeanOfLast, Objective, Search, confirmation
from hpsearch.space.space import FamilyInterface, Space, differences, objective_value
from hpsearch.space.suggest import Trial, suggest, suggested
from hpsearch.space.template import Parameter

__all__ = [
    "Choice",
    "Confirm",
    "FamilyInterface",
    "Float",
    "Int",
    "MeanOfLast",
    "Node",
    "Objective",
    "Parameter",
    "Place",
    "Range",
    "Requirement",
    "Search",
    "Space",
    "Trial",
    "check_known",
    "code_of",
    "configurations",
    "confirmation",
    "differences",
    "json_schema",
    "node_from_plain",
    "objective_value",
    "only",
    "read_given",
    "read_params",
    "read_space",
    "space_from_resolved",
    "suggest",
    "suggested",
]
