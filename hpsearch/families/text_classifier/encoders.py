"""The encoders that are trained from scratch: convolutions (Kim 2014) and a transformer (BERT, Devlin et al. 2019)."""

import copy
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.families.text_classifier.settings import CNN, Transformer

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
        """Make an encoder for a vocabulary of this size; `vectors` are the known ones by number."""
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


_INITIAL_DEVIATION = 0.02
_EPSILON = 1e-12


class TransformerEncoder(nn.Module):
    """One vector for a text, from self-attention among a class token and the words; padding is never attended to."""

    def __init__(self, settings: Transformer, *, vocabulary: int, max_length: int) -> None:
        super().__init__()
        self.width = settings.width
        self.pooling = settings.pooling
        self.embedding = nn.Embedding(vocabulary, settings.width)
        self.class_token = nn.Parameter(torch.empty(1, settings.width))
        self.positions = nn.Embedding(max_length + 1, settings.width)
        self.embedding_norm = nn.LayerNorm(settings.width, eps=_EPSILON)
        self.blocks = nn.ModuleList(Block(settings) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(settings.width, eps=_EPSILON) if settings.norm == "pre" else nn.Identity()
        self.pooler = nn.Linear(settings.width, settings.width) if settings.pooling == "cls" else None
        self.dropout = nn.Dropout(settings.dropout)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=_INITIAL_DEVIATION)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return vectors (B, width) of tokens (B, T), of which `lengths` (B,) are words."""
        class_tokens = self.class_token.expand(len(tokens), 1, -1)
        stream = torch.cat((class_tokens, self.embedding(tokens)), dim=1)
        stream = stream + self.positions.weight[: stream.shape[1]]
        stream = self.dropout(self.embedding_norm(stream))
        seen = torch.arange(stream.shape[1], device=tokens.device) <= lengths[:, None]
        for block in self.blocks:
            stream = block(stream, seen)
        pooled: Tensor = self.dropout(self._pooled(self.norm(stream), seen))
        return pooled

    def _pooled(self, stream: Tensor, seen: Tensor) -> Tensor:
        if self.pooler is not None:
            return torch.tanh(self.pooler(stream[:, 0]))
        return (stream * seen[..., None]).sum(dim=1) / seen.sum(dim=1, keepdim=True)


def layer_of(parameter: str) -> int | None:
    """Return the block of a parameter of the encoder, -1 for what lies below the blocks; None above them."""
    part, _, rest = parameter.partition(".")
    if part in ("norm", "pooler"):
        return None
    return int(rest.split(".")[0]) if part == "blocks" else -1


class Block(nn.Module):
    """Attention and a feed-forward layer, each added to the stream; normalised before or after."""

    def __init__(self, settings: Transformer) -> None:
        super().__init__()
        width = settings.width
        self.normalise_first = settings.norm == "pre"
        self.heads = settings.heads
        self.attention_dropout = settings.attention_dropout
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.attended = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width, eps=_EPSILON)
        self.hidden = nn.Linear(width, settings.feedforward * width)
        self.output = nn.Linear(settings.feedforward * width, width)
        self.feedforward_norm = nn.LayerNorm(width, eps=_EPSILON)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, stream: Tensor, seen: Tensor) -> Tensor:
        """Return the stream (B, T, width) after this block; only places that are `seen` (B, T) are attended to."""
        if self.normalise_first:
            stream = stream + self._attention(self.attention_norm(stream), seen)
            return stream + self._feedforward(self.feedforward_norm(stream))
        stream = self.attention_norm(stream + self._attention(stream, seen))
        normalised: Tensor = self.feedforward_norm(stream + self._feedforward(stream))
        return normalised

    def _attention(self, stream: Tensor, seen: Tensor) -> Tensor:
        # (B, T, 3 width) -> three of (B, heads, T, width / heads)
        parts = self.queries_keys_values(stream).unflatten(-1, (3, self.heads, -1))
        queries, keys, values = parts.transpose(-2, -4).unbind(-3)
        attended = functional.scaled_dot_product_attention(
            queries,
            keys,
            values,
            attn_mask=seen[:, None, None, :],
            dropout_p=self.attention_dropout if self.training else 0.0,
        )
        added: Tensor = self.dropout(self.attended(attended.transpose(-2, -3).flatten(-2)))
        return added

    def _feedforward(self, stream: Tensor) -> Tensor:
        added: Tensor = self.dropout(self.output(functional.gelu(self.hidden(stream))))
        return added
