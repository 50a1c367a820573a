"""A study: the settings of its file, the arms that are treated alike to answer its question, and the file's schema."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from hpsearch.errors import HpsearchError
from hpsearch.experiment.studies import search_folder
from hpsearch.records import Goal
from hpsearch.seeds import derive_seed
from hpsearch.settings import Settings
from hpsearch.space.checks import fold_refusal
from hpsearch.space.schema import section_schema
from hpsearch.space.search_settings import Confirm, Duration, Replicates
from hpsearch.space.space import Space

INTERACTION = "interaction"


class Form(StrEnum):
    """How large a study is run: as its file says, or with the section of this name laid over it.

    Attributes:
        FULL: The study and its spaces as they stand.
        STANDARD: About an hour on a CPU: the study's `standard` section over it, over the `quick` form of its spaces.
        QUICK: Minutes: the `quick` sections of the study and of its spaces over them.

    """

    FULL = "full"
    STANDARD = "standard"
    QUICK = "quick"

    @property
    def suffix(self) -> str:
        """What stands behind the names of folders."""
        return "" if self is Form.FULL else f"-{self}"


def form_of(*, quick: bool, standard: bool) -> Form:
    """Return the form that two flags ask for.

    Raises:
        HpsearchError: They ask for two.

    """
    if quick and standard:
        raise HpsearchError("--quick and --standard are two forms of a study; give one of them")
    return Form.QUICK if quick else Form.STANDARD if standard else Form.FULL


class StudyMetric(Settings):
    """The test metric that answers the question; its goal is the family's unless given."""

    name: str
    goal: Goal | None = None


class Budget(Settings):
    """What the search of every arm may spend; it takes the place of the spaces' search.trials and search.time."""

    trials: int = Field(ge=1)
    time: Duration | None = None


class StudyReplicates(Replicates):
    """How often each winner is trained again, on fresh seeds or on folds of the data, and each arm is searched.

    With several `searches` every arm is searched that often, by other seeds, and each search's own winner is trained on
    `seeds` (5 unless given; 1 with `vary: all`): the search is what is repeated, and the verdict is about further ones.
    """

    searches: int = Field(default=1, ge=1)
    vary: Literal["seeds", "all"] = "seeds"
    """`seeds`: those of search and training, all on one division of the data; `all`: each search has its own, too."""

    @model_validator(mode="before")
    @classmethod
    def _seeds_of_searches(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or "searches" not in given or {"seeds", "folds"} & given.keys():
            return given
        return {**given, "seeds": 1 if given.get("vary") == "all" else 5}

    @model_validator(mode="after")
    def _replicated(self) -> "StudyReplicates":
        if self.searches > 1 and self.folds is not None:
            raise ValueError(
                "searches are repeated with seeds, not with folds: write {searches: k, seeds: n}, or "
                "{searches: k, vary: all}, which divides the data anew for each search"
            )
        if self.searches == 1 and self.vary == "all":
            raise ValueError(
                "vary: all repeats the search, too: write {searches: k, vary: all} with k of at least 2; folds vary "
                "all but the search: {folds: k, repeats: r}"
            )
        if self.searches == 1 and self.seeds == 1:
            raise ValueError("one seed shows no variance: give seeds of at least 2, or searches of at least 2")
        return self


class Decide(Settings):
    """The rule that was fixed before any value was seen.

    `margin`: the smallest difference that matters, in the metric's unit. `alpha`: the error rate of all tests of a
    difference together, and that of all tests of equivalence.
    """

    margin: Annotated[float, Field(gt=0)] | None = None
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    adjust: Literal["holm", "hommel", "bh", "none"] = "holm"


class StudySettings(Settings):
    """A study file without its arms and its forms. `seed` is that of every arm, so that runs are paired."""

    question: str
    metric: StudyMetric
    budget: Budget
    replicates: StudyReplicates
    decide: Decide = Decide()
    seed: int = 0

    @property
    def confirm(self) -> Confirm:
        """The confirmation of every arm's winner."""
        return Confirm(top=1, **self.replicates.model_dump(include=set(Replicates.model_fields)))


@dataclass(frozen=True)
class SpaceArm:
    """An arm that is searched: its space as it will be run, and the values that the study fixes in it.

    `levels`: the level of each factor, for a cell of a factorial design; they are also in `fixed`. An arm that is
    searched several times is one of these for each `search`, from 1 on; `folder` is that of its experiment.
    """

    name: str
    space: Space
    fixed: Mapping[str, Any]
    levels: Mapping[str, Any] = field(default_factory=dict)
    search: int = 1

    @property
    def folder(self) -> str:
        """The name of the folder, in that of the study, of this search of the arm."""
        return search_folder(self.name, self.search)


@dataclass(frozen=True)
class BaselineArm:
    """A classical method of the family, scored on the same test split as the winner of the arm `partner`."""

    name: str
    method: str
    partner: str


@dataclass(frozen=True)
class Study:
    """A study that has been checked; `settings` are those of its form, `arms` in the order of the file.

    `common` is what is set in the spaces of all arms, by dotted name.
    """

    path: Path
    settings: StudySettings
    goal: Goal
    arms: tuple[SpaceArm | BaselineArm, ...]
    form: Form
    common: Mapping[str, Any] = field(default_factory=dict)

    @property
    def searched(self) -> tuple[SpaceArm, ...]:
        """The arms that are searched."""
        return tuple(arm for arm in self.arms if isinstance(arm, SpaceArm))

    @property
    def searches(self) -> tuple[SpaceArm, ...]:
        """Every search of every arm; those of one number have the same seeds in all arms."""
        numbers = range(1, self.settings.replicates.searches + 1)
        return tuple(self._search(arm, number) for arm in self.searched for number in numbers)

    def seed_of(self, search: int) -> int:
        """Return the seed of the searches of this number; that of the first is the study's own."""
        seed = self.settings.seed
        return seed if search == 1 else derive_seed(seed, "search", search)

    def split_seed_of(self, search: int) -> int | None:
        """Return the seed that divides the data of the searches of this number; None where that is their own."""
        return None if search == 1 or self.settings.replicates.vary == "all" else self.settings.seed

    def _search(self, arm: SpaceArm, number: int) -> SpaceArm:
        seeds = {"seed": self.seed_of(number), "split_seed": self.split_seed_of(number)}
        return replace(arm, search=number, space=replace(arm.space, search=arm.space.search.model_copy(update=seeds)))

    @property
    def repeated(self) -> Mapping[str, Any]:
        """What study.json says of searches that are repeated: nothing of a study that searches each arm once."""
        replicates = self.settings.replicates
        if replicates.searches == 1:
            return {}
        redivided = {"redivided": True} if self.redivided else {}
        return {"searches": replicates.searches, "vary": replicates.vary, **redivided}

    @property
    def redivided(self) -> bool:
        """Whether the searches draw their test parts from the same examples: then what they learn from overlaps."""
        if self.settings.replicates.vary != "all":
            return False
        folds = Confirm(folds=1000)  # so many that only data with a test part of their own refuse them
        return any(fold_refusal(replace(arm.space, confirm=folds), tuple) is None for arm in self.searched)

    @property
    def factors(self) -> Mapping[str, tuple[Any, ...]]:
        """The levels of each factor, in the order of the file; empty unless the study is factorial."""
        cells = [arm.levels for arm in self.searched if arm.levels]
        return {path: tuple(dict.fromkeys(cell[path] for cell in cells)) for path in (cells[0] if cells else ())}

    @property
    def metric(self) -> str:
        """The test metric that decides."""
        return self.settings.metric.name

    @property
    def tests_interaction(self) -> bool:
        """Whether the interaction of two factors is tested: only if both have two levels."""
        return [len(levels) for levels in self.factors.values()] == [2, 2]

    @property
    def test_families(self) -> tuple[str, ...]:
        """The families of tests: the arms' pairs, each of two or more factors, and their interaction."""
        titles = factor_titles(self.factors) if len(self.factors) > 1 else {}  # the levels of one factor are the arms
        return ("all pairs of arms", *titles.values(), *([INTERACTION] if self.tests_interaction else []))

    @property
    def level(self) -> float:
        """The error rate of each family of tests: alpha divided evenly among them."""
        return self.settings.decide.alpha / len(self.test_families)


def factor_titles(paths: Iterable[str]) -> dict[str, str]:
    """Return a short name for each dotted path: its last word, or the whole path if two end alike."""
    words = {path: path.rpartition(".")[2] for path in paths}
    taken = list(words.values())
    return {path: word if taken.count(word) == 1 else path for path, word in words.items()}


def level_text(level: Any) -> str:
    """Return a level as it is written in an arm's name: `0.003`, `64`, `true`, `null`."""
    if level is None or isinstance(level, bool):
        return "null" if level is None else str(level).lower()
    return str(level)


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
        "standard": {
            "type": "object",
            "description": "Dotted paths and the values that --standard lays over the file, with the spaces' quick "
            "sections: as much as a CPU does within about an hour.",
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A study",
        **settings,
        "properties": {**settings["properties"], **own},
        "required": ["question", "metric", "arms", "budget", "replicates"],
    }
