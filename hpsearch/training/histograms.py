"""A close look at every parameter: how large it and its gradient are, and how their values are spread."""

from typing import Any

import torch
from torch import Tensor, nn

BINS = 30
_TINY = 1e-7


def look_at(model: nn.Module) -> dict[str, Any]:
    """Return numbers about each parameter by name, for `histograms.jsonl`; see `experiment/artifacts.py`.

    For after the backward pass and before the step, with gradients as they are in truth.
    """
    return {name: _numbers(parameter) for name, parameter in model.named_parameters()}


def _numbers(parameter: nn.Parameter) -> dict[str, Any]:
    weight = _spread(parameter.detach())
    if parameter.grad is None:
        return {"weight": weight}
    gradient = _spread(parameter.grad)
    return {"gradient": gradient, "weight": weight, "ratio": gradient["norm"] / (weight["norm"] + _TINY)}


def _spread(tensor: Tensor) -> dict[str, Any]:
    values = tensor.float().flatten()
    finite = values[torch.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    counts = torch.histc(finite.cpu(), bins=BINS, min=low, max=high) if high > low else None
    return {
        "norm": float(torch.linalg.vector_norm(values)),
        "mean": float(values.abs().mean()),
        "max": float(values.abs().max()),
        "nan": int(values.isnan().sum()),
        "inf": int(values.isinf().sum()),
        "low": low,
        "high": high,
        "counts": [len(finite)] if counts is None else [int(count) for count in counts.tolist()],
    }
