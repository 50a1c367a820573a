"""What is asked, once for all pairs."""

from dataclasses import dataclass

from hpsearch.comparing.comparison import Unit
from hpsearch.records import Goal


@dataclass(frozen=True)
class Question:
    """The metric, its goal and unit, and the rules that were fixed before the values were seen."""

    metric: str
    goal: Goal
    unit: Unit
    alpha: float
    adjust: str
    margin: float | None
    stochastic_order: bool
    seed: int

    @property
    def sign(self) -> float:
        """The sign of the goal: values times this are all to be maximized."""
        return self.goal.sign
