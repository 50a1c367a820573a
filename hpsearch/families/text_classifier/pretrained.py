"""Encoders that were trained before, such as BERT, from a folder of transformers' files."""

from typing import Any

import torch
from torch import Tensor, nn

from hpsearch.errors import DataError
from hpsearch.families.text_classifier.checkpoints import read_config, read_model
from hpsearch.families.text_classifier.settings import Pretrained

_SETTING = "model.architecture.pretrained.path"
_EMBEDDINGS = ("embed", "wte", "wpe")  # the two are GPT-2's


class PretrainedEncoder(nn.Module):
    """One vector for a text. The checkpoint's layers are `layers`, whatever it calls them; the rest is in `model`.

    Raises:
        DataError: The folder holds no encoder, or one for fewer tokens or shorter texts.
    """

    def __init__(self, settings: Pretrained, *, vocabulary: int, max_length: int, weights: bool) -> None:
        super().__init__()
        self.pooling = settings.pooling
        config = read_config(settings.path, setting=_SETTING)
        _check_sizes(config, settings.path, vocabulary=vocabulary, max_length=max_length)
        model = read_model(settings.path, setting=_SETTING, weights=weights)
        self.width = int(config.hidden_size)
        if self.pooling == "mean" and getattr(model, "pooler", None) is not None:
            model.pooler = None  # its weights would never be trained
        layers = _take_layers(model, int(config.num_hidden_layers))
        self.model: nn.Module = model.train()
        if layers is not None:
            self.layers = layers
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return vectors (B, width) of tokens (B, T), of which `lengths` (B,) are the text's; an empty one sees one."""
        seen = torch.arange(tokens.shape[1], device=tokens.device) < lengths.clamp(min=1)[:, None]
        answer = self.model(input_ids=tokens, attention_mask=seen.long())
        vectors: Tensor = self.dropout(self._pooled(answer, seen))
        return vectors

    def _pooled(self, answer: Any, seen: Tensor) -> Tensor:
        stream: Tensor = answer.last_hidden_state  # (B, T, width)
        if self.pooling == "mean":
            return (stream * seen[..., None]).sum(dim=1) / seen.sum(dim=1, keepdim=True)
        pooled: Tensor | None = getattr(answer, "pooler_output", None)
        return stream[:, 0] if pooled is None else pooled


def layer_count(settings: Pretrained) -> int:
    """Return how many layers the checkpoint has.

    Raises:
        DataError: The folder holds no encoder.
    """
    return int(read_config(settings.path, setting=_SETTING).num_hidden_layers)


def layer_of(parameter: str) -> int | None:
    """Return the layer of a parameter of the encoder, -1 for embeddings; None above the layers."""
    part, _, rest = parameter.partition(".")
    if part == "layers":
        return int(rest.split(".")[0])
    return -1 if any(name in rest for name in _EMBEDDINGS) else None


def _check_sizes(config: Any, path: str, *, vocabulary: int, max_length: int) -> None:
    if getattr(config, "is_encoder_decoder", False):
        raise DataError(f"{_SETTING}: {path} holds an encoder with a decoder ({config.model_type}), not an encoder")
    if vocabulary > config.vocab_size:
        raise DataError(f"{_SETTING}: {path} knows {config.vocab_size} tokens; its tokenizer makes {vocabulary}")
    positions = getattr(config, "max_position_embeddings", None)
    if positions and max_length > positions:
        raise DataError(f"data.max_length is {max_length}, but {path} has only {positions} positions")


def _take_layers(model: nn.Module, count: int) -> nn.ModuleList | None:
    """Return the row of layers, from now on a part of its new owner alone, or None if layers share their weights.

    The model goes on using it: it is left there as a plain attribute, which no list of parameters shows.
    """
    for parent in model.modules():
        for name, layers in parent.named_children():
            if isinstance(layers, nn.ModuleList) and len(layers) == count:
                delattr(parent, name)
                object.__setattr__(parent, name, layers)
                return layers
    return None
