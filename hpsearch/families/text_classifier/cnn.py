"""The convolutional encoder (Kim, Convolutional Neural Networks for Sentence Classification, EMNLP 2014)."""

import copy
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hpsearch.families.text_classifier.model_settings import CNN

_INITIAL_RANGE = 0.25


class ConvolutionalEncoder(nn.Module):
    """For each filter, its largest response at any place of the text.

    A text is surrounded by as many zero vectors as the filter is wide, less one, so that texts shorter than a filter
    are seen too. The rows' common padding has no say: responses that see no word are zero, and after the ReLU no
    response is smaller. So a text's vector does not depend on the batch that it stands in.

    Kim's four variants differ in the embedding: random, or from `vectors` and then static, trained, or both side by
    side. Of the last he says that each filter is applied to both channels and the results are added; here it has
    weights of its own for each, as for the channels of a picture (shared ones would see the channels' sum alone).
    """

    def __init__(self, settings: CNN, *, vocabulary: int, vectors: Mapping[int, NDArray[np.float32]]) -> None:
        """Make an encoder for so many word numbers; `vectors` are the known ones by number."""
        super().__init__()
        self.width = settings.filters * len(settings.widths)
        self.widths = settings.widths
        self.embedding = nn.Embedding(vocabulary, settings.embedding)
        nn.init.uniform_(self.embedding.weight, -_INITIAL_RANGE, _INITIAL_RANGE)
        with torch.no_grad():
            for number, vector in vectors.items():
                self.embedding.weight[number] = torch.from_numpy(vector)
        use = settings.vectors.use if settings.vectors else "nonstatic"
        self.embedding.requires_grad_(use != "static")
        self.static = copy.deepcopy(self.embedding).requires_grad_(False) if use == "multichannel" else None
        channels = settings.embedding * (2 if self.static else 1)
        self.filters = nn.ModuleList(
            nn.Conv1d(channels, settings.filters, width, padding=width - 1) for width in settings.widths
        )
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return vectors (B, filters x widths) of tokens (B, T), of which `lengths` (B,) are words."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        words = (places < lengths[:, None])[..., None]
        embedded = self.embedding(tokens)
        if self.static is not None:
            embedded = torch.cat((embedded, self.static(tokens)), dim=-1)
        signal = (embedded * words).transpose(1, 2)  # (B, channels, T)
        largest = []
        for width, convolution in zip(self.widths, self.filters, strict=True):
            responses = torch.relu(convolution(signal))  # (B, filters, T + width - 1)
            seeing = torch.arange(responses.shape[-1], device=tokens.device) < lengths[:, None] + (width - 1)
            largest.append((responses * seeing[:, None]).amax(dim=-1))
        vectors: Tensor = self.dropout(torch.cat(largest, dim=-1))
        return vectors
