"""What a study file says beside its arms: the question, what decides it, and what may be spent on each arm."""

from typing import Annotated, Literal

from pydantic import Field

from hpsearch.records import Goal
from hpsearch.settings import Settings
from hpsearch.space.search_settings import Confirm, Duration, Replicates


class StudyMetric(Settings):
    """The test metric that answers the question; its goal is the family's unless given."""

    name: str
    goal: Goal | None = None


class Budget(Settings):
    """What the search of every arm may spend; it takes the place of the spaces' search.trials and search.time."""

    trials: int = Field(ge=1)
    time: Duration | None = None


class StudyReplicates(Replicates):
    """How often each winner is trained again: on fresh seeds, or on folds of the data, the division repeated."""

    seeds: int | None = Field(default=None, ge=2)


class Decide(Settings):
    """The rule that was fixed before any value was seen.

    `margin`: the smallest difference that matters, in the metric's unit. `alpha`: the error rate of all tests of a
    difference together, and that of all tests of equivalence.
    """

    margin: Annotated[float, Field(gt=0)] | None = None
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    adjust: Literal["holm", "hommel", "bh", "none"] = "holm"


class StudySettings(Settings):
    """A study file without its arms and its quick section. `seed` is that of every arm, so that runs are paired."""

    question: str
    metric: StudyMetric
    budget: Budget
    replicates: StudyReplicates
    decide: Decide = Decide()
    seed: int = 0

    @property
    def confirm(self) -> Confirm:
        """The confirmation of every arm's winner."""
        return Confirm(top=1, **self.replicates.model_dump())
