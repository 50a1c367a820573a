"""One optimizer step from a window of batches, which act as one batch as large as all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from hpsearch.errors import HpsearchError
from hpsearch.training import compiler
from hpsearch.training.acceleration import Precision, autocast
from hpsearch.training.devices import move
from hpsearch.training.quick_adam import quick_adam
from hpsearch.training.task import Batch, Forward, Task
from hpsearch.training.team import ALONE, Team

_ENGINE: Any = torch.autograd.Variable._execution_engine


@cache
def _one(device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.ones((), device=device, dtype=dtype)


def go_back(loss: Tensor) -> None:
    """Do `loss.backward()`: for a plain loss without what torch does around it, a fifth of a small network's time."""
    if type(loss) is not Tensor or loss.dim() or not (loss.requires_grad and loss.is_floating_point()):
        loss.backward()  # type: ignore[no-untyped-call] # torch's gap
        return
    one = _one(loss.device, loss.dtype)
    _ENGINE.run_backward((loss,), (one,), False, False, (), allow_unreachable=True, accumulate_grad=True)


@dataclass(frozen=True)
class WindowLoss:
    """The loss parts of a window: means over its `count` items, on the device."""

    parts: dict[str, Tensor]
    count: int


class Stepper:
    """Does the two halves of a step: `backward` leaves the gradients, `update` uses them up.

    Loss and gradient norm are checked between the halves, so that a NaN never reaches the weights on the CPU.
    """

    def __init__(
        self,
        task: Task,
        model: Forward,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler | None,
        *,
        device: torch.device,
        precision: Precision,
        clip_norm: float | None,
        team: Team = ALONE,
        least: int = 1,
    ) -> None:
        self.task = task
        self.model = model
        self.optimizer = optimizer
        self.scaler = scaler
        self.device = device
        self.precision = precision
        self.clip_norm = clip_norm
        self._team = team
        self._least = least
        self._parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self._alike = len({(each.device, each.dtype) for each in self._parameters}) == 1
        self._quick = None if scaler else quick_adam(optimizer)

    def backward(self, window: Sequence[Batch]) -> WindowLoss:
        """Add up the gradients of a window of CPU batches; each counts by the items over which its loss is a mean.

        Several processes have slices of these batches, of at least `least` examples, and all get the sum over them.
        """
        counts = [self.task.count(batch) for batch in window]
        total = sum(counts)
        parts: dict[str, Tensor] = {}
        for batch, count in zip(window, counts, strict=True):
            own, items = self._own(batch, count)
            weight = items / total if total else 1.0
            for name, part in self._backward_batch(move(own, self.device), weight).items():
                parts[name] = parts[name] + part if name in parts else part
        return WindowLoss(dict(self._team.add_up(self._parameters, parts)), total)

    def _own(self, batch: Batch, count: int) -> tuple[Batch, int]:
        """Return this process's slice of a batch with its items; one without any goes through the batch for nothing."""
        if self._team.size == 1:
            return batch, count
        own = self._team.slice(batch, self._least)
        items = self.task.count(own) if own is not None else 0
        return (own, items) if own is not None and items else (batch, 0)

    def _backward_batch(self, batch: Batch, weight: float) -> dict[str, Tensor]:
        with autocast(self.device, self.precision):
            parts = self.task.loss(self.model, batch, self.task.scalars)
        if "loss" not in parts:
            raise HpsearchError(f"the task's loss returns no part named 'loss', only: {', '.join(parts)}")
        loss = parts["loss"] if weight == 1.0 else parts["loss"] * weight
        go_back(self.scaler.scale(loss) if self.scaler else loss)
        return {name: part.detach() if weight == 1.0 else part.detach() * weight for name, part in parts.items()}

    def gradient_norm(self) -> Tensor:
        """Return the global norm of the gradients as they are in truth, before clipping."""
        if self.scaler:
            self.scaler.unscale_(self.optimizer)
        gradients = [gradient for parameter in self._parameters if (gradient := parameter.grad) is not None]
        if self._alike and gradients:  # what get_total_norm does after it has sorted them by device and precision
            norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
            return norm
        return torch.nn.utils.get_total_norm(gradients)

    def update(self, norm: Tensor) -> None:
        """Clip, step and forget the gradients; the scaler leaves out a step whose gradients overflowed."""
        if self.clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(self._parameters, self.clip_norm, norm)
        if self.scaler:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        elif self._quick is None or not self._quick.step():
            compiler.step(self.optimizer)
        for parameter in self._parameters:
            parameter.grad = None
