"""Easy data augmentation (Wei and Zou, EDA, EMNLP 2019): four ways to change the words of a text.

Synonyms come from the data files of a local WordNet (Miller 1995), such as Debian's package wordnet-base. Needs no
torch.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from hpsearch.data.words import split_words
from hpsearch.errors import DataError

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
    """Return the words with n different ones, stop words apart, replaced by a random synonym wherever they stand."""
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
