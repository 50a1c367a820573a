"""The networks of DeepSIF: EEG (B, T, C electrodes) in, source activity (B, T, R regions) out.

The spatial part and the LSTM are those of Sun et al. (PNAS 2022); the transformer takes the LSTM's place.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.families.deepsif.settings import LSTM, Activation, Initialisation, ModelSettings, Transformer

ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "elu": functional.elu,
    "gelu": functional.gelu,
    "relu": functional.relu,
}


class SpatialFilter(nn.Module):
    """Two residual blocks and an output layer, applied to each moment by itself: (..., C) to (..., width)."""

    def __init__(self, electrodes: int, width: int, activation: Activation) -> None:
        super().__init__()
        self.activate = ACTIVATIONS[activation]
        self.first_inner = nn.Linear(electrodes, electrodes)
        self.first_outer = nn.Linear(electrodes, electrodes)
        self.second_inner = nn.Linear(electrodes, width)
        self.second_outer = nn.Linear(width, width)
        self.second_skip = nn.Linear(electrodes, width)
        self.output = nn.Linear(width, width)

    def forward(self, eeg: Tensor) -> Tensor:
        """Return features (..., width) of potentials (..., C)."""
        activate = self.activate
        first = activate(self.first_outer(activate(self.first_inner(eeg))) + eeg)
        second = activate(self.second_outer(activate(self.second_inner(first))) + self.second_skip(first))
        return activate(self.output(second))


class RecurrentInverse(nn.Module):
    """The original network: the last LSTM layer's hidden state is the activity, so that it lies between -1 and 1."""

    def __init__(self, settings: LSTM, *, electrodes: int, regions: int, spatial_width: int) -> None:
        super().__init__()
        self.spatial = SpatialFilter(electrodes, spatial_width, settings.activation)
        self.temporal = nn.LSTM(spatial_width, regions, num_layers=settings.layers, batch_first=True)
        _initialise(self, settings.initialisation)

    def forward(self, eeg: Tensor) -> Tensor:
        """Return the activity (B, T, R) of EEG (B, T, C)."""
        activity: Tensor = self.temporal(self.spatial(eeg))[0]
        return activity


class EncoderLayer(nn.Module):
    """Attention over time and a feed-forward part, each with its norm before it and a residual connection around it."""

    def __init__(self, settings: Transformer) -> None:
        super().__init__()
        width, hidden = settings.width, round(settings.width * settings.feedforward_factor)
        self.attention_norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, settings.heads, dropout=settings.dropout, batch_first=True)
        self.attention_dropout = nn.Dropout(settings.dropout)
        self.feedforward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Dropout(settings.dropout),
            nn.Linear(hidden, width),
            nn.Dropout(settings.dropout / 2),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return features (B, T, width)."""
        normal = self.attention_norm(features)
        attended: Tensor = self.attention(normal, normal, normal, need_weights=False)[0]
        features = features + self.attention_dropout(attended)
        updated: Tensor = features + self.feedforward(features)
        return updated


class AttentiveInverse(nn.Module):
    """The transformer: spatial features, learned positions, encoder layers that look both ways in time, and a head."""

    def __init__(self, settings: Transformer, *, electrodes: int, regions: int, spatial_width: int) -> None:
        super().__init__()
        width, half = settings.width, settings.dropout / 2
        self.spatial = SpatialFilter(electrodes, spatial_width, settings.activation)
        self.entrance = nn.Sequential(
            nn.LayerNorm(spatial_width),
            nn.Dropout(half),
            nn.Linear(spatial_width, width),
            nn.LayerNorm(width),
            nn.GELU(),
        )
        self.positions = nn.Parameter(0.1 * torch.randn(settings.positions, width))
        self.position_dropout = nn.Dropout(settings.dropout)
        self.layers = nn.Sequential(*(EncoderLayer(settings) for _ in range(settings.layers)))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width // 2), nn.GELU(), nn.Dropout(half))
        self.output = nn.Linear(width // 2, regions)
        _initialise(self, settings.initialisation)
        with torch.no_grad():
            for parameter in self.output.parameters():
                parameter.mul_(settings.output_gain)

    def forward(self, eeg: Tensor) -> Tensor:
        """Return the activity (B, T, R) of EEG (B, T, C)."""
        features = self.entrance(self.spatial(eeg)) + self.positions[: eeg.shape[1]]
        activity: Tensor = self.output(self.head(self.layers(self.position_dropout(features))))
        return activity


def build_network(settings: ModelSettings, *, electrodes: int, regions: int) -> nn.Module:
    """Return a freshly initialised network; all randomness is torch's global generator's."""
    temporal, width = settings.temporal, settings.spatial_width
    if isinstance(temporal, LSTM):
        return RecurrentInverse(temporal, electrodes=electrodes, regions=regions, spatial_width=width)
    return AttentiveInverse(temporal, electrodes=electrodes, regions=regions, spatial_width=width)


def _initialise(network: nn.Module, initialisation: Initialisation) -> None:
    """Leave torch's own initialisation, or draw all matrices as Glorot or He did and set these layers' biases to 0."""
    if initialisation == "default":
        return
    draw = nn.init.xavier_uniform_ if initialisation == "xavier" else nn.init.kaiming_uniform_
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.MultiheadAttention | nn.LSTM):
            for name, parameter in module.named_parameters(recurse=False):
                if "bias" in name:
                    nn.init.zeros_(parameter)
                else:
                    draw(parameter)
