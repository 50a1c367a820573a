"""The losses of all lanes at once: the task's own loss, mapped over the lanes by torch.func.vmap.

A lane's dropout is drawn as the training alone draws it: from a generator of its own, in the same order, and of the same
shapes. vmap cannot draw so; the masks are drawn before and handed in. Their shapes are found by a pass of the lane's own
model, once for each shape of batch.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, vmap
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from hpsearch.training.packs.stack import Stack
from hpsearch.training.state import TrainingState
from hpsearch.training.task import Batch, Task


@dataclass(frozen=True)
class Drop:
    """One call of dropout: the shape of what it drops from, and the probability."""

    shape: torch.Size
    probability: float

    def drawn(self, generator: torch.Generator, like: Tensor) -> Tensor:
        """Return what dropout multiplies by; the generator moves on as torch's own would."""
        mask = like.new_empty(self.shape)
        if self.probability in (0.0, 1.0):
            return mask.fill_(1.0 - self.probability)  # nothing is drawn
        kept = 1.0 - self.probability
        return mask.bernoulli_(kept, generator=generator).div_(kept)


class _DropoutMode(TorchFunctionMode):
    """Takes the place of torch's dropout."""

    def __init__(self, dropped: Callable[[Tensor, float], Tensor]) -> None:
        self._dropped = dropped

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if func is not functional.dropout:
            return func(*args, **named)
        probability, training = _arguments(*args[1:], **named)
        return self._dropped(args[0], probability) if training else args[0]


def _arguments(p: float = 0.5, training: bool = True, inplace: bool = False) -> tuple[float, bool]:  # noqa: FBT001, FBT002, ARG001
    return p, training


def drops_of(training: TrainingState, batch: Batch) -> list[Drop]:
    """Return the calls of dropout that a step on a batch makes, in their order. Draws and changes nothing."""
    found: list[Drop] = []

    def noted(inputs: Tensor, probability: float) -> Tensor:
        found.append(Drop(inputs.shape, probability))
        return inputs

    with torch.no_grad(), _DropoutMode(noted):
        training.task.loss(training.model, batch, training.task.scalars)
    return found


class PackedLosses:
    """The loss of a task, whose lanes have other weights, batches and scalars."""

    def __init__(self, task: Task, training: TrainingState) -> None:
        self._task = task
        self._model = training.model
        self._masks: Iterator[Tensor] = iter(())
        self._mapped = vmap(self._one, randomness="error")

    def __call__(
        self, stack: Stack, batch: Batch, scalars: Mapping[str, Tensor], masks: Sequence[Tensor]
    ) -> dict[str, Tensor]:
        """Return the parts of each lane's loss, (lanes,) each, of a batch (lanes, examples, ...)."""
        dropout = _DropoutMode(self._drop) if masks else contextlib.nullcontext()
        with dropout:
            parts: dict[str, Tensor] = self._mapped(
                stack.named(stack.leaves), stack.constants, dict(batch), dict(scalars), list(masks)
            )
        return parts

    def _one(
        self,
        weights: dict[str, Tensor],
        constants: dict[str, Tensor],
        batch: dict[str, Tensor],
        scalars: dict[str, Tensor],
        masks: list[Tensor],
    ) -> dict[str, Tensor]:
        self._masks = iter(masks)

        def forward(*inputs: Any, **named: Any) -> Tensor:
            answer: Tensor = functional_call(self._model, {**weights, **constants}, inputs, named)
            return answer

        return dict(self._task.loss(forward, batch, scalars))

    def _drop(self, inputs: Tensor, _: float) -> Tensor:
        return inputs * next(self._masks)
