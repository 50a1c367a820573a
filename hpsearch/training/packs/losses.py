"""The losses of all lanes at once: the task's own loss, mapped over the lanes by torch.func.vmap.

A lane's dropout is drawn as the training alone draws it: from its own generator, in the same order and shapes. vmap
cannot draw so; the masks are drawn before and handed in. Their shapes are found by a pass of the lane's own model, once
for each shape of batch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, vmap
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from hpsearch.training.packs.layers import forward_by_hand
from hpsearch.training.packs.stack import Stack
from hpsearch.training.state import TrainingState
from hpsearch.training.task import Batch


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


def _arguments(p: float = 0.5, training: bool = True, inplace: bool = False) -> tuple[float, bool]:  # noqa: ARG001
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


def loss_alone(training: TrainingState, batch: Batch, masks: Sequence[Tensor]) -> Tensor:
    """Return the loss of a training's own task and model, with masks in dropout's place."""
    rest = iter(masks)

    def masked(inputs: Tensor, _: float) -> Tensor:
        mask = next(rest, None)
        return inputs if mask is None else inputs * mask

    with torch.no_grad(), _DropoutMode(masked):
        return training.task.loss(training.model, batch, training.task.scalars)["loss"]


class PackedLosses:
    """The loss of a task, whose lanes have other weights, batches and scalars.

    A simple network goes forward by hand, where the loss calls it once with a tensor of the batch as it is.
    """

    def __init__(self, training: TrainingState) -> None:
        self._task = training.task
        self._model = training.model
        self._masks: Iterator[Tensor] = iter(())
        self._mapped = vmap(self._one, randomness="error")
        self._by_hand = forward_by_hand(training.model)
        self._mapped_loss = vmap(self._loss_of_output, randomness="error")
        self._inputs: str | None = None
        """The name of the batch's tensor that the network is called with."""

    def look(self, batch: Batch) -> None:
        """See on a batch of a single lane with what the loss calls the network."""
        calls: list[tuple[Any, ...]] = []

        def forward(*inputs: Any, **named: Any) -> Tensor:
            calls.append((*inputs, *named.values()))
            answer: Tensor = self._model(*inputs, **named)
            return answer

        with torch.no_grad(), _DropoutMode(lambda inputs, _: inputs):
            self._task.loss(forward, batch, self._task.scalars)
        first = calls[0] if len(calls) == 1 else ()
        names = [name for name, tensor in batch.items() if len(first) == 1 and first[0] is tensor]
        self._inputs = names[0] if names else None

    def __call__(
        self, stack: Stack, batch: Batch, scalars: Mapping[str, Tensor], masks: Sequence[Tensor]
    ) -> dict[str, Tensor]:
        """Return the parts of each lane's loss, (lanes,) each, of a batch (lanes, examples, ...)."""
        weights = stack.named(stack.leaves)
        if self._by_hand is not None and self._inputs is not None:
            output = self._by_hand({**weights, **stack.constants}, masks, batch[self._inputs])
            return self._mapped_loss(output, dict(batch), dict(scalars))
        with _DropoutMode(self._drop), sdpa_kernel(SDPBackend.MATH):  # the other kernels go lane by lane
            return self._mapped(weights, stack.constants, dict(batch), dict(scalars), list(masks))

    def _loss_of_output(
        self, output: Tensor, batch: dict[str, Tensor], scalars: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        return dict(self._task.loss(lambda *_, **__: output, batch, scalars))

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
        mask = next(self._masks, None)
        return inputs if mask is None else inputs * mask
