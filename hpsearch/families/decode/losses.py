"""Two losses: a likelihood of the molecules under a mixture of normal distributions, and one for each pixel by itself.

Both are means over frames. `emitters` are (B, K, 4: photons, x, y, z) in the network's units, x and y in pixels of the
frame; `present` (B, K) says which of the K places hold a molecule.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from hpsearch.families.decode.localisation import Channels

Scalars = Mapping[str, float | Tensor]

_SMALLEST_VARIANCE = 1e-3
"""Of the number of molecules; a network that is sure of every pixel would otherwise divide by 0."""


def mixture_loss(
    channels: Channels, emitters: Tensor, present: Tensor, background: Tensor, scalars: Scalars
) -> dict[str, Tensor]:
    """Return the weighted sum `loss` and its parts (Speiser, Mueller et al. 2021, equations 3 to 7).

    emitters: -log of the mixture's density at each molecule, summed over molecules. count: -log of the normal density
    of their number, given the mean and variance of the sum of all pixels' yes and no. background (B,): squared error,
    summed over pixels.
    """
    parts = {
        "emitters": -(mixture_log_density(channels, emitters) * present).sum(dim=1).mean(),
        "count": -count_log_density(channels.logit, present.sum(dim=1)).mean(),
        "background": (channels.background - background[:, None, None]).square().sum(dim=(1, 2)).mean(),
    }
    return {"loss": _weighted(parts, scalars), **parts}


def count_log_density(logit: Tensor, count: Tensor) -> Tensor:
    """Return the log density (B,) of numbers of molecules (B,) for logits (B, H, W)."""
    probability = torch.sigmoid(logit)
    mean = probability.sum(dim=(1, 2))
    variance = (probability * (1 - probability)).sum(dim=(1, 2)).clamp(min=_SMALLEST_VARIANCE)
    return -((count - mean).square() / variance + variance.log() + math.log(2 * math.pi)) / 2


def mixture_log_density(channels: Channels, emitters: Tensor) -> Tensor:
    """Return log sum_k p_k / sum(p) N(emitter; mean_k, deviation_k), (B, K), over the pixels k."""
    if channels.deviations is None:
        raise ValueError("the mixture loss needs the deviations of the positions")
    weights = functional.logsigmoid(channels.logit).flatten(1)
    weights = weights - weights.logsumexp(dim=1, keepdim=True)
    exponent = weights[:, None]
    means = _on_the_frame(channels.means).flatten(2)
    deviations = channels.deviations.flatten(2)
    for number in range(4):
        mean, deviation = means[:, None, number], deviations[:, None, number]
        distance = (emitters[:, :, None, number] - mean) / deviation
        exponent = exponent - distance.square() / 2 - deviation.log()
    return exponent.logsumexp(dim=2) - 2 * math.log(2 * math.pi)


def _on_the_frame(means: Tensor) -> Tensor:
    """Return means (B, 4, H, W) with x and y counted from the frame's first pixel instead of from their own."""
    height, width = means.shape[2:]
    columns = torch.arange(width, device=means.device).expand(height, width)
    rows = torch.arange(height, device=means.device)[:, None].expand(height, width)
    zero = torch.zeros_like(columns)
    return means + torch.stack((zero, columns, rows, zero))


def per_pixel_loss(
    channels: Channels, emitters: Tensor, present: Tensor, background: Tensor, scalars: Scalars, *, expected: float
) -> dict[str, Tensor]:
    """Return the weighted sum `loss` and its parts: what the pixels lose together, over `expected` molecules a frame.

    probability: cross-entropy of every pixel. photons, x, y, z: squared errors of the pixels with a molecule, as the
    others have none to be told. background: squared error of every pixel. Dividing by a constant, rather than by the
    molecules that happen to be there, keeps the loss of a large batch the mean of those of its parts.
    """
    target, occupied = rasterise(emitters, present, size=channels.logit.shape[-1])
    errors = (channels.means - target).square() * occupied[:, None]
    detection = _focal(channels.logit, occupied.to(channels.logit.dtype), scalars)
    maps = {"probability": detection, **dict(zip(("photons", "x", "y", "z"), errors.unbind(dim=1), strict=True))}
    maps["background"] = (channels.background - background[:, None, None]).square()
    parts = {name: values.sum(dim=(1, 2)).mean() / expected for name, values in maps.items()}
    return {"loss": _weighted(parts, scalars), **parts}


def _focal(logit: Tensor, target: Tensor, scalars: Scalars) -> Tensor:
    """Return the focal loss of each pixel; its exponent 0 leaves the cross-entropy."""
    weight = 1 + (scalars["positive_weight"] - 1) * target
    entropy = functional.binary_cross_entropy_with_logits(logit, target, reduction="none")
    missed = 1 - torch.exp(-entropy)
    return weight * missed.clamp(min=1e-6) ** scalars["focus"] * entropy


def rasterise(emitters: Tensor, present: Tensor, *, size: int) -> tuple[Tensor, Tensor]:
    """Return the targets (B, 4, size, size) of pixels and which of them (B, size, size) hold a molecule.

    x and y of a target count from the pixel's centre. Of several molecules in a pixel the brightest is taken.
    """
    order = emitters[..., 0].masked_fill(~present, -1).argsort(dim=1, descending=True, stable=True)
    emitters = emitters.gather(1, order[..., None].expand_as(emitters))
    present = present.gather(1, order)
    place = emitters[..., 1:3].round().clamp(0, size - 1)
    flat = (place[..., 1] * size + place[..., 0]).long()
    beaten = (flat[:, :, None] == flat[:, None, :]).tril(diagonal=-1).any(dim=2)
    frame, number = (present & ~beaten).nonzero(as_tuple=True)
    values = torch.cat((emitters[..., :1], emitters[..., 1:3] - place, emitters[..., 3:]), dim=2)
    target = emitters.new_zeros(len(emitters), size * size, 4)
    occupied = torch.zeros(len(emitters), size * size, dtype=torch.bool, device=emitters.device)
    target[frame, flat[frame, number]] = values[frame, number]
    occupied[frame, flat[frame, number]] = True
    return target.movedim(2, 1).reshape(-1, 4, size, size), occupied.reshape(-1, size, size)


def _weighted(parts: Mapping[str, Tensor], scalars: Scalars) -> Tensor:
    first = next(iter(parts.values()))
    return sum((scalars[name] * part for name, part in parts.items()), start=first.new_zeros(()))
