"""One training of DECODE: its examples, losses, augmentation and scores.

Frames are augmented by mirror images and turns, under which the physics of the microscope stays as it is. Other
rotations would need interpolation, which correlates the noise of pixels; jitter of brightness would break the count of
photons and the statistics of the camera. So there are only the eight symmetries of the square.

There are two losses: a likelihood of the molecules under a mixture of normal distributions, and one for each pixel by
itself. Both are means over frames. `emitters` are (B, K, 4: photons, x, y, z) in the network's units, x and y in pixels
of the frame; `present` (B, K) says which of the K places hold a molecule. Of molecules in recorded movies `known`
(B, K, 4) says which of their numbers are known; the others are not taught, and neither is a background below 0.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.data.microscopy import MicroscopySettings
from hpsearch.data.point_spread import Astigmatic
from hpsearch.families.decode.localisation import Channels, Tally, Units, localise
from hpsearch.families.decode.network import Localiser
from hpsearch.families.decode.settings import Augmentation, DecodeConfig, Mixture, PerPixel
from hpsearch.training.by_example import ByExample, Weights
from hpsearch.training.task import Batch, Forward, Task


class Localisation(Task):
    """Finding the molecules of the middle frame."""

    def __init__(self, config: DecodeConfig) -> None:
        self.config = config
        self.units = Units.of(config.data)
        self.scalars: Mapping[str, float] = loss_scalars(config.loss)

    def build_model(self) -> nn.Module:
        """Return a new network."""
        deviations = isinstance(self.config.loss, Mixture)
        return Localiser(self.config.model, deviations=deviations, critic=self.config.has_critic)

    def loss(self, forward: Forward, batch: Batch, scalars: Mapping[str, float | Tensor]) -> Mapping[str, Tensor]:
        """Return the weighted sum `loss` and its parts before weighting: means over frames."""
        if not self.config.has_critic:
            return self._loss(self._channels(forward, batch), batch, scalars)
        frames = self.units.scale_frames(batch["frames"])
        _, occupied = rasterise(batch["emitters"], batch["present"], size=frames.shape[2:])
        output = forward(frames, occupied, scalars["adversarial"])
        parts = self._loss(Channels.of(output[:, :-2]), batch, scalars)
        critic = critic_loss(output[:, -2], output[:, -1])
        return {**parts, "loss": parts["loss"] + critic, "critic": critic}

    def evaluate(self, forward: Forward, batches: Iterable[Batch]) -> Mapping[str, float]:
        """Return the loss, a mean over frames, and the scores over all molecules."""
        loss, frames, tally = 0.0, 0, Tally()
        for batch in (part for whole in batches for part in in_memory(whole)):
            channels = self._channels(forward, batch)
            size = len(batch["frames"])
            loss += float(self._loss(channels, batch, self.scalars)["loss"]) * size
            frames += size
            for each in self._tallies(channels, batch):
                tally.merge(each)
        return {"loss": loss / frames, **tally.scores()}

    def by_example(self, forward: Forward, batches: Iterable[Batch]) -> ByExample:
        """Return the scores as a function of how often each frame counts."""
        losses: list[float] = []
        tallies: list[Tally] = []
        for batch in (part for whole in batches for part in in_memory(whole)):
            channels = self._channels(forward, batch)
            for frame in range(len(batch["frames"])):
                one = {name: tensor[frame : frame + 1] for name, tensor in batch.items()}
                losses.append(float(self._loss(channels.of_frame(frame), one, self.scalars)["loss"]))
            tallies += self._tallies(channels, batch)
        counted, lost = np.array([astuple(each) for each in tallies], dtype=np.float64), np.array(losses)

        def scores(weights: Weights) -> dict[str, float]:
            return {"loss": float(weights @ lost / weights.sum()), **Tally(*(weights @ counted)).scores()}

        return ByExample(len(lost), scores)

    def _tallies(self, channels: Channels, batch: Batch) -> list[Tally]:
        """Return what is found and missed in each frame."""
        found = localise(channels, self.config.detection, self.units)
        tallies = [Tally() for _ in batch["frames"]]
        for frame, (tally, true) in enumerate(zip(tallies, true_positions(batch), strict=True)):
            tally.add(self.in_nm(found.in_frame(frame)), self.in_nm(true))
        return tallies

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Mirror and turn frames and molecules together, each example by its own chance."""
        return augment_frames(batch, self.config.augmentation, self.config.data, generator)

    def in_nm(self, positions: np.ndarray) -> np.ndarray:
        """Return positions (N, 3) in nm whose x and y are in pixels and whose z is in nm."""
        return positions * (self.config.data.pixel, self.config.data.pixel, 1.0)

    def _channels(self, forward: Forward, batch: Batch) -> Channels:
        return Channels.of(forward(self.units.scale_frames(batch["frames"])))

    def _loss(self, channels: Channels, batch: Batch, scalars: Mapping[str, float | Tensor]) -> dict[str, Tensor]:
        emitters, present = self.units.scale_emitters(batch["emitters"]), batch["present"]
        background, known = batch["background"] / self.units.background, batch.get("known")
        if isinstance(self.config.loss, Mixture):
            return mixture_loss(channels, emitters, present, background, scalars, known=known)
        expected = self.config.data.emitters.per_frame
        scales = self.config.loss.scales
        return per_pixel_loss(
            channels, emitters, present, background, scalars, expected=expected, known=known, scales=scales
        )


def loss_scalars(settings: PerPixel | Mixture) -> dict[str, float]:
    """Return every number of the loss by name."""
    if isinstance(settings, Mixture):
        return settings.model_dump(exclude={"kind"})
    return {
        **settings.weights.model_dump(),
        "positive_weight": settings.positive_weight,
        "focus": settings.focus,
        **({"adversarial": settings.adversarial} if settings.adversarial else {}),
    }


def in_memory(batch: Batch) -> Iterator[Batch]:
    """Yield a batch of large frames in parts, so that what is computed of them has its place in memory."""
    frames, _, height, width = batch["frames"].shape
    size = max(1, _MOST_PIXELS // (height * width))
    for start in range(0, frames, size):
        yield batch if size >= frames else {name: tensor[start : start + size] for name, tensor in batch.items()}


_MOST_PIXELS = 1 << 20
"""Of the frames that are scored at once."""


def true_positions(batch: Batch) -> list[np.ndarray]:
    """Return for each frame of a batch the positions (M, 3) of its molecules, x and y in pixels, z in nm.

    A depth that is not known is NaN.
    """
    found, present = batch["emitters"].cpu().double(), batch["present"].cpu().numpy()
    if "known" in batch:
        found = found.masked_fill(~batch["known"].cpu(), torch.nan)
    emitters = found.numpy()
    return [here[there, 1:] for here, there in zip(emitters, present, strict=True)]


_X, _Y, _Z = 1, 2, 3


def augment_frames(batch: Batch, settings: Augmentation, data: MicroscopySettings, generator: torch.Generator) -> Batch:
    """Return a batch in which each example is mirrored along x, along y and transposed by a fair coin each."""
    frames, emitters = batch["frames"], batch["emitters"]
    if settings.flips:
        for axis, coordinate in ((3, _X), (2, _Y)):
            coin = _coins(len(frames), generator)
            frames = torch.where(coin[:, None, None, None], frames.flip(axis), frames)
            emitters = torch.where(coin[:, None, None], _mirrored(emitters, coordinate, data.size), emitters)
    if settings.turns:
        coin = _coins(len(frames), generator)
        sign = -1.0 if isinstance(data.point_spread, Astigmatic) else 1.0
        frames = torch.where(coin[:, None, None, None], frames.transpose(2, 3), frames)
        emitters = torch.where(coin[:, None, None], _transposed(emitters, sign), emitters)
    return {**batch, "frames": frames, "emitters": emitters * batch["present"][..., None]}


def _coins(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator) < 0.5


def _mirrored(emitters: Tensor, coordinate: int, size: int) -> Tensor:
    mirrored = emitters.clone()
    mirrored[..., coordinate] = size - 1 - emitters[..., coordinate]
    return mirrored


def _transposed(emitters: Tensor, depth_sign: float) -> Tensor:
    """Swap x and y. The lens is then crosswise: what was wide along x is wide along y, as at the depth -z."""
    turned = emitters[..., [0, _Y, _X, _Z]].clone()
    turned[..., _Z] *= depth_sign
    return turned


Scalars = Mapping[str, float | Tensor]

_SMALLEST_VARIANCE = 1e-3
"""Of the number of molecules; a network that is sure of every pixel would otherwise divide by 0."""


def mixture_loss(
    channels: Channels,
    emitters: Tensor,
    present: Tensor,
    background: Tensor,
    scalars: Scalars,
    *,
    known: Tensor | None = None,
) -> dict[str, Tensor]:
    """Return the weighted sum `loss` and its parts (Speiser, Mueller et al. 2021, equations 3 to 7).

    emitters: -log of the mixture's density at each molecule, summed over molecules. count: -log of the normal density
    of their number, given the mean and variance of the sum of all pixels' yes and no. background (B,): squared error,
    summed over pixels.
    """
    parts = {
        "emitters": -(mixture_log_density(channels, emitters, known) * present).sum(dim=1).mean(),
        "count": -count_log_density(channels.logit, present.sum(dim=1)).mean(),
        "background": _background_errors(channels, background).sum(dim=(1, 2)).mean(),
    }
    return {"loss": _weighted(parts, scalars), **parts}


def _background_errors(channels: Channels, background: Tensor) -> Tensor:
    """Return the squared error of each pixel, 0 where the background is not known."""
    true = background[:, None, None]
    return (channels.background - torch.where(true < 0, channels.background, true)).square()


def count_log_density(logit: Tensor, count: Tensor) -> Tensor:
    """Return the log density (B,) of numbers of molecules (B,) for logits (B, H, W)."""
    probability = torch.sigmoid(logit)
    mean = probability.sum(dim=(1, 2))
    variance = (probability * (1 - probability)).sum(dim=(1, 2)).clamp(min=_SMALLEST_VARIANCE)
    return -((count - mean).square() / variance + variance.log() + math.log(2 * math.pi)) / 2


def mixture_log_density(channels: Channels, emitters: Tensor, known: Tensor | None = None) -> Tensor:
    """Return log sum_k p_k / sum(p) N(emitter; mean_k, deviation_k), (B, K), over the pixels k.

    Of an emitter with numbers that are not `known` it is the marginal density of the others.
    """
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
        if known is None:
            exponent = exponent - distance.square() / 2 - deviation.log()
        else:
            exponent = exponent - known[:, :, None, number] * (distance.square() / 2 + deviation.log())
    numbers = 4 if known is None else known.sum(dim=2)
    return exponent.logsumexp(dim=2) - numbers * math.log(2 * math.pi) / 2


def _on_the_frame(means: Tensor) -> Tensor:
    """Return means (B, 4, H, W) with x and y counted from the frame's first pixel instead of from their own."""
    height, width = means.shape[2:]
    columns = torch.arange(width, device=means.device).expand(height, width)
    rows = torch.arange(height, device=means.device)[:, None].expand(height, width)
    zero = torch.zeros_like(columns)
    return means + torch.stack((zero, columns, rows, zero))


def per_pixel_loss(
    channels: Channels,
    emitters: Tensor,
    present: Tensor,
    background: Tensor,
    scalars: Scalars,
    *,
    expected: float,
    known: Tensor | None = None,
    scales: int = 1,
) -> dict[str, Tensor]:
    """Return the weighted sum `loss` and its parts: what the pixels lose together, over `expected` molecules a frame.

    probability: cross-entropy of every pixel, and with more `scales` its mean with that of larger squares, see
    `coarse_entropies`. photons, x, y, z: squared errors of the pixels with a molecule, as the
    others have none to be learned. background: squared error of every pixel. Dividing by a constant, rather than by the
    molecules that happen to be there, keeps the loss of a large batch the mean of those of its parts.
    """
    size = channels.logit.shape[1:]
    target, occupied = rasterise(emitters, present, size=size)
    taught = occupied[:, None] if known is None else rasterise(emitters, present, known=known, size=size)[0]
    errors = (channels.means - target).square() * taught
    detection = _focal(channels.logit, occupied.to(channels.logit.dtype), scalars)
    maps = dict(zip(("photons", "x", "y", "z"), errors.unbind(dim=1), strict=True))
    maps["background"] = _background_errors(channels, background)
    parts = {"probability": detection.sum(dim=(1, 2)).mean() / expected}
    if scales > 1:
        coarser = coarse_entropies(channels.logit, occupied, scalars, scales=scales)
        losses = [parts["probability"], *(each.sum(dim=(1, 2)).mean() / expected for each in coarser)]
        parts["probability"] = torch.stack(losses).mean()
    parts |= {name: values.sum(dim=(1, 2)).mean() / expected for name, values in maps.items()}
    return {"loss": _weighted(parts, scalars), **parts}


def coarse_entropies(logit: Tensor, occupied: Tensor, scalars: Scalars, *, scales: int) -> list[Tensor]:
    """Return the focal losses (B, H / s, W / s) of squares of s = 2, 4, 8 ... pixels, for `scales` - 1 of them.

    A square holds a molecule with the probability that not all of its pixels are empty. So a molecule that is reported
    one pixel from its place loses less than one that is not reported.
    """
    found = []
    for side in (2**level for level in range(1, scales)):
        down, right = -logit.shape[1] % side, -logit.shape[2] % side
        none = functional.pad(functional.logsigmoid(-logit), (0, right, 0, down))
        empty = functional.avg_pool2d(none[:, None], side)[:, 0] * side**2
        there = functional.pad(occupied.to(logit.dtype), (0, right, 0, down))
        target = functional.max_pool2d(there[:, None], side)[:, 0]
        some = torch.log(-torch.expm1(empty.clamp(max=-_LEAST)))
        found.append(_focused(-(target * some + (1 - target) * empty), target, scalars))
    return found


_LEAST = 1e-6
"""A probability for which the logarithm is computed at least."""


def critic_loss(own: Tensor, true: Tensor) -> Tensor:
    """Return the cross-entropy of a critic's logits for the network's maps and for true ones, a mean over pixels."""
    return (functional.softplus(own) + functional.softplus(-true)).mean()


def _focal(logit: Tensor, target: Tensor, scalars: Scalars) -> Tensor:
    """Return the focal loss of each pixel; its exponent 0 leaves the cross-entropy."""
    entropy = functional.binary_cross_entropy_with_logits(logit, target, reduction="none")
    return _focused(entropy, target, scalars)


def _focused(entropy: Tensor, target: Tensor, scalars: Scalars) -> Tensor:
    weight = 1 + (scalars["positive_weight"] - 1) * target
    missed = 1 - torch.exp(-entropy)
    return weight * missed.clamp(min=1e-6) ** scalars["focus"] * entropy


def rasterise(
    emitters: Tensor, present: Tensor, *, size: Sequence[int], known: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the targets (B, 4, *size) of pixels and which of them (B, *size) hold a molecule; size: height, width.

    x and y of a target count from the pixel's centre. Of several molecules in a pixel the brightest is taken. With
    `known` (B, K, 4), this is what is drawn instead of the numbers: 1 where they are known.
    """
    height, width = size
    order = emitters[..., 0].masked_fill(~present, -1).argsort(dim=1, descending=True, stable=True)
    emitters = emitters.gather(1, order[..., None].expand_as(emitters))
    present = present.gather(1, order)
    largest = torch.tensor([width - 1, height - 1], device=emitters.device)
    place = emitters[..., 1:3].round().clamp(min=0).minimum(largest)
    flat = (place[..., 1] * width + place[..., 0]).long()
    beaten = (flat[:, :, None] == flat[:, None, :]).tril(diagonal=-1).any(dim=2)
    frame, number = (present & ~beaten).nonzero(as_tuple=True)
    values = torch.cat((emitters[..., :1], emitters[..., 1:3] - place, emitters[..., 3:]), dim=2)
    if known is not None:
        values = known.gather(1, order[..., None].expand_as(emitters)).to(values.dtype)
    target = emitters.new_zeros(len(emitters), height * width, 4)
    occupied = torch.zeros(len(emitters), height * width, dtype=torch.bool, device=emitters.device)
    target[frame, flat[frame, number]] = values[frame, number]
    occupied[frame, flat[frame, number]] = True
    return target.movedim(2, 1).reshape(-1, 4, height, width), occupied.reshape(-1, height, width)


def _weighted(parts: Mapping[str, Tensor], scalars: Scalars) -> Tensor:
    first = next(iter(parts.values()))
    return sum((scalars[name] * part for name, part in parts.items()), start=first.new_zeros(()))
