"""From texts to rows of numbers: by words of the training part, or by a checkpoint's own tokenizer."""

from collections.abc import Sequence
from dataclasses import dataclass

from hpsearch.data.words import WordVocabulary, split_words
from hpsearch.errors import DataError
from hpsearch.families.text_classifier.settings import CheckpointTokens, DataSettings, Words

_SETTING = "data.tokenizer.pretrained.path"


@dataclass(frozen=True)
class Encoded:
    """Rows of numbers, and what the numbers stand for."""

    rows: list[list[int]]
    size: int
    """How many numbers there are."""
    names: tuple[str, ...]
    """The tokens by number; words begin at number 2."""


def encode(settings: DataSettings, texts: Sequence[str], *, train: Sequence[str]) -> Encoded:
    """Return the texts as numbers, each cut to `max_length`; words are those of the texts in `train`.

    Errors: DataError for a tokenizer that cannot be read or used.
    """
    chosen = settings.tokenizer
    if isinstance(chosen, CheckpointTokens):
        return _by_checkpoint(chosen.path, texts, max_length=settings.max_length)
    return _by_words(chosen, texts, train, max_length=settings.max_length)


def _by_words(words: Words, texts: Sequence[str], train: Sequence[str], *, max_length: int) -> Encoded:
    vocabulary = WordVocabulary.of(
        (split_words(text, lowercase=words.lowercase) for text in train),
        size=words.size,
        minimum_count=words.minimum_count,
    )
    rows = [vocabulary.encode(split_words(text, lowercase=words.lowercase)[:max_length]) for text in texts]
    return Encoded(rows, vocabulary.size, vocabulary.words)


def _by_checkpoint(path: str, texts: Sequence[str], *, max_length: int) -> Encoded:
    from hpsearch.families.text_classifier.checkpoints import read_tokenizer

    tokenizer = read_tokenizer(path, setting=_SETTING)
    if max_length > tokenizer.model_max_length:
        raise DataError(f"data.max_length is {max_length}, but {path} is for {tokenizer.model_max_length} tokens")
    rows = tokenizer(list(texts), truncation=True, max_length=max_length)["input_ids"]
    numbers = tokenizer.get_vocab()
    return Encoded(rows, max(numbers.values()) + 1, tuple(sorted(numbers, key=numbers.__getitem__)))
