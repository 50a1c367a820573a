"""The value of a trial by the rule of its space."""

import math
from collections.abc import Sequence

from hpsearch.errors import HpsearchError
from hpsearch.space.search_settings import MeanOfLast, Objective


def objective_value(history: Sequence[tuple[int, float]], objective: Objective) -> tuple[float, int]:
    """Return the value of a history of (step, value) and the step at which it was taken.

    `best` passes over values that are not finite and takes the earliest of equals; it is NaN at the last step when none
    is finite. `mean_of_last` takes what there is when fewer steps were reported. Errors: HpsearchError for an empty
    history.
    """
    if not history:
        raise HpsearchError(f"the trial reported no {objective.metric}, so it has no value")
    last_step, last_value = history[-1]
    if isinstance(objective.at, MeanOfLast):
        values = [value for _, value in history[-objective.at.mean_of_last :]]
        return sum(values) / len(values), last_step
    if objective.at == "last":
        return last_value, last_step
    best: tuple[float, int] = (math.nan, last_step)
    for step, value in history:
        if math.isfinite(value) and (math.isnan(best[0]) or objective.goal.better(value, best[0])):
            best = (value, step)
    return best
