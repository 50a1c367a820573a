"""A study: a question, and the arms that are treated alike to answer it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hpsearch.records import Goal
from hpsearch.space.space import FamilyFace, Space
from hpsearch.space.study_settings import StudySettings


class StudiedFamily(FamilyFace, Protocol):
    """What a study needs to know of a family beside what a space does."""

    @property
    def methods(self) -> Sequence[str]:
        """The names of its classical methods."""
        ...


@dataclass(frozen=True)
class SpaceArm:
    """An arm that is searched: its space as it will be run, and what the study sets in it."""

    name: str
    space: Space
    fixed: Mapping[str, Any]


@dataclass(frozen=True)
class BaselineArm:
    """A classical method of the family, scored on the test split beside the winner of the arm `beside`."""

    name: str
    method: str
    beside: str


@dataclass(frozen=True)
class Study:
    """A study that has been checked; `settings` are after quick, `arms` in the order of the file."""

    path: Path
    settings: StudySettings
    goal: Goal
    arms: tuple[SpaceArm | BaselineArm, ...]
    quick: bool

    @property
    def searched(self) -> tuple[SpaceArm, ...]:
        """The arms that are searched."""
        return tuple(arm for arm in self.arms if isinstance(arm, SpaceArm))

    @property
    def metric(self) -> str:
        """The test metric that decides."""
        return self.settings.metric.name

    @property
    def seeds(self) -> int:
        """The planned replicates of each winner."""
        return self.settings.replicates.seeds or 0
