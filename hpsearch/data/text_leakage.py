"""Texts that stand in two parts of the data, or twice in one: what makes a test score too good."""

import hashlib
import warnings
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.labelled_text import LabelledTexts, normalised

_SHOWN = 3


@dataclass(frozen=True)
class Leakage:
    """Indices into the checked part, in order."""

    exact: tuple[int, ...]
    """Texts that stand in the other part letter by letter."""
    nearly: tuple[int, ...]
    """Texts that stand there with other case or white space only."""
    repeated: tuple[int, ...]
    """Texts that stood earlier in the checked part itself, whatever their case and white space."""


def find_leakage(checked: Sequence[str], learned: Collection[str]) -> Leakage:
    """Return which of the `checked` texts also stand among those that were learned from, and which stand twice."""
    exact_texts, texts = set(learned), {normalised(text) for text in learned}
    exact, nearly, repeated = [], [], []
    seen: set[str] = set()
    for index, text in enumerate(checked):
        plain = normalised(text)
        if text in exact_texts:
            exact.append(index)
        elif plain in texts:
            nearly.append(index)
        if plain in seen:
            repeated.append(index)
        seen.add(plain)
    return Leakage(tuple(exact), tuple(nearly), tuple(repeated))


def text_hashes(texts: Iterable[str]) -> NDArray[np.int64]:
    """Return a number for each different text, in ascending order; case and white space do not matter.

    They are 64 bits of BLAKE2b: among a million texts two share a number with a probability of 3e-8.
    """
    numbers = {_number(normalised(text)) for text in texts}
    return np.sort(np.fromiter(numbers, dtype=np.int64, count=len(numbers)))


def _number(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def without_leakage(part: LabelledTexts, learned: Collection[str], *, name: str, drop: bool) -> LabelledTexts:
    """Return a part, without the texts that were learned from if they are to be dropped; warn if there are any."""
    found = find_leakage(part.texts, learned)
    leaked = sorted((*found.exact, *found.nearly))
    if not leaked:
        return part
    shown = "; ".join(repr(part.texts[index][:60]) for index in leaked[:_SHOWN])
    warnings.warn(
        f"{len(leaked)} of {len(part)} {name} texts also stand in the data before them: "
        f"{len(found.exact)} letter by letter, "
        f"{len(found.nearly)} but for case and white space, for example {shown}"
        + ("; they are left out" if drop else "; data.leaked: drop leaves them out"),
        stacklevel=2,
    )
    return part.part(index for index in range(len(part)) if index not in set(leaked)) if drop else part


def without_repeats(texts: LabelledTexts) -> LabelledTexts:
    """Return the first of each group of texts that differ in case and white space only."""
    repeated = set(find_leakage(texts.texts, ()).repeated)
    return texts.part(index for index in range(len(texts)) if index not in repeated)
