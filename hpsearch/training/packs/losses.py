"""The losses of all lanes at once: the task's own loss, mapped over the lanes by torch.func.vmap.

A lane's dropout is drawn as the training alone draws it: from its own generator, in the same order and shapes. vmap
cannot draw so; the masks are drawn before and handed in. Their shapes are found by a pass of the lane's own model, once
for each shape of batch. Attention that drops weights does so inside one call of torch, where no mask can be handed in:
it is computed here step by step, as torch itself does on a CPU.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, vmap
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from hpsearch.training.packs.layers import forward_by_hand, next_mask
from hpsearch.training.packs.stack import Stack
from hpsearch.training.packs.windows import NotPackedError
from hpsearch.training.state import TrainingState
from hpsearch.training.task import Batch


@dataclass(frozen=True)
class Drop:
    """One call of dropout: the shape of what it drops from, its strides in memory, and the probability."""

    shape: torch.Size
    strides: tuple[int, ...]
    """The draws go through memory: of a transposed tensor in another order."""
    probability: float

    def drawn(self, generator: torch.Generator, like: Tensor) -> Tensor:
        """Return what dropout multiplies by; the generator moves on as torch's own would."""
        mask = like.new_empty_strided(self.shape, self.strides)
        if self.probability in (0.0, 1.0):
            return mask.fill_(1.0 - self.probability)  # nothing is drawn
        kept = 1.0 - self.probability
        return mask.bernoulli_(kept, generator=generator).div_(kept)


_Mask = Callable[[Tensor | torch.Size, float], Tensor | None]
"""From what is dropped from, or the shape of contiguous weights, and the probability to what it is multiplied by."""


class _DropoutMode(TorchFunctionMode):
    """Takes the place of torch's dropout, that of attention weights too."""

    def __init__(self, mask: _Mask) -> None:
        self._mask = mask

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if func is functional.dropout:
            probability, training = _arguments(*args[1:], **named)
            mask = self._mask(args[0], probability) if training else None
            return args[0] if mask is None else args[0] * mask
        if func is functional.scaled_dot_product_attention:
            return attention_by_hand(self._mask, *args, **named)
        if func is functional.multi_head_attention_forward:
            with self:  # what it calls comes here, too
                return _multi_head_attention(*args, **named)
        return func(*args, **named)


def _arguments(p: float = 0.5, training: bool = True, inplace: bool = False) -> tuple[float, bool]:  # noqa: ARG001
    return p, training


_whole: Any = functional.multi_head_attention_forward
_multi_head_attention = FunctionType(
    _whole.__code__,
    {**_whole.__globals__, "has_torch_function": lambda _: False},
    argdefs=_whole.__defaults__,
)
"""torch's function without its first question, whether a mode takes its place: that would come back here for ever."""


def attention_by_hand(
    drawn: _Mask,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **options: Any,
) -> Tensor:
    """Return scaled dot product attention (..., queries, features), whose dropout multiplies its weights by a mask."""
    mask = drawn(torch.Size((*query.shape[:-1], key.shape[-2])), dropout_p)
    if mask is None:
        return functional.scaled_dot_product_attention(query, key, value, attn_mask, is_causal=is_causal, **options)
    if options.get("enable_gqa"):
        raise NotPackedError("attention whose heads share keys drops weights")
    scale = math.sqrt(options.get("scale") or 1 / math.sqrt(query.shape[-1]))
    scores = (query * scale) @ (key * scale).transpose(-2, -1)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is None:
        return (scores.softmax(dim=-1) * mask) @ value
    if attn_mask.dtype is torch.bool:
        attn_mask = torch.zeros_like(scores).masked_fill(~attn_mask, -math.inf)
    scores = scores + attn_mask
    nowhere = (scores == -math.inf).all(dim=-1, keepdim=True)  # who may attend to nothing gets zeros, as in torch
    weights = scores.masked_fill(nowhere, 0.0).softmax(dim=-1).masked_fill(nowhere, 0.0)
    return (weights * mask) @ value


def drops_of(training: TrainingState, batch: Batch) -> list[Drop]:
    """Return the calls of dropout that a step on a batch makes, in their order. Draws and changes nothing."""
    found: list[Drop] = []

    def noted(inputs: Tensor | torch.Size, probability: float) -> Tensor | None:
        like = torch.empty_like(inputs) if isinstance(inputs, Tensor) else torch.empty(inputs, device=training.device)
        found.append(Drop(like.shape, like.stride(), probability))
        return torch.ones_like(like) if probability else None  # as it is computed alone

    with torch.no_grad(), _DropoutMode(noted):
        training.task.loss(training.model, batch, training.task.scalars)
    return found


def loss_alone(training: TrainingState, batch: Batch, masks: Sequence[Tensor]) -> Tensor:
    """Return the loss of a training's own task and model, with masks in dropout's place."""
    rest = iter(masks)
    with torch.no_grad(), _DropoutMode(lambda *_: next_mask(rest)):
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

        with torch.no_grad(), _DropoutMode(lambda *_: None):
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
        with _DropoutMode(lambda *_: next_mask(self._masks)), sdpa_kernel(SDPBackend.MATH):  # others go lane by lane
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
