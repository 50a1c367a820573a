"""The network: an encoder from words to a vector, and a linear layer for each task."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.data.words import FIRST_WORD, read_vectors
from hpsearch.errors import DataError
from hpsearch.families.text_classifier.encoders import ConvolutionalEncoder, TransformerEncoder
from hpsearch.families.text_classifier.pretrained import PretrainedEncoder
from hpsearch.families.text_classifier.settings import CNN, ModelSettings, Pretrained


class TextClassifier(nn.Module):
    """Logits of the classes; those of several tasks, which share the encoder, stand one behind the other."""

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
