"""One training of DECODE: its examples, loss, augmentation and scores.

Frames are augmented by mirror images and turns, under which the physics of the microscope stays as it is. Other
rotations would need interpolation, which correlates the noise of pixels; jitter of brightness would break the count of
photons and the statistics of the camera. So there are only the eight symmetries of the square.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from hpsearch.data.disk_cache import Arrays
from hpsearch.data.microscopy import MicroscopySettings
from hpsearch.data.point_spread import Astigmatic
from hpsearch.families.decode.localisation import Channels, Units, localise
from hpsearch.families.decode.losses import mixture_loss, per_pixel_loss
from hpsearch.families.decode.metrics import Tally
from hpsearch.families.decode.network import FRAMES, Localiser
from hpsearch.families.decode.settings import Augmentation, DecodeConfig, Mixture, PerPixel
from hpsearch.training.task import Batch, Forward, Task


class FrameData:
    """A simulated movie; an example is a frame with the one before and the one after, and the molecules in it."""

    def __init__(self, arrays: Arrays) -> None:
        self.frames = torch.from_numpy(arrays["frames"])
        self.background = torch.from_numpy(arrays["background"])
        self.emitters = torch.from_numpy(arrays["emitters"])
        bounds = np.searchsorted(arrays["emitter_frame"], np.arange(len(self.frames) + 1))
        self.first = torch.from_numpy(bounds[:-1])
        self.count = torch.from_numpy(np.diff(bounds))
        self.places = max(1, int(self.count.max()))

    def __len__(self) -> int:
        return len(self.frames) - 2

    def batch(self, indices: Sequence[int]) -> Batch:
        """Return frames (B, 3, H, W), the middle one's background (B,) and molecules (B, K, 4), present (B, K).

        In photons, pixels and nm. K is the same for all batches; places without a molecule are 0.
        """
        middle = torch.as_tensor(indices, dtype=torch.long) + 1
        frames = self.frames[middle[:, None] + torch.arange(-1, FRAMES - 1)]
        place = torch.arange(self.places)
        present = place < self.count[middle][:, None]
        entry = (self.first[middle][:, None] + place).masked_fill(~present, 0)
        emitters = self.emitters[entry] * present[..., None] if len(self.emitters) else torch.zeros(*entry.shape, 4)
        return {"frames": frames, "background": self.background[middle], "emitters": emitters, "present": present}


class Localisation(Task):
    """Finding the molecules of the middle frame."""

    def __init__(self, config: DecodeConfig) -> None:
        self.config = config
        self.units = Units.of(config.data)
        self.scalars: Mapping[str, float] = loss_scalars(config.loss)

    def build_model(self) -> nn.Module:
        """Return a new network."""
        return Localiser(self.config.model, deviations=isinstance(self.config.loss, Mixture))

    def loss(self, forward: Forward, batch: Batch, scalars: Mapping[str, float | Tensor]) -> Mapping[str, Tensor]:
        """Return the weighted sum `loss` and its parts before weighting: means over frames."""
        return self._loss(self._channels(forward, batch), batch, scalars)

    def evaluate(self, forward: Forward, batches: Iterable[Batch]) -> Mapping[str, float]:
        """Return the loss, a mean over frames, and the scores of metrics.py over all molecules."""
        loss, frames, tally = 0.0, 0, Tally()
        for batch in batches:
            channels = self._channels(forward, batch)
            size = len(batch["frames"])
            loss += float(self._loss(channels, batch, self.scalars)["loss"]) * size
            frames += size
            found = localise(channels, self.config.detection, self.units)
            for frame, true in enumerate(true_positions(batch)):
                tally.add(self.in_nm(found.in_frame(frame)), self.in_nm(true))
        return {"loss": loss / frames, **tally.scores()}

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
        background = batch["background"] / self.units.background
        if isinstance(self.config.loss, Mixture):
            return mixture_loss(channels, emitters, present, background, scalars)
        expected = self.config.data.emitters.per_frame
        return per_pixel_loss(channels, emitters, present, background, scalars, expected=expected)


def loss_scalars(settings: PerPixel | Mixture) -> dict[str, float]:
    """Return every number of the loss by name."""
    if isinstance(settings, Mixture):
        return settings.model_dump(exclude={"kind"})
    return {
        **settings.weights.model_dump(),
        "positive_weight": settings.positive_weight,
        "focus": settings.focus,
    }


def true_positions(batch: Batch) -> list[np.ndarray]:
    """Return for each frame of a batch the positions (M, 3) of its molecules, x and y in pixels, z in nm."""
    emitters, present = batch["emitters"].cpu().double().numpy(), batch["present"].cpu().numpy()
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
    """Swap x and y. The lens then stands crosswise: what was wide along x is wide along y, as at the depth -z."""
    turned = emitters[..., [0, _Y, _X, _Z]].clone()
    turned[..., _Z] *= depth_sign
    return turned
