"""Early stopping: end a training whose monitored metric has stopped gaining."""

import math

from hpsearch.records import Goal
from hpsearch.training.settings import EarlyStopping


class Patience:
    """Counts the evaluations since the metric last gained more than the minimum."""

    def __init__(self, settings: EarlyStopping, goal: Goal) -> None:
        self.settings = settings
        self.goal = goal
        self.reference: float | None = None
        """The value from which gains are measured: that of the last sufficient gain."""
        self.waited = 0

    def exhausted_by(self, value: float) -> bool:
        """Take in the next value of the metric and say whether patience has run out."""
        if self.reference is None or self._gain(value) > self._needed():
            self.reference, self.waited = value, 0
        else:
            self.waited += 1
        return self.waited >= self.settings.patience

    def _gain(self, value: float) -> float:
        reference = math.nan if self.reference is None else self.reference
        return self.goal.sign * (value - reference)

    def _needed(self) -> float:
        scale = abs(self.reference or 0.0) if self.settings.relative else 1.0
        return self.settings.minimum_gain * scale

    def state_dict(self) -> dict[str, float | int | None]:
        """Return what a resume needs, as plain values."""
        return {"reference": self.reference, "waited": self.waited}

    def load_state_dict(self, state: dict[str, float | int | None]) -> None:
        """Take up where `state_dict` was taken."""
        self.reference = state["reference"]
        self.waited = int(state["waited"] or 0)
