"""The network: a U-Net for each frame, a U-Net for what three frames make together, and a head for each kind of number.

Speiser, Mueller et al. (2021); the U-Net is that of Ronneberger et al. (2015) with padding, strided convolutions on the
way down and nearest neighbours on the way up.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.families.decode.settings import ModelSettings

FRAMES = 3
_LARGEST_LOGIT = 8.0
_FIRST_LOGIT = -6.0
"""The bias of the head that detects: molecules are rare."""
_LARGEST_DEVIATION = 3.0
_SMALLEST_DEVIATION = 0.001


def _activation(settings: ModelSettings) -> nn.Module:
    return nn.ELU() if settings.activation == "elu" else nn.ReLU()


def _norm(settings: ModelSettings, channels: int) -> nn.Module:
    if settings.norm == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(math.gcd(4, channels), channels) if settings.norm == "group" else nn.Identity()


class ChannelAttention(nn.Module):
    """Weighs each channel by all channels' averages over the frame (squeeze and excitation, Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(1, channels // 4)
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, channels, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return the weighed maps (B, channels, H, W)."""
        return features * torch.sigmoid(self.weigh(features))


class Convolutions(nn.Module):
    """Two 3x3 convolutions, each with its norm and activation; with attention and a bridge if the settings say so."""

    def __init__(self, inputs: int, outputs: int, settings: ModelSettings) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1),
            _norm(settings, outputs),
            _activation(settings),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            _norm(settings, outputs),
            ChannelAttention(outputs) if settings.attention else nn.Identity(),
        )
        self.bridge = nn.Conv2d(inputs, outputs, 1) if settings.residual else None
        self.activate = _activation(settings)

    def forward(self, features: Tensor) -> Tensor:
        """Return maps (B, outputs, H, W) of maps (B, inputs, H, W)."""
        made = self.path(features)
        activated: Tensor = self.activate(made if self.bridge is None else made + self.bridge(features))
        return activated


class UNet(nn.Module):
    """Looks at maps in several resolutions, and brings what it sees back to the finest."""

    def __init__(self, inputs: int, depth: int, settings: ModelSettings) -> None:
        super().__init__()
        widths = [settings.features * settings.gain**level for level in range(depth + 1)]
        self.entrance = Convolutions(inputs, widths[0], settings)
        self.halve = nn.ModuleList(nn.Conv2d(width, width, 2, stride=2) for width in widths[:-1])
        self.down = nn.ModuleList(Convolutions(fine, coarse, settings) for fine, coarse in pairwise(widths))
        self.narrow = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in pairwise(widths))
        self.up = nn.ModuleList(Convolutions(2 * fine, fine, settings) for fine in widths[:-1])
        self.exit = nn.Conv2d(widths[0], widths[0], 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return features (B, features, H, W) of maps (B, inputs, H, W); sides must halve `depth` times."""
        features = self.entrance(maps)
        finer = []
        for halve, convolve in zip(self.halve, self.down, strict=True):
            finer.append(features)
            features = convolve(halve(features))
        for level in reversed(range(len(finer))):
            enlarged = self.narrow[level](functional.interpolate(features, scale_factor=2.0, mode="nearest"))
            features = self.up[level](torch.cat((finer[level], enlarged), dim=1))
        output: Tensor = self.exit(features)
        return output


class Critic(nn.Module):
    """Judges at each pixel, by the 7 x 7 around it, whether a map of molecules is the true one or the network's.

    Isola et al. 2017: a generator is judged patch by patch, given what it saw.
    """

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.judge = nn.Sequential(
            nn.Conv2d(FRAMES + 1, channels, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, channels, 3, padding=2, dilation=2),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, 1, 1),
        )

    def forward(self, frames: Tensor, probability: Tensor) -> Tensor:
        """Return the logits (B, 1, H, W) of a map (B, 1, H, W) being true, for frames (B, 3, H, W)."""
        logits: Tensor = self.judge(torch.cat((frames, probability), dim=1))
        return logits


def reverse_gradient(values: Tensor, factor: float | Tensor) -> Tensor:
    """Return the values; their gradient is that of the result times -factor (Ganin and Lempitsky 2015)."""
    return values.detach() * (1 + factor) - values * factor


class Localiser(nn.Module):
    """Sees three frames and says for each pixel of the middle one what `Channels` names.

    With a critic, training learns both at once: the critic to tell true maps from the network's, and by a reversed
    gradient the network to make maps that it cannot tell.
    """

    def __init__(self, settings: ModelSettings, *, deviations: bool, critic: bool = False) -> None:
        super().__init__()
        features = settings.features
        self.multiple = 2 ** max(settings.frame_depth, settings.union_depth)
        self.frame_net = UNet(1, settings.frame_depth, settings)
        self.union_net = UNet(FRAMES * features, settings.union_depth, settings)
        self.activate = _activation(settings)
        self.detect = _head(features, 1, settings)
        self.locate = _head(features, 4, settings)
        self.doubt = _head(features, 4, settings) if deviations else None
        self.background = _head(features, 1, settings)
        if settings.initialisation == "kaiming":
            _initialise(self)
        nn.init.constant_(self.detect[-1].bias, _FIRST_LOGIT)  # type: ignore[arg-type] # the last layer has one
        self.critic = Critic() if critic else None

    def forward(self, frames: Tensor, true: Tensor | None = None, strength: float | Tensor = 1.0) -> Tensor:
        """Return the channels (B, 6 or 10, H, W) of frames (B, 3, H, W) in the network's units.

        Frames whose sides cannot be halved often enough are continued at their right and lower edges meanwhile. With a
        true map of molecules (B, H, W), two more channels follow: the critic's logits for the network's map, whose
        gradient is reversed with this strength, and for the true one.
        """
        height, width = frames.shape[2:]
        down, right = -height % self.multiple, -width % self.multiple
        if down or right:
            padded = functional.pad(frames, (0, right, 0, down), mode="replicate")
            channels = self._channels(padded)[..., :height, :width]
        else:
            channels = self._channels(frames)
        if self.critic is None or true is None:
            return channels
        own = reverse_gradient(torch.sigmoid(channels[:, :1]), strength)
        judged = [self.critic(frames, each) for each in (own, true[:, None].to(frames.dtype))]
        return torch.cat((channels, *judged), dim=1)

    def _channels(self, frames: Tensor) -> Tensor:
        alone = self.activate(self.frame_net(frames.flatten(0, 1)[:, None]))
        together = self.activate(self.union_net(alone.unflatten(0, (-1, FRAMES)).flatten(1, 2)))
        located = self.locate(together)
        parts = [
            self.detect(together).clamp(-_LARGEST_LOGIT, _LARGEST_LOGIT),
            torch.sigmoid(located[:, :1]),
            torch.tanh(located[:, 1:]),
        ]
        if self.doubt is not None:
            parts.append(_LARGEST_DEVIATION * torch.sigmoid(self.doubt(together)) + _SMALLEST_DEVIATION)
        parts.append(torch.sigmoid(self.background(together)))
        return torch.cat(parts, dim=1)


def _head(features: int, outputs: int, settings: ModelSettings) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(features, features, 3, padding=1), _activation(settings), nn.Conv2d(features, outputs, 1)
    )


def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
