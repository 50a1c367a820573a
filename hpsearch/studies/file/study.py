"""A study: a question, and the arms that are treated alike to answer it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hpsearch.records import Goal
from hpsearch.space.space import FamilyFace, Space
from hpsearch.studies.file.settings import StudySettings


class StudiedFamily(FamilyFace, Protocol):
    """What a study needs to know of a family beside what a space does."""

    @property
    def methods(self) -> Sequence[str]:
        """The names of its classical methods."""
        ...


@dataclass(frozen=True)
class SpaceArm:
    """An arm that is searched: its space as it will be run, and what the study sets in it.

    `levels`: the level of each factor, for a cell of a factorial design; they are among the `fixed`.
    """

    name: str
    space: Space
    fixed: Mapping[str, Any]
    levels: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class BaselineArm:
    """A classical method of the family, scored on the test split beside the winner of the arm `beside`."""

    name: str
    method: str
    beside: str


@dataclass(frozen=True)
class Study:
    """A study that has been checked; `settings` are after quick, `arms` in the order of the file.

    `common` is what is set in the spaces of all arms, by dotted name.
    """

    path: Path
    settings: StudySettings
    goal: Goal
    arms: tuple[SpaceArm | BaselineArm, ...]
    quick: bool
    common: Mapping[str, Any] = field(default_factory=dict)

    @property
    def searched(self) -> tuple[SpaceArm, ...]:
        """The arms that are searched."""
        return tuple(arm for arm in self.arms if isinstance(arm, SpaceArm))

    @property
    def factors(self) -> Mapping[str, tuple[Any, ...]]:
        """The levels of each factor, in the order of the file; empty unless the study is factorial."""
        cells = [arm.levels for arm in self.searched if arm.levels]
        return {path: tuple(dict.fromkeys(cell[path] for cell in cells)) for path in (cells[0] if cells else ())}

    @property
    def metric(self) -> str:
        """The test metric that decides."""
        return self.settings.metric.name
