"""Whether a model can memorize one batch: one that cannot has a mistake in its network, loss or data."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from hpsearch.errors import DataError, DivergedError
from hpsearch.seeds import Seeds
from hpsearch.training.devices import resolve_device
from hpsearch.training.optimizers import set_rates
from hpsearch.training.random_state import isolated
from hpsearch.training.range_test import fresh
from hpsearch.training.settings import TrainSettings
from hpsearch.training.task import Splits, Task

TOLD_EVERY = 100


@dataclass(frozen=True)
class Overfit:
    """The losses of the batch at the first and the last step, and whether the target was reached."""

    first: float
    last: float
    steps: int
    passed: bool


def overfit_batch(
    task: Task,
    splits: Splits,
    settings: TrainSettings,
    *,
    seeds: Seeds,
    steps: int = 1000,
    target: float = 0.01,
    tell: Callable[[int, float], None],
) -> Overfit:
    """Train a fresh model on the first batch alone, without augmentation and dropout, at the full learning rate.

    It ends when the loss has come down to `target` times the first one, or after `steps` steps; `tell` hears of step 0
    and of every hundredth.

    Raises:
        DivergedError: The loss is not finite.
        DataError: There are no examples.
    """
    device = resolve_device(settings.device)
    with isolated(device, deterministic=settings.deterministic):
        data = splits["train"]
        if not len(data):
            raise DataError("the split 'train' has no examples")
        batch = data.batch(list(range(min(settings.batch_size, len(data)))))
        training = fresh(task, splits, settings, seeds=seeds, device=device)
        task.begin_epoch(training.model, 0, training.order.epochs)
        _drop_nothing(training.model)
        first = loss = math.nan
        for step in range(steps + 1):
            loss = float(training.stepper.backward([batch]).parts["loss"])
            norm = training.stepper.gradient_norm()
            first = loss if step == 0 else first
            if not math.isfinite(loss):
                raise DivergedError(f"the loss became {loss} at step {step}; a smaller train.learning_rate may help")
            if step % TOLD_EVERY == 0:
                tell(step, loss)
            if step and loss <= target * abs(first):
                return Overfit(first, loss, step, passed=True)
            set_rates(training.optimizer, settings.learning_rate)
            training.stepper.update(norm)
    return Overfit(first, loss, steps, passed=False)


def _drop_nothing(model: nn.Module) -> None:
    """Switch the dropout of torch's own modules off; what a family does by itself follows its settings."""
    for module in model.modules():
        if isinstance(module, _DropoutNd):
            module.p = 0.0
        elif isinstance(module, nn.RNNBase):
            module.dropout = 0.0
