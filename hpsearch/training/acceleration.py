"""The forward pass of a training, compiled or with fewer activations kept; evaluation and files see the plain model."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from hpsearch.errors import HpsearchError
from hpsearch.training.settings import TrainSettings
from hpsearch.training.task import Forward, Task


def forward_of(task: Task, model: nn.Module, settings: TrainSettings) -> Forward:
    """Return the forward pass of the training steps as the settings want it."""
    if settings.activation_checkpointing:
        checkpoint_activations(task.blocks(model))
    return compiled(model) if settings.compile else model


def compiled(model: nn.Module) -> Forward:
    """Return a compiled form that shares the model's weights, whose names stay as they are in every file."""
    compile_model: Callable[[nn.Module], Forward] = torch.compile
    return compile_model(model)


def checkpoint_activations(blocks: Sequence[nn.Module]) -> None:
    """Let each block compute its activations a second time in the backward pass instead of keeping them.

    The gradients stay the same: random draws (dropout) are repeated as well. Only while training; weights keep their
    names. Errors: HpsearchError for a model without blocks.
    """
    if not blocks:
        raise HpsearchError(
            "train.activation_checkpointing: the model has no blocks to do without; its task may name them in `blocks`"
        )
    for block in blocks:
        block.forward = partial(_recomputed, block, block.forward)


def _recomputed(block: nn.Module, forward: Callable[..., Any], *inputs: Any, **named: Any) -> Any:
    if block.training and torch.is_grad_enabled():
        return checkpoint(forward, *inputs, use_reentrant=False, **named)
    return forward(*inputs, **named)
