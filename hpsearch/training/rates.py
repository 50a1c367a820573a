"""The learning rate as a pure function of the step: nothing to save, nothing to step, nothing that drifts on resume."""

import math
import warnings

from hpsearch.training.order import Order
from hpsearch.training.settings import Constant, Cosine, Linear, Warmup


def factor(step: int, *, total_steps: int, warmup_steps: int, schedule: Constant | Linear | Cosine) -> float:
    """Return the fraction of the base rate for optimizer step `step`, counted from 0.

    Warm-up gives (step + 1) / (warmup_steps + 1): above 0 at the first step and below 1 until step `warmup_steps`,
    which has the full rate. A falling schedule is at its floor where the training ends, at step `total_steps`, so that
    no step is wasted on a rate of 0, and stays there.
    """
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    if isinstance(schedule, Constant):
        return 1.0
    progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    fall = 1.0 - progress if isinstance(schedule, Linear) else (1.0 + math.cos(math.pi * progress)) / 2.0
    return schedule.floor + (1.0 - schedule.floor) * fall


def count_warmup_steps(warmup: Warmup, order: Order) -> int:
    """Return the warm-up in optimizer steps; one that is longer than the training is cut to it, with a warning."""
    if warmup.steps is not None:
        steps = warmup.steps
    elif warmup.epochs is not None:
        steps = order.step_at(warmup.epochs)
    else:
        steps = round((warmup.fraction or 0.0) * order.total_steps)
    if steps > order.total_steps:
        warnings.warn(
            f"the warm-up of {steps} steps is longer than the training of {order.total_steps}: "
            "the full learning rate is never reached",
            stacklevel=2,
        )
    return min(steps, order.total_steps)
