"""The transformer encoder (Devlin et al., BERT, NAACL 2019), with one segment and a class token of its own."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.families.text_classifier.model_settings import Transformer

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
