"""The network: a decoder of pre-norm transformer blocks (Radford et al. 2019; initialised as in nanoGPT)."""

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.families.char_lm.settings import Learned, ModelSettings, RotaryPositions, Sinusoidal


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

    def forward(self, vectors: Tensor, begin: int = 0) -> Tensor:
        """Return the turned vectors; shape (..., time, width), time from the position `begin` on."""
        here = slice(begin, begin + vectors.shape[-2])
        cosine, sine = self.cosine[here], self.sine[here]
        first, second = vectors.float().chunk(2, dim=-1)
        turned = torch.cat((first * cosine - second * sine, first * sine + second * cosine), dim=-1)
        return turned.to(vectors.dtype)


_INITIAL_DEVIATION = 0.02
KeysValues = tuple[Tensor, Tensor]
"""What one block's attention has of the tokens so far, each (batch, heads, time, width / heads)."""
Memory = list[KeysValues]
"""That of every block."""


class CharTransformer(nn.Module):
    """Predicts, at each place, the character that follows; sees only the characters up to that place."""

    waves: Tensor | None

    def __init__(self, settings: ModelSettings, *, vocabulary: int, context: int) -> None:
        super().__init__()
        self.context = context
        self.embedding = nn.Embedding(vocabulary, settings.width)
        self.positions = nn.Embedding(context, settings.width) if isinstance(settings.position, Learned) else None
        waves, self.embedding_scale = None, 1.0
        if isinstance(settings.position, Sinusoidal):
            waves = sinusoids(context, settings.width, settings.position.base)
            self.embedding_scale = math.sqrt(settings.width)  # Vaswani et al. section 3.4: or the waves drown the rest
        self.register_buffer("waves", waves, persistent=False)
        self.dropout = nn.Dropout(settings.dropout)
        self.blocks = nn.ModuleList(Block(settings, context=context) for _ in range(settings.layers))
        self.norm = _norm(settings)
        self.head = nn.Linear(settings.width, vocabulary, bias=False)
        self._initialise(settings.layers)
        if settings.tie_weights:
            self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits (batch, time, vocabulary) for tokens (batch, time); time is at most `context`."""
        stream = self._embedded(tokens, 0)
        for block in self.blocks:
            stream = block(stream)
        logits: Tensor = self.head(self.norm(stream))
        return logits

    def follow(self, tokens: Tensor, memory: Memory) -> Tensor:
        """Return the logits (batch, time, vocabulary) for tokens (batch, time) that follow on those in `memory`.

        `memory` is an empty list before the first tokens, which may be many; then they come one at a time. It keeps
        the keys and values of each block, so that each token is computed once. Together they are at most `context`.
        """
        begin = memory[0][0].shape[-2] if memory else 0
        if begin and tokens.shape[-1] != 1:
            raise ValueError(f"tokens follow one at a time, not {tokens.shape[-1]}")
        stream = self._embedded(tokens, begin)
        for place, block in enumerate(self.blocks):
            held = memory[place] if begin else None
            stream, kept = cast("Block", block).follow(stream, held)
            memory[place : place + 1] = [kept]
        logits: Tensor = self.head(self.norm(stream))
        return logits

    def _embedded(self, tokens: Tensor, begin: int) -> Tensor:
        """Return the stream (batch, time, width) before the first block, of tokens from the position `begin` on."""
        end = begin + tokens.shape[-1]
        if end > self.context:
            raise ValueError(f"{end} tokens are more than the context of {self.context}")
        stream: Tensor = self.embedding(tokens) * self.embedding_scale
        if self.positions is not None:
            stream = stream + self.positions.weight[begin:end]
        if self.waves is not None:
            stream = stream + self.waves[begin:end]
        embedded: Tensor = self.dropout(stream)
        return embedded

    def set_dropout(self, dropout: float) -> None:
        """Change the probability of every dropout, DropConnect aside."""
        for module in self.modules():
            if isinstance(module, nn.Dropout):
                module.p = dropout

    def _initialise(self, layers: int) -> None:
        """Draw weights from N(0, .02), those that write to the stream from N(0, .02 / sqrt(2 layers)); biases are 0."""
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                writes = name.endswith(("attention.output.weight", "feedforward.output.weight"))
                nn.init.normal_(parameter, std=_INITIAL_DEVIATION / (math.sqrt(2 * layers) if writes else 1.0))
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)


class DropConnect(nn.Linear):
    """A linear layer whose single weights are dropped while training, the others scaled by 1 / (1 - dropped).

    Wan et al. 2013. So the expected output is that of all weights, which evaluation uses.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool, dropped: float) -> None:
        super().__init__(inputs, outputs, bias=bias)
        self.dropped = dropped

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.Linear calls it so
        """Return the layer's output (..., outputs)."""
        weight = functional.dropout(self.weight, self.dropped, self.training) if self.dropped else self.weight
        return functional.linear(input, weight, self.bias)


class Block(nn.Module):
    """Two branches that add to the stream: attention, then the feed-forward layer; each sees the stream normalised."""

    def __init__(self, settings: ModelSettings, *, context: int) -> None:
        super().__init__()
        self.attention_norm = _norm(settings)
        self.attention = Attention(settings, context=context)
        self.feedforward_norm = _norm(settings)
        self.feedforward = FeedForward(settings)

    def forward(self, stream: Tensor) -> Tensor:
        """Return the stream (batch, time, width) after this block."""
        attended: Tensor = stream + self.attention(self.attention_norm(stream))
        transformed: Tensor = attended + self.feedforward(self.feedforward_norm(attended))
        return transformed

    def follow(self, stream: Tensor, held: KeysValues | None) -> tuple[Tensor, KeysValues]:
        """Return the stream after this block, and the keys and values up to here."""
        added, kept = self.attention.follow(self.attention_norm(stream), held)
        attended = stream + added
        transformed: Tensor = attended + self.feedforward(self.feedforward_norm(attended))
        return transformed, kept


class Attention(nn.Module):
    """Causal self-attention with several heads."""

    def __init__(self, settings: ModelSettings, *, context: int) -> None:
        super().__init__()
        width = settings.width
        self.heads = settings.heads
        self.attention_dropout = nn.Dropout(settings.dropout)
        self.queries_keys_values = nn.Linear(width, 3 * width, bias=settings.bias)
        self.output = DropConnect(width, width, bias=settings.bias, dropped=settings.dropconnect)
        self.dropout = nn.Dropout(settings.dropout)
        position = settings.position
        self.rotation = (
            Rotation(context, width // self.heads, position.base) if isinstance(position, RotaryPositions) else None
        )

    def forward(self, stream: Tensor) -> Tensor:
        """Compute attention's contribution to the stream (batch, time, width)."""
        queries, keys, values = self._parts(stream, 0)
        attended = functional.scaled_dot_product_attention(
            queries, keys, values, is_causal=True, dropout_p=self.attention_dropout.p if self.training else 0.0
        )
        return self._added(attended)

    def follow(self, stream: Tensor, held: KeysValues | None) -> tuple[Tensor, KeysValues]:
        """Compute the contribution of the first tokens, or of one more, and return the keys and values up to here."""
        queries, keys, values = self._parts(stream, 0 if held is None else held[0].shape[-2])
        if held is not None:
            keys, values = torch.cat((held[0], keys), dim=-2), torch.cat((held[1], values), dim=-2)
        attended = functional.scaled_dot_product_attention(queries, keys, values, is_causal=held is None)
        return self._added(attended), (keys, values)

    def _parts(self, stream: Tensor, begin: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, each (batch, heads, time, width / heads)."""
        parts = self.queries_keys_values(stream).unflatten(-1, (3, self.heads, -1))
        queries, keys, values = parts.transpose(-2, -4).unbind(-3)
        if self.rotation is not None:
            queries, keys = self.rotation(queries, begin), self.rotation(keys, begin)
        return queries, keys, values

    def _added(self, attended: Tensor) -> Tensor:
        added: Tensor = self.dropout(self.output(attended.transpose(-2, -3).flatten(-2)))
        return added


class FeedForward(nn.Module):
    """Two linear layers with a GELU (Hendrycks and Gimpel 2016) between them."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        hidden = max(1, round(settings.feedforward * settings.width))
        self.hidden = nn.Linear(settings.width, hidden, bias=settings.bias)
        self.output = DropConnect(hidden, settings.width, bias=settings.bias, dropped=settings.dropconnect)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, stream: Tensor) -> Tensor:
        """Compute the layer's contribution to the stream (batch, time, width)."""
        added: Tensor = self.dropout(self.output(functional.gelu(self.hidden(stream))))
        return added


def _norm(settings: ModelSettings) -> nn.Module:
    """Return layer normalisation (Ba et al. 2016) or RMS normalisation (Zhang and Sennrich 2019)."""
    if settings.norm == "rmsnorm":
        return nn.RMSNorm(settings.width, eps=1e-6)
    return nn.LayerNorm(settings.width, bias=settings.bias)
