"""What the numbers of the network mean: its output channels by name, and the units in which it computes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from hpsearch.data.microscopy import MicroscopySettings


@dataclass(frozen=True)
class Channels:
    """A network's output by name; each map is (B, H, W), positions and their deviations (B, 4, H, W)."""

    logit: Tensor
    """Of the probability that a molecule's centre is in the pixel."""
    means: Tensor
    """Photons, x, y, z in the network's units; x and y from the pixel's centre."""
    deviations: Tensor | None
    """Their standard deviations; the per-pixel loss has none."""
    background: Tensor

    @classmethod
    def of(cls, output: Tensor) -> "Channels":
        """Name the channels of an output of 6 or, with deviations, 10 channels."""
        deviations = output[:, 5:9] if output.shape[1] == 10 else None
        return cls(output[:, 0], output[:, 1:5], deviations, output[:, -1])


@dataclass(frozen=True)
class Units:
    """The network's unit of each number, in photons, pixels and nm, so that it computes with numbers up to about 1."""

    photons: float
    depth: float
    background: float
    dark: float
    """Photons per pixel that are subtracted from frames."""
    bright: float
    """The unit of what is left of frames, in photons."""

    @classmethod
    def of(cls, data: MicroscopySettings) -> "Units":
        """Choose units in which the data have room: 8 standard deviations for photons, a fifth for the rest."""
        emitters = data.emitters
        return cls(
            photons=emitters.photons + 8 * emitters.photons_sd,
            depth=1.2 * max(abs(emitters.depth[0]), abs(emitters.depth[1])),
            background=1.2 * max(data.background[1], 1.0),
            dark=sum(data.background) / 2,
            bright=emitters.photons / 50,
        )

    def scale_frames(self, frames: Tensor) -> Tensor:
        """Return frames in the network's units."""
        return (frames - self.dark) / self.bright

    def scale_emitters(self, emitters: Tensor) -> Tensor:
        """Return molecules (..., 4: photons, x, y, z) in the network's units; x and y stay in pixels."""
        return emitters / self._of_emitters(emitters)

    def restore_emitters(self, emitters: Tensor) -> Tensor:
        """Return molecules (..., 4) in photons, pixels and nm."""
        return emitters * self._of_emitters(emitters)

    def _of_emitters(self, emitters: Tensor) -> Tensor:
        return torch.tensor([self.photons, 1.0, 1.0, self.depth], device=emitters.device)
