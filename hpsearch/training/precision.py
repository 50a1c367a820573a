"""Mixed precision: which numbers a device can train with, and how."""

import contextlib
from typing import Literal

import torch

from hpsearch.errors import HpsearchError

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
