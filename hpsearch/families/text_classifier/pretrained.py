"""The door to transformers: encoders that were trained before, such as BERT, and translators that paraphrase.

Tokenizers and models come from a local folder, never from a hub, and never with its code. A folder is what
`save_pretrained` writes: config.json, model.safetensors, tokenizer.json. Paraphrases are texts that are translated into
another language and back (Sennrich, Haddow and Birch 2016; Edunov 2018).
"""

from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from hpsearch.errors import DataError
from hpsearch.extras import Extra, require
from hpsearch.families.text_classifier.settings import Pretrained

_LOCAL = {"local_files_only": True, "trust_remote_code": False}


def transformers_package() -> Any:
    """Return transformers, made silent.

    Raises:
        DataError: It is not installed.
    """
    require("a checkpoint of transformers", Extra.TEXT, kind=DataError)
    import transformers

    logging: Any = transformers.utils.logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    return transformers


@cache
def read_tokenizer(path: str, *, setting: str) -> Any:
    """Return the tokenizer of a folder that a setting names.

    Raises:
        DataError: The folder holds none that can be used.
    """
    return _read("tokenizer", path, setting)


def read_config(path: str, *, setting: str) -> Any:
    """Read the model's description in a folder.

    Raises:
        DataError: The folder holds none that can be used.
    """
    return _read("config", path, setting)


def read_model(path: str, *, setting: str, kind: str = "AutoModel", weights: bool = True) -> Any:
    """Return the model of a folder in single precision; without `weights`, with random ones.

    Raises:
        DataError: The folder holds none that can be used.
    """
    config = read_config(path, setting=setting)
    folder, maker = _folder(path, setting), getattr(transformers_package(), kind)
    try:
        if not weights:
            return maker.from_config(config, trust_remote_code=False, dtype=torch.float32)
        model, loaded = maker.from_pretrained(
            folder, config=config, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **_LOCAL
        )
    except Exception as error:  # noqa: BLE001 - a broken file raises the errors of whatever reads it
        raise _not_usable(setting, folder, "model", error) from None
    # a checkpoint of a language model has no pooler, which then begins with random weights
    missing = sorted(name for name in loaded["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise DataError(f"{setting}: the weights in {folder} are not those of its model: {missing[0]} is missing")
    return model


def _read(what: Literal["tokenizer", "config"], path: str, setting: str) -> Any:
    folder, maker = _folder(path, setting), getattr(transformers_package(), f"Auto{what.title()}")
    try:
        return maker.from_pretrained(folder, **_LOCAL)
    except Exception as error:  # noqa: BLE001 - a broken file raises the errors of whatever reads it
        raise _not_usable(setting, folder, what, error) from None


def _folder(path: str, setting: str) -> Path:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise DataError(f"{setting}: there is no folder {folder}")
    return folder


def _not_usable(setting: str, folder: Path, what: str, error: Exception) -> DataError:
    reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
    return DataError(f"{setting}: no {what} of transformers can be read from {folder}: {reason}")


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
    """Count the checkpoint's layers.

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


Translate = Callable[[Sequence[str]], list[str]]
"""From texts to their translations, one for each."""

_BATCH = 16
_TRANSLATION = "data.augmentation.back_translation"


class BackTranslator:
    """Translates texts there and back, each text once."""

    def __init__(self, there: Translate, back: Translate) -> None:
        self._there = there
        self._back = back
        self._known: dict[str, str] = {}

    def __call__(self, texts: Sequence[str]) -> list[str]:
        """Return the translated texts."""
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        if new:
            self._known.update(zip(new, self._back(self._there(new)), strict=True))
        return [self._known[text] for text in texts]


@cache
def local_back_translator(there: str, back: str) -> BackTranslator:
    """Return the translator of two local folders, such as opus-mt-en-fr and opus-mt-fr-en.

    Raises:
        DataError: A folder holds no such model.
    """
    return BackTranslator(
        local_translator(there, setting=f"{_TRANSLATION}.there"), local_translator(back, setting=f"{_TRANSLATION}.back")
    )


def local_translator(path: str, *, setting: str) -> Translate:
    """Return a Marian model, or another that translates, from a local folder.

    Raises:
        DataError: A folder holds no such model.
    """
    folder = Path(path).expanduser()
    pieces = (folder / "source.spm").is_file() and not (folder / "tokenizer.json").is_file()
    if pieces and find_spec("sentencepiece") is None:
        raise DataError(
            f"{setting}: the tokenizer in {folder} needs a package that is missing: pip install sentencepiece"
        )
    tokenizer = read_tokenizer(path, setting=setting)
    model = read_model(path, setting=setting, kind="AutoModelForSeq2SeqLM").eval()
    longest = min(tokenizer.model_max_length, model.config.max_position_embeddings)

    def translate(texts: Sequence[str]) -> list[str]:
        translated: list[str] = []
        for start in range(0, len(texts), _BATCH):
            batch = tokenizer(
                list(texts[start : start + _BATCH]),
                return_tensors="pt",
                padding=True,
                truncation=True,
                max_length=longest,
            )
            with torch.no_grad():  # without sampling, so that a text always becomes the same
                answer = model.generate(
                    input_ids=batch["input_ids"],
                    attention_mask=batch["attention_mask"],
                    do_sample=False,
                    max_length=longest,
                )
            translated += tokenizer.batch_decode(answer, skip_special_tokens=True)
        return translated

    return translate
