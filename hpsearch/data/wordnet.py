"""Synonyms from the data files of a local WordNet (Miller 1995), such as Debian's package wordnet-base."""

from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from hpsearch.errors import DataError

_PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")


@cache
def read_synonyms(folder: str) -> Mapping[str, tuple[str, ...]]:
    """Return for each lower-case word the other words of all its synonym sets, in the order of the alphabet.

    Words that have no synonym are left out; an underscore is a space. Errors: DataError.
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
