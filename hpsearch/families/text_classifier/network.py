"""The network: an encoder from words to a vector, and a linear layer for each task.

The encoders that are trained from scratch are convolutions (Kim 2014) and a transformer (BERT, Devlin et al. 2019).
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.data.words import FIRST_WORD, read_vectors
from hpsearch.errors import DataError
from hpsearch.families.text_classifier.pretrained import PretrainedEncoder
from hpsearch.families.text_classifier.settings import CNN, ModelSettings, Pretrained, Transformer

_INITIAL_RANGE = 0.25


class ConvolutionalEncoder(nn.Module):
    """For each filter, its largest response at any place of the text.

    A text is surrounded by as many zero vectors as the filter is wide, less one, so that texts shorter than a filter
    are seen too. The rows' common padding has no say: responses that see no word are zero, and after the ReLU no
    response is smaller. So a text's vector does not depend on the batch that it is in.

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
        self.attention_dropout = nn.Dropout(settings.attention_dropout)
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
            dropout_p=self.attention_dropout.p if self.training else 0.0,
        )
        added: Tensor = self.dropout(self.attended(attended.transpose(-2, -3).flatten(-2)))
        return added

    def _feedforward(self, stream: Tensor) -> Tensor:
        added: Tensor = self.dropout(self.output(functional.gelu(self.hidden(stream))))
        return added


class TextClassifier(nn.Module):
    """Logits of the classes; those of several tasks, which share the encoder, are one behind the other."""

    fingerprint: Tensor
    """Tells for which vocabulary and classes the weights are, and behind that which texts they learned from.

    Weights of an older hpsearch have only the first number.
    """

    def __init__(
        self,
        settings: ModelSettings,
        *,
        vocabulary: int,
        max_length: int,
        classes: Sequence[int],
        words: Sequence[str] = (),
        fingerprint: Sequence[int] | NDArray[np.int64] = (0,),
        pretrained_weights: bool = True,
    ) -> None:
        """Make a network for a vocabulary of this size, the `words` from number 2 on.

        Without `pretrained_weights` every weight is random, for those that are loaded afterwards.
        """
        super().__init__()
        self.register_buffer("fingerprint", torch.from_numpy(np.array(fingerprint, dtype=np.int64)))
        chosen, max_norm = settings.architecture, None
        self.encoder: ConvolutionalEncoder | TransformerEncoder | PretrainedEncoder
        if isinstance(chosen, CNN):
            vectors = _known_vectors(chosen, words) if pretrained_weights else {}
            self.encoder = ConvolutionalEncoder(chosen, vocabulary=vocabulary, vectors=vectors)
            max_norm = chosen.max_norm
        elif isinstance(chosen, Pretrained):
            self.encoder = PretrainedEncoder(
                chosen, vocabulary=vocabulary, max_length=max_length, weights=pretrained_weights
            )
        else:
            self.encoder = TransformerEncoder(chosen, vocabulary=vocabulary, max_length=max_length)
        self.heads = nn.ModuleList(BoundedLinear(self.encoder.width, number, max_norm=max_norm) for number in classes)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *arguments: Any) -> None:
        """Take the fingerprint as it comes: it belongs to the weights, and has the length of their training part."""
        found = state_dict.get(f"{prefix}fingerprint")
        if found is not None:
            self.fingerprint = torch.empty_like(found, device=self.fingerprint.device)
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return logits (B, classes of all tasks) of tokens (B, T), of which `lengths` (B,) are words."""
        vectors = self.encoder(tokens, lengths)
        return torch.cat([head(vectors) for head in self.heads], dim=-1)


def _known_vectors(settings: CNN, words: Sequence[str]) -> Mapping[int, NDArray[np.float32]]:
    """Return the vectors of the file by the words' numbers.

    Raises:
        DataError: The file cannot be used.
    """
    if settings.vectors is None:
        return {}
    numbers = {word: number for number, word in enumerate(words, start=FIRST_WORD)}
    found = read_vectors(settings.vectors.path, numbers, width=settings.embedding)
    if not found:
        raise DataError(f"model.architecture.cnn.vectors: {settings.vectors.path} has none of the vocabulary's words")
    return {numbers[word]: vector for word, vector in found.items()}


class BoundedLinear(nn.Linear):
    """A linear layer whose weights for each output have a norm of at most `max_norm` (Hinton et al. 2012).

    Kim rescales the stored weights after each step; here they are rescaled where they are used, so that the loss stays
    a function of the parameters alone.
    """

    def __init__(self, inputs: int, outputs: int, *, max_norm: float | None) -> None:
        super().__init__(inputs, outputs)
        self.max_norm = max_norm

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the outputs (B, outputs) for vectors (B, inputs)."""
        if self.max_norm is None:
            return functional.linear(vectors, self.weight, self.bias)
        norms = self.weight.norm(dim=1, keepdim=True)
        return functional.linear(vectors, self.weight * (self.max_norm / norms.clamp(min=self.max_norm)), self.bias)
