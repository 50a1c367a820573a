"""YAML to a typed Space: every name, value, bound and option is checked before the first trial."""

from hpsearch.space.data_places import configurations
from hpsearch.space.differences import differences
from hpsearch.space.objective import objective_value
from hpsearch.space.ranges import Choice, Float, Int, Range
from hpsearch.space.reading import read_space, space_from_resolved
from hpsearch.space.requirements import Requirement
from hpsearch.space.schema import json_schema
from hpsearch.space.search_settings import Confirm, MeanOfLast, Objective, Search, confirmation
from hpsearch.space.single import only, read_params
from hpsearch.space.space import FamilyFace, Space
from hpsearch.space.study import BaselineArm, SpaceArm, Study
from hpsearch.space.study_reading import is_study, read_study
from hpsearch.space.study_schema import study_schema
from hpsearch.space.study_settings import StudySettings
from hpsearch.space.suggest import Trial, suggest, suggested
from hpsearch.space.template import Parameter

__all__ = [
    "BaselineArm",
    "Choice",
    "Confirm",
    "FamilyFace",
    "Float",
    "Int",
    "MeanOfLast",
    "Objective",
    "Parameter",
    "Range",
    "Requirement",
    "Search",
    "Space",
    "SpaceArm",
    "Study",
    "StudySettings",
    "Trial",
    "configurations",
    "confirmation",
    "differences",
    "is_study",
    "json_schema",
    "objective_value",
    "only",
    "read_params",
    "read_space",
    "read_study",
    "space_from_resolved",
    "study_schema",
    "suggest",
    "suggested",
]
