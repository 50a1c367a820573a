"""One training of DECODE: its examples, loss, augmentation and scores."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from hpsearch.data.disk_cache import Arrays
from hpsearch.families.decode.augmentation import augment_frames
from hpsearch.families.decode.channels import Channels, Units
from hpsearch.families.decode.localisation import localise
from hpsearch.families.decode.losses import mixture_loss, per_pixel_loss
from hpsearch.families.decode.metrics import Tally
from hpsearch.families.decode.network import FRAMES, Localiser
from hpsearch.families.decode.settings import DecodeConfig, Mixture, PerPixel
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
