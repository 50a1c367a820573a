"""From the settings of an optimizer to the optimizer: torch's own where torch has it, else pytorch-optimizer's.

That package imports for as long as torch itself, so it is imported for those who ask for it.
"""

from collections.abc import Callable
from typing import Any

import torch

from hpsearch.training.optimizer_settings import (
    SGD,
    AdaBelief,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    AdamW,
    Adan,
    Lion,
    Lookahead,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
)

Group = dict[str, Any]
"""Parameters with what holds for them: `params`, `weight_decay`, and `scale`, their factor on the rate."""


def optimizer_of(chosen: Optimizer, groups: list[Group], rate: float) -> torch.optim.Optimizer:
    """Return the optimizer of these settings for these groups."""
    return _MAKERS[type(chosen)](chosen, groups, rate)


def looking_ahead(optimizer: torch.optim.Optimizer, settings: Lookahead) -> torch.optim.Optimizer:
    """Return the optimizer within Lookahead, whose slow weights are part of its state."""
    import pytorch_optimizer

    return pytorch_optimizer.Lookahead(optimizer, k=settings.steps, alpha=settings.alpha)


def _adam(chosen: Adam | AdamW, groups: list[Group], rate: float) -> torch.optim.Optimizer:
    """Return Adam in the fused form where every parameter allows it.

    Never SGD: torch 2.13's fused form leaves the momentum uninitialised when a scaler skips the first step, and fails
    for a parameter whose first gradient comes later than those of others.
    """
    fused = all(
        parameter.is_floating_point() and parameter.device.type in ("cpu", "cuda")
        for group in groups
        for parameter in group["params"]
    )
    kind = torch.optim.AdamW if isinstance(chosen, AdamW) else torch.optim.Adam
    return kind(groups, lr=rate, fused=fused, **_moments(chosen))


def _moments(chosen: Any) -> dict[str, Any]:
    return {"betas": (chosen.beta1, chosen.beta2), "eps": chosen.epsilon}


def _adabelief(chosen: AdaBelief, groups: list[Group], rate: float) -> torch.optim.Optimizer:
    import pytorch_optimizer

    return pytorch_optimizer.AdaBelief(groups, lr=rate, **_moments(chosen))


def _adan(chosen: Adan, groups: list[Group], rate: float) -> torch.optim.Optimizer:
    import pytorch_optimizer

    betas = (chosen.beta1, chosen.beta2, chosen.beta3)
    return pytorch_optimizer.Adan(groups, lr=rate, betas=betas, eps=chosen.epsilon, weight_decouple=True)


def _lion(chosen: Lion, groups: list[Group], rate: float) -> torch.optim.Optimizer:
    import pytorch_optimizer

    return pytorch_optimizer.Lion(groups, lr=rate, betas=(chosen.beta1, chosen.beta2))


_MAKERS: dict[type, Callable[[Any, list[Group], float], torch.optim.Optimizer]] = {
    AdamW: _adam,
    Adam: _adam,
    RAdam: lambda chosen, groups, rate: torch.optim.RAdam(
        groups, lr=rate, decoupled_weight_decay=True, **_moments(chosen)
    ),
    NAdam: lambda chosen, groups, rate: torch.optim.NAdam(
        groups, lr=rate, decoupled_weight_decay=True, **_moments(chosen)
    ),
    AdaBelief: _adabelief,
    Adan: _adan,
    Lion: _lion,
    SGD: lambda chosen, groups, rate: torch.optim.SGD(
        groups, lr=rate, momentum=chosen.momentum, nesterov=chosen.nesterov
    ),
    RMSprop: lambda chosen, groups, rate: torch.optim.RMSprop(
        groups, lr=rate, alpha=chosen.smoothing, eps=chosen.epsilon, momentum=chosen.momentum
    ),
    Adadelta: lambda chosen, groups, rate: torch.optim.Adadelta(groups, lr=rate, rho=chosen.rho, eps=chosen.epsilon),
    Adagrad: lambda chosen, groups, rate: torch.optim.Adagrad(groups, lr=rate, eps=chosen.epsilon),
    Adafactor: lambda chosen, groups, rate: torch.optim.Adafactor(
        groups, lr=rate, beta2_decay=chosen.beta2_decay, d=chosen.clip_threshold
    ),
}
