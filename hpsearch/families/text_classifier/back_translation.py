"""Paraphrases by translating a text into another language and back (Sennrich, Haddow and Birch 2016; Edunov 2018)."""

from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch

from hpsearch.errors import DataError
from hpsearch.families.text_classifier.pretrained import read_model, read_tokenizer

Translate = Callable[[Sequence[str]], list[str]]
"""From texts to their translations, one for each."""

_BATCH = 16
_SETTING = "data.augmentation.back_translation"


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
        local_translator(there, setting=f"{_SETTING}.there"), local_translator(back, setting=f"{_SETTING}.back")
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
