"""The numbers of the steps since the last evaluation and the watch over them; a close look at every parameter.

A number that lies on an accelerator can be read only by waiting for it. On the CPU each step is therefore read at once,
before its update; elsewhere the steps are kept and read 32 at a time, and always before an evaluation. A divergence is
then noticed up to 31 steps late: it still names its step, but no longer the parameter, and no checkpoint has seen it.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hpsearch.errors import DivergedError

BINS = 30
"""Of the histogram of a parameter's values."""
_READ_EVERY = 32
_MOST_SKIPPED = 50
_TINY = 1e-7


@dataclass(frozen=True)
class _Pending:
    step: int
    parts: Mapping[str, Tensor]
    norm: Tensor
    count: int


class Measurements:
    """Means of the loss parts, weighted by items, and of the gradient norm.

    With `scaled` gradients (fp16) a gradient that overflowed is a skipped step; 50 in a row are a divergence.
    `skipped` is the number in a row so far, which a resume restores.
    """

    def __init__(self, model: nn.Module, *, device: torch.device, scaled: bool) -> None:
        self.skipped = 0
        self._model = model
        self._read_every = 1 if device.type == "cpu" else _READ_EVERY
        self._most_skipped = _MOST_SKIPPED if scaled else 1
        self._pending: list[_Pending] = []
        self._forget()

    def add(self, step: int, parts: Mapping[str, Tensor], norm: Tensor, count: int) -> None:
        """Add a step (counted from 1) whose gradients still lie in the model.

        Raises:
            DivergedError: A loss or a gradient is not finite.
        """
        if self._read_every == 1:
            self._take_in(step, float(norm), {name: float(part) for name, part in parts.items()}, count, is_latest=True)
            return
        self._pending.append(_Pending(step, parts, norm, count))
        if len(self._pending) >= self._read_every:
            self._read()

    def take(self) -> dict[str, float]:
        """Return the means and begin anew.

        Raises:
            DivergedError: A loss or a gradient is not finite.
        """
        self._read()
        means = {f"train/{name}": total / self._counts[name] for name, total in self._sums.items()}
        if self._steps:
            means["gradient_norm"] = math.fsum(self._norms) / self._steps
            means["gradient_norm_max"] = self._largest
        self._forget()
        return means

    @property
    def mean_loss(self) -> float | None:
        """The mean loss of the steps that were read since the last evaluation; None when none was."""
        return self._sums["loss"] / self._counts["loss"] if self._counts.get("loss") else None

    def state_dict(self) -> dict[str, Any]:
        """Return what there is since the last evaluation, for a resume: plain values and a tensor of doubles.

        Raises:
            DivergedError: A loss or a gradient is not finite.
        """
        self._read()
        norms = torch.tensor(self._norms, dtype=torch.float64)
        named = {"sums": dict(self._sums), "counts": dict(self._counts)}
        return {**named, "norms": norms, "steps": self._steps, "largest": self._largest}

    def _forget(self) -> None:
        self._sums: dict[str, float] = defaultdict(float)
        self._counts: dict[str, int] = defaultdict(int)
        self._norms: list[float] = []
        """Whose sum is that of all norms."""
        self._steps = 0
        """How many norms there were."""
        self._largest = 0.0

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._forget()
        self._sums.update(state["sums"])
        self._counts.update(state["counts"])
        self._norms, self._steps, self._largest = state["norms"].tolist(), state["steps"], state["largest"]

    def _read(self) -> None:
        pending, self._pending = self._pending, []
        scalars = [tensor for item in pending for tensor in (item.norm, *item.parts.values())]
        values = iter(_fetch(scalars))
        for item in pending:
            norm = next(values)
            parts = dict(zip(item.parts, values, strict=False))
            self._take_in(item.step, norm, parts, item.count, is_latest=item is pending[-1])

    def _take_in(self, step: int, norm: float, parts: Mapping[str, float], count: int, *, is_latest: bool) -> None:
        self._check(step, parts["loss"], norm, is_latest=is_latest)
        if math.isfinite(norm):
            self._norms.append(norm)
            self._steps, self._largest = self._steps + 1, max(self._largest, norm)
        for name, value in parts.items():
            self._sums[name] += value * count
            self._counts[name] += count

    def _check(self, step: int, loss: float, norm: float, *, is_latest: bool) -> None:
        if not math.isfinite(loss):
            raise DivergedError(f"the loss became {loss} at optimizer step {step}")
        if math.isfinite(norm):
            self.skipped = 0
            return
        self.skipped += 1
        if self.skipped >= self._most_skipped:
            raise DivergedError(
                f"the gradient norm became {norm} at optimizer step {step} (loss {loss:g})"
                + (f", {self.skipped} steps in a row" if self._most_skipped > 1 else "")
                + (_first_bad_gradient(self._model) if is_latest else "")
            )


def _fetch(scalars: list[Tensor]) -> list[float]:
    """Return the numbers, for which an accelerator is waited for once."""
    values: list[float] = torch.stack([scalar.float() for scalar in scalars]).tolist() if scalars else []
    return values


def _first_bad_gradient(model: nn.Module) -> str:
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all()):
            return f"; the first parameter with a non-finite gradient is '{name}'"
    return ""


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
