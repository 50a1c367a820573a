"""From a text to words, and from words to numbers. Needs no torch."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

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
