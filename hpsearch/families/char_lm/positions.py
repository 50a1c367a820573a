"""How a transformer knows the order of its inputs without trained vectors: sinusoids and rotations."""

import torch
from torch import Tensor, nn


def angles(positions: int, width: int, base: float) -> Tensor:
    """Return (positions, ceil(width / 2)) angles: position times base^(-2 i / width), in radians."""
    frequencies = base ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    return torch.outer(torch.arange(positions, dtype=torch.float64), frequencies)


def sinusoids(positions: int, width: int, base: float) -> Tensor:
    """Return (positions, width) numbers, sines at even and cosines at odd places (Vaswani et al. 2017, section 3.5)."""
    angle = angles(positions, width, base)
    return torch.stack((angle.sin(), angle.cos()), dim=2).flatten(1)[:, :width].float()


class Rotation(nn.Module):
    """Turns number i together with number i + width / 2 by position times frequency i (Su et al. 2021, eq. 34).

    The product of a turned query and a turned key depends on their vectors and on the distance of their positions.
    """

    cosine: Tensor
    sine: Tensor

    def __init__(self, positions: int, width: int, base: float) -> None:
        super().__init__()
        angle = angles(positions, width, base)
        self.register_buffer("cosine", angle.cos().float(), persistent=False)
        self.register_buffer("sine", angle.sin().float(), persistent=False)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the turned vectors; shape (..., time, width), time from position 0 on."""
        cosine, sine = self.cosine[: vectors.shape[-2]], self.sine[: vectors.shape[-2]]
        first, second = vectors.float().chunk(2, dim=-1)
        turned = torch.cat((first * cosine - second * sine, first * sine + second * cosine), dim=-1)
        return turned.to(vectors.dtype)
