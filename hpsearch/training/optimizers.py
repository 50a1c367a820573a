"""The optimizer of a training, with each trainable parameter in exactly one group.

It is torch's own where torch has it, else pytorch-optimizer's.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from hpsearch.errors import HpsearchError
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
from hpsearch.training.settings import TrainSettings
from hpsearch.training.task import Task

_NORMS = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.LocalResponseNorm, _BatchNorm, _InstanceNorm)

Group = dict[str, Any]
"""Parameters with what holds for them: `params`, `weight_decay`, and `scale`, their factor on the rate."""


def build_optimizer(task: Task, model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """Return the optimizer that the settings name, within Lookahead if they ask for it."""
    groups = parameter_groups(task, model, settings)
    check_groups(model, groups)
    optimizer = _optimizer_of(settings.optimizer, groups, settings.learning_rate)
    return _looking_ahead(optimizer, settings.lookahead) if settings.lookahead else optimizer


def parameter_groups(task: Task, model: nn.Module, settings: TrainSettings) -> list[Group]:
    """Return the trainable parameters by (whether they decay, factor on the rate); tied weights count once.

    Which group a parameter is in follows from the model and not from the decay's value, so that a checkpoint's groups
    are those of a training whose decay has changed since.

    Unless `decay_norms_and_biases` is set, these do not decay: the parameters of normalisation layers, those named
    `bias`, and those with fewer than two dimensions. Embeddings decay. A task may know better (`Task.decays`).
    """
    members: dict[tuple[bool, float], list[nn.Parameter]] = defaultdict(list)
    for name, module, parameter in _trainable(model):
        decays = settings.decay_norms_and_biases or _decays(task, name, module, parameter)
        members[decays, _rate_scale(task, name)].append(parameter)
    return [
        {"params": parameters, "weight_decay": settings.weight_decay if decays else 0.0, "scale": scale}
        for (decays, scale), parameters in sorted(members.items(), key=lambda item: item[0], reverse=True)
    ]


def check_groups(model: nn.Module, groups: Iterable[Group]) -> None:
    """Make sure that every trainable parameter of the model is in the groups once, and nothing else is.

    Raises:
        HpsearchError: The groups do not cover the parameters, which it names; or nothing can be trained.
    """
    counts = Counter(id(parameter) for group in groups for parameter in group["params"])
    names = {id(parameter): name for name, parameter in model.named_parameters() if parameter.requires_grad}
    if not names:
        raise HpsearchError("the model has no trainable parameters")
    missing = [name for key, name in names.items() if not counts[key]]
    twice = [names.get(key, "a parameter that is not the model's") for key, count in counts.items() if count > 1]
    foreign = sum(key not in names for key in counts)
    if missing or twice or foreign:
        raise HpsearchError(
            "the parameter groups do not cover every trainable parameter exactly once: "
            f"missing {missing}, more than once {twice}, frozen or not the model's {foreign}"
        )


def set_rates(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of each group to `rate` times its own factor, so that a schedule keeps layer-wise ratios."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]


def _trainable(model: nn.Module) -> Iterator[tuple[str, nn.Module, nn.Parameter]]:
    """Yield (full name, owning module, parameter), each parameter once, under its first name."""
    seen: set[int] = set()
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad and id(parameter) not in seen:
                seen.add(id(parameter))
                yield f"{path}.{name}" if path else name, module, parameter


def _decays(task: Task, name: str, module: nn.Module, parameter: nn.Parameter) -> bool:
    asked = task.decays(name)
    return _is_weight(name, module, parameter) if asked is None else asked


def _is_weight(name: str, module: nn.Module, parameter: nn.Parameter) -> bool:
    return not isinstance(module, _NORMS) and name.rpartition(".")[2] != "bias" and parameter.ndim >= 2


def _rate_scale(task: Task, name: str) -> float:
    scale = float(task.rate_scale(name))
    if not (math.isfinite(scale) and scale > 0):
        raise HpsearchError(f"the task's rate_scale for '{name}' is {scale}; a positive number is needed")
    return scale


def _optimizer_of(chosen: Optimizer, groups: list[Group], rate: float) -> torch.optim.Optimizer:
    """Return the optimizer of these settings for these groups."""
    return _MAKERS[type(chosen)](chosen, groups, rate)


def _looking_ahead(optimizer: torch.optim.Optimizer, settings: Lookahead) -> torch.optim.Optimizer:
    """Return the optimizer within Lookahead, whose slow weights are part of its state."""
    import pytorch_optimizer  # takes as long to import as torch

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
