"""Words: from a text to words and to numbers, vectors from a file, and changing words (EDA). Needs no torch.

Easy data augmentation (Wei and Zou, EDA, EMNLP 2019) changes the words of a text in four ways. Synonyms come from the
data files of a local WordNet (Miller 1995), such as Debian's package wordnet-base.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Literal, get_args

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

        It holds at most `size` numbers, PAD and UNKNOWN_WORD among them. Words that are equally frequent are in the
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

    A first line of two whole numbers (how many words, how wide) is passed over; of a word that occurs twice the first
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


EasyTechnique = Literal["synonym_replacement", "random_insertion", "random_swap", "random_deletion"]
Technique = EasyTechnique | Literal["back_translation"]
TECHNIQUES: tuple[EasyTechnique, ...] = get_args(EasyTechnique)
Synonyms = Mapping[str, Sequence[str]]

_STOP_WORDS = """
a an and are as at be been but by can could did do does for from had has have he her him his how i if in into is it its
me my no nor not of on or our out she should so some such than that the their them then there these they this those to
too up was we were what when where which while who whom why will with would you your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Words without a meaning of their own, which are not replaced."""

_TRIES = 10
_PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")


def augmented_copies(
    text: str,
    *,
    techniques: Sequence[Technique],
    probability: float,
    copies: int,
    synonyms: Synonyms,
    seed: Sequence[int],
    back_translated: str = "",
) -> list[str]:
    """Return changed copies of a text, its words set apart by spaces.

    Each technique makes int(copies / techniques) + 1 candidates, of which `copies` are drawn. Replacement, insertion
    and swap change n = max(1, int(probability x words)) places; deletion drops each word with the probability. All
    candidates of back-translation are `back_translated`.
    """
    generator = np.random.default_rng(seed)
    words = split_words(text, lowercase=False)
    if not words:
        return [text] * copies
    n = max(1, int(probability * len(words)))
    changes: Mapping[str, Callable[[], list[str]]] = {
        "synonym_replacement": lambda: replace_by_synonyms(words, n, synonyms, generator),
        "random_insertion": lambda: insert_synonyms(words, n, synonyms, generator),
        "random_swap": lambda: swap_words(words, n, generator),
        "random_deletion": lambda: delete_words(words, probability, generator),
        "back_translation": lambda: [back_translated],
    }
    candidates = [changes[name]() for name in techniques for _ in range(copies // len(techniques) + 1)]
    return [" ".join(candidates[index]) for index in generator.permutation(len(candidates))[:copies]]


def replace_by_synonyms(words: Sequence[str], n: int, synonyms: Synonyms, generator: np.random.Generator) -> list[str]:
    """Return the words with n different ones, stop words apart, replaced by a random synonym wherever they occur."""
    candidates = sorted({word for word in words if word.lower() not in STOP_WORDS and word.lower() in synonyms})
    chosen = generator.permutation(len(candidates))[:n]
    new = {candidates[index]: _any(synonyms[candidates[index].lower()], generator) for index in chosen}
    return [new.get(word, word) for word in words]


def insert_synonyms(words: Sequence[str], n: int, synonyms: Synonyms, generator: np.random.Generator) -> list[str]:
    """Return the words with n more: a synonym of a random one at a random place; fewer where ten tries find none."""
    changed = list(words)
    for _ in range(n):
        tried = (_any(changed, generator).lower() for _ in range(_TRIES))
        word = next((word for word in tried if word in synonyms), None)
        if word is not None:
            changed.insert(int(generator.integers(len(changed) + 1)), _any(synonyms[word], generator))
    return changed


def swap_words(words: Sequence[str], n: int, generator: np.random.Generator) -> list[str]:
    """Return the words after n swaps of two at different places; a single word stays as it is."""
    changed = list(words)
    for _ in range(n if len(words) > 1 else 0):
        first, second = generator.choice(len(changed), size=2, replace=False)
        changed[first], changed[second] = changed[second], changed[first]
    return changed


def delete_words(words: Sequence[str], probability: float, generator: np.random.Generator) -> list[str]:
    """Return the words without each one that the probability drops; at least one, at random, is left."""
    kept = [word for word, chance in zip(words, generator.random(len(words)), strict=True) if chance >= probability]
    return kept or [_any(words, generator)]


def _any(words: Sequence[str], generator: np.random.Generator) -> str:
    return words[int(generator.integers(len(words)))]


@cache
def read_synonyms(folder: str) -> Mapping[str, tuple[str, ...]]:
    """Return for each lower-case word the other words of all its synonym sets, in the order of the alphabet.

    Words that have no synonym are left out; an underscore is a space.

    Raises:
        DataError: a file is missing, or is not WordNet's.
    """
    synonyms: defaultdict[str, set[str]] = defaultdict(set)
    for part in _PARTS_OF_SPEECH:
        path = Path(folder) / f"data.{part}"
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except OSError as error:
            raise DataError(
                f"there is no WordNet in {folder}: {path} cannot be read ({error.strerror}); install one "
                "(Debian: wordnet-base), set its folder, or leave out synonym_replacement and random_insertion"
            ) from None
        for line in lines:
            if line[:1].isdigit():  # the licence's lines begin with spaces
                words = _synset(line)
                for word in words:
                    synonyms[word] |= words - {word}
    return {word: tuple(sorted(others)) for word, others in synonyms.items() if others}


def _synset(line: str) -> set[str]:
    """Return the words of a line: offset, file, part of speech, number of words (hexadecimal), then word and sense."""
    fields = line.split(" ")
    count = int(fields[3], 16)
    # an adjective may carry its place in brackets: galore(ip)
    return {word.partition("(")[0].replace("_", " ").lower() for word in fields[4 : 4 + 2 * count : 2]}
