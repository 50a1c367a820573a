"""What is asked of finished runs, and by which test it is answered: fixed before the values are seen."""

import math
from dataclasses import dataclass
from enum import StrEnum

from hpsearch.comparing.statistics.adjustment import ADJUSTMENTS
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.records import Goal

AUTO = "auto"
"""The name of the unit that the runs themselves tell."""


class Unit(StrEnum):
    """What counts as one observation."""

    SEED = "seed"
    SEARCH = "search"
    FOLD = "fold"
    DATASET = "dataset"
    TRIAL = "trial"

    @property
    def noun(self) -> str:
        """How one of them is called in a sentence."""
        return "data set" if self is Unit.DATASET else str(self)

    @property
    def plural(self) -> str:
        """How several of them are called in a sentence."""
        return "searches" if self is Unit.SEARCH else f"{self.noun}s"

    def counted(self, n: int) -> str:
        """Return `1 seed`, `3 data sets`."""
        return f"{n} {self.noun if n == 1 else self.plural}"


class Over(StrEnum):
    """Over which further ones a verdict about seeds is to hold: what its population is."""

    SEEDS = "seeds"
    EXAMPLES = "examples"
    BOTH = "both"


class Test(StrEnum):
    """A test of two arms, as it is named in reports. The first seven decide, the others are shown as well."""

    __test__ = False  # pytest takes a class of this name for one of its own

    PAIRED_T = "paired t"
    WELCH_T = "welch t"
    CORRECTED_T = "corrected resampled t"
    FIVE_BY_TWO_F = "5x2cv F"
    OVER_EXAMPLES = "crossed t over examples"
    OVER_BOTH = "crossed t over seeds and examples"
    WILCOXON = "wilcoxon"
    SIGN_FLIP = "sign flip"
    MANN_WHITNEY = "mann-whitney"
    FIVE_BY_TWO_T = "5x2cv t"


def planned_test(unit: Unit, *, paired: bool = True, five_by_two: bool = False) -> Test:
    """Return the test that decides in a design: by its unit and pairing, never by the values (rule 10).

    Args:
        unit: What counts as one observation; a trial of a search is never tested.
        paired: Whether seeds, or searches, have partners. Folds and data sets always have.
        five_by_two: Whether folds are five times two.

    """
    if unit is Unit.DATASET:
        return Test.WILCOXON
    if unit is Unit.FOLD:
        return Test.FIVE_BY_TWO_F if five_by_two else Test.CORRECTED_T
    return Test.PAIRED_T if paired else Test.WELCH_T


@dataclass(frozen=True)
class Question:
    """What is asked, once for all pairs. Metric, goal and unit that are None are what the runs tell.

    Args:
        metric: The metric to compare.
        goal: The direction in which it improves.
        unit: What counts as one observation.
        by: A parameter whose values are compared, instead of the experiments.
        baseline: The experiment that the others are compared with, instead of all with all.
        margin: The smallest difference that matters, in the metric's unit: with it, equivalence is tested.
        alpha: The error rate of the whole family of tests.
        adjust: How the family is adjusted: holm, hommel, bh or none.
        step: The step of every run's history at which the metric is taken; None for the run's own value.
        over: Whether the verdict is about further seeds, further test examples, or both; from scores by example.
        stochastic_order: Whether to add the almost stochastic order, which takes longer.
        seed: Of everything random: resampling, permutations.

    Raises:
        UnknownNameError: If the adjustment is not known.
        HpsearchError: If margin, level or seed cannot be one.

    """

    metric: str | None = None
    goal: Goal | None = None
    unit: Unit | None = None
    by: str | None = None
    baseline: str | None = None
    margin: float | None = None
    alpha: float = 0.05
    adjust: str = "holm"
    step: int | None = None
    over: Over = Over.SEEDS
    stochastic_order: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.adjust not in ADJUSTMENTS:
            raise UnknownNameError("adjustment", self.adjust, ADJUSTMENTS)
        if self.margin is not None and not (self.margin > 0 and math.isfinite(self.margin)):
            raise HpsearchError(f"a margin is a difference above 0 in the metric's unit, not {self.margin}")
        if not 0 < self.alpha < 0.5:
            raise HpsearchError(f"alpha is an error rate between 0 and 0.5, not {self.alpha}")
        if self.seed < 0:
            raise HpsearchError(f"a seed is a whole number from 0 on, not {self.seed}")

    def settled(self, metric: str, goal: Goal, unit: Unit) -> "SettledQuestion":
        """Fill in what the runs told."""
        return SettledQuestion(**{**vars(self), "metric": metric, "goal": goal, "unit": unit})


@dataclass(frozen=True)
class SettledQuestion(Question):
    """A question that leaves nothing to the runs."""

    metric: str
    goal: Goal
    unit: Unit

    @property
    def sign(self) -> float:
        """+1 where larger is better, -1 where smaller is: values times this are all to be maximised."""
        return self.goal.sign


def goal_named(name: str | None) -> Goal | None:
    """Return the goal of that name, or None for no name.

    Raises:
        UnknownNameError: If no goal has it.

    """
    if name is not None and name not in set(Goal):
        raise UnknownNameError("goal", name, [str(goal) for goal in Goal])
    return None if name is None else Goal(name)


def over_named(name: str) -> Over:
    """Return the population of that name.

    Raises:
        UnknownNameError: If there is none.

    """
    if name not in set(Over):
        raise UnknownNameError("population", name, [str(over) for over in Over])
    return Over(name)


def unit_named(name: str) -> Unit | None:
    """Return the unit of that name, or None for `auto`.

    Raises:
        UnknownNameError: If no unit has it.

    """
    if name != AUTO and name not in set(Unit):
        raise UnknownNameError("unit", name, (AUTO, *map(str, Unit)))
    return None if name == AUTO else Unit(name)
