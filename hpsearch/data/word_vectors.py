"""Word vectors from a text file of word2vec, GloVe or fastText: a word and its numbers on each line. Needs no torch."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError


def read_vectors(path: str, words: Collection[str], *, width: int) -> dict[str, NDArray[np.float32]]:
    """Return the vectors, each of `width` numbers, of those of the words that the file has.

    A first line of two whole numbers (how many words, how wide) is passed over; of a word that stands twice the first
    vector counts. A line of another width is refused. Errors: DataError, which says where.
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
