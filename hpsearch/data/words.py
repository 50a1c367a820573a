"""From a text to words, and from words to numbers: a vocabulary, and vectors from a file. Needs no torch."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError

PAD = 0
"""The number that fills a row behind the end of its text."""
UNKNOWN_WORD = 1
"""The number of every word that the vocabulary does not have."""
FIRST_WORD = 2
"""The number of the most frequent word."""

_WORD = re.compile(r"\w+|[^\w\s]")


def split_words(text: str, *, lowercase: bool = True) -> list[str]:
    """Return the words of a text: runs of letters, digits and underscores, and every other visible character alone."""
    return _WORD.findall(text.lower() if lowercase else text)


@dataclass(frozen=True)
class WordVocabulary:
    """The words of the training part from the most frequent down; word k has number k + 2."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[Sequence[str]], *, size: int, minimum_count: int) -> "WordVocabulary":
        """Return the vocabulary of training texts that are split into words.

        It holds at most `size` numbers, PAD and UNKNOWN_WORD among them. Words that are equally frequent stand in the
        order of the alphabet, so that the same texts in any order give the same vocabulary.
        """
        counts = Counter(word for words in texts for word in words)
        frequent = sorted((word for word in counts if counts[word] >= minimum_count), key=lambda w: (-counts[w], w))
        return cls(tuple(frequent[: max(0, size - 2)]))

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return len(self.words) + FIRST_WORD

    def encode(self, words: Iterable[str]) -> list[int]:
        """Return the number of each word."""
        return [self._numbers.get(word, UNKNOWN_WORD) for word in words]

    @cached_property
    def _numbers(self) -> Mapping[str, int]:
        return {word: number for number, word in enumerate(self.words, start=FIRST_WORD)}


def read_vectors(path: str, words: Collection[str], *, width: int) -> dict[str, NDArray[np.float32]]:
    """Return the vectors, each of `width` numbers, of those of the words that the file has.

    A first line of two whole numbers (how many words, how wide) is passed over; of a word that stands twice the first
    vector counts. A line of another width is refused.

    Raises:
        DataError: the file cannot be read; it says where.
    """
    found: dict[str, NDArray[np.float32]] = {}
    wanted = set(words)
    try:
        with Path(path).expanduser().open(encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, start=1):
                fields = line.rstrip().split(" ")
                if number == 1 and len(fields) == 2:
                    continue
                # a few "words" of GloVe have spaces in them; the first ones do not, so that they tell the width
                if len(fields) <= width or (number <= 2 and len(fields) > width + 1):
                    raise DataError(f"{path}:{number}: a word and {width} numbers were expected, not {len(fields) - 1}")
                word, numbers = " ".join(fields[:-width]), fields[-width:]
                if word in wanted and word not in found:
                    found[word] = _vector(numbers, f"{path}:{number}")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the word vectors {path} cannot be read: {error}") from None
    return found


def _vector(numbers: list[str], place: str) -> NDArray[np.float32]:
    try:
        vector = np.array(numbers, dtype=np.float32)
    except ValueError as error:
        raise DataError(f"{place}: {error}") from None
    if not np.isfinite(vector).all():
        raise DataError(f"{place}: a vector must have finite numbers")
    return vector
