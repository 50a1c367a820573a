"""An exponential moving average of the weights: smoother than the last step's, and often better on validation data."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class WeightAverage:
    """average <- decay * average + (1 - decay) * weights after each step, from the initial weights on.

    Floating buffers (the running statistics of batch normalisation) are averaged as well. Integer buffers, and those
    that hold infinities (attention masks), are copied: averaging would round an index down and turn -inf into NaN.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        update = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call] # torch does not annotate it
        self._averaged = AveragedModel(model, multi_avg_fn=update, use_buffers=True)
        self._averaged.requires_grad_(requires_grad=False)
        self._averaged.update_parameters(model)
        self._averaged.eval()
        self._copied = [name for name, buffer in model.named_buffers() if not _can_be_averaged(buffer)]

    @property
    def model(self) -> nn.Module:
        """The model that holds the averaged weights, in eval mode."""
        return self._averaged.module

    def update(self, model: nn.Module) -> None:
        """Take in the weights after a step."""
        self._averaged.update_parameters(model)
        for name in self._copied:
            self.model.get_buffer(name).copy_(model.get_buffer(name))

    def state_dict(self) -> dict[str, Any]:
        """Return what a resume needs."""
        return self._averaged.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up where `state_dict` was taken."""
        self._averaged.load_state_dict(state)


def _can_be_averaged(buffer: Tensor) -> bool:
    return buffer.is_floating_point() and bool(torch.isfinite(buffer).all())
