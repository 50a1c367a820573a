"""How the runs of a comparison came about, as far as it is known, and what is written of it for a paper.

Everything here is optional: a table of scores tells nothing of it. What is not known is None or empty, and is said to
be unknown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from hpsearch.records import Goal


@dataclass(frozen=True)
class Searched:
    """A search for hyperparameters. `ranges` counts its parameters, `outcomes` its trials by how they ended.

    With several `times` these are of the first. `at` says at which step of a trial its value was taken, `seed` is the
    search's own, `seconds` are of training, `best` is the number of the best complete trial. `race` is on how
    many seeds a trial that might be the best was trained at most.
    """

    name: str
    metric: str
    goal: Goal | None = None
    at: str | None = None
    sampler: str | None = None
    pruner: str | None = None
    outcomes: Mapping[str, int] = field(default_factory=dict)
    ranges: int | None = None
    seed: int | None = None
    seconds: float | None = None
    best: int | None = None
    times: int = 1
    race: int | None = None

    @property
    def trials(self) -> int:
        """How many trials there are, of any outcome."""
        return sum(self.outcomes.values())


@dataclass(frozen=True)
class Environment:
    """Where an experiment's trainings ran; `memory` is in bytes. With `workers_elsewhere` only the first machine.

    `program` says that the trainings are those of a program, whose own environment may be another. `commit` is that of
    the project's git checkout, `uncommitted` whether it had changes.
    """

    family: str
    versions: Mapping[str, str] = field(default_factory=dict)
    system: str | None = None
    cores: int | None = None
    processor: str | None = None
    memory: int | None = None
    gpus: tuple[str, ...] = ()
    commit: str | None = None
    uncommitted: bool = False
    workers_elsewhere: bool = False
    program: bool = False


@dataclass(frozen=True)
class Plan:
    """What a study's file fixed before the first training, and what became of it.

    `looks` says with how many replicates its result was seen, `changes` counts the changes of the plan by whether a
    result could be seen before. `level` is the error rate of all its `families` of tests together. `times` is the file
    with what its trainings took.
    """

    looks: tuple[int, ...]
    changes: Mapping[bool, int]
    level: float
    families: tuple[str, ...]
    command: str
    times: str


@dataclass(frozen=True)
class Background:
    """What is known of how the runs came about; `environments` are by experiment, `analysis` are versions."""

    searches: tuple[Searched, ...] = ()
    environments: Mapping[str, Environment] = field(default_factory=dict)
    plan: Plan | None = None
    by: str | None = None
    step: int | None = None
    analysis: Mapping[str, str] = field(default_factory=dict)


class Answer(StrEnum):
    """What is known of an item of a checklist."""

    YES = "yes"
    PARTLY = "partly"
    NOT_KNOWN = "not known"


@dataclass(frozen=True)
class ChecklistItem:
    """An item of the machine-learning reproducibility checklist: what is known of it, and what is left to the author.

    `fact` is the known part with the place where it stands, empty if nothing is known.
    """

    part: str
    item: str
    answer: Answer
    fact: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the entry of compare.json."""
        return {"part": self.part, "item": self.item, "answer": str(self.answer), "fact": self.fact}


@dataclass(frozen=True)
class Methods:
    """The methods in words for a paper: a text under each heading; `unknown` is what the author has to add."""

    paragraphs: Mapping[str, str]
    unknown: tuple[str, ...]
    checklist: tuple[ChecklistItem, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the entry of compare.json."""
        return {
            "text": "\n\n".join(self.paragraphs.values()),
            "paragraphs": dict(self.paragraphs),
            "unknown": list(self.unknown),
            "checklist": [each.to_json() for each in self.checklist],
        }
