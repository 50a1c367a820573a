"""How the forward pass is computed: in which precision, compiled, or with fewer activations kept."""

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from hpsearch.errors import HpsearchError
from hpsearch.training.settings import TrainSettings
from hpsearch.training.task import Forward, Task

Precision = Literal["fp32", "bf16", "fp16"]
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def check_precision(device: torch.device, precision: Precision) -> None:
    """Refuse a precision that the device cannot train with."""
    if precision == "fp16" and device.type not in ("cpu", "cuda"):
        raise HpsearchError(f"fp16 needs a gradient scaler, which {device.type} has not; use bf16 or fp32")
    if precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise HpsearchError(f"{torch.cuda.get_device_name(device)} cannot compute in bf16; use fp16 or fp32")


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[None]:
    """Return the context in which the forward pass runs; it does nothing for fp32."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=_DTYPES[precision])


def gradient_scaler(device: torch.device, precision: Precision) -> torch.amp.GradScaler | None:
    """Return a scaler for fp16, whose small gradients would vanish without one; the other precisions need none."""
    return torch.amp.GradScaler(device.type) if precision == "fp16" else None


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
    names.

    Raises:
        HpsearchError: The model has no blocks.
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
