"""What a researcher does to a text before training on it: look at it, clean it, divide it by lines. Needs no torch."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hpsearch.errors import DataError

_BLANKS = re.compile(r"[ \t\f\v\u00a0]+")
_EMPTY_LINES = re.compile(r"\n{3,}")


@dataclass(frozen=True)
class TextFacts:
    """What a text holds; `rare` are its characters that occur fewer than ten times, `repeated` lines seen before."""

    characters: int
    lines: int
    words: int
    distinct: int
    longest_line: int
    mean_line: float
    repeated: int
    common: tuple[tuple[str, int], ...]
    rare: str
    control: str


def analyse(text: str) -> TextFacts:
    """Count what matters to a character model."""
    counts = Counter(text)
    lines = text.splitlines()
    written = [line for line in lines if line.strip()]
    return TextFacts(
        characters=len(text),
        lines=len(lines),
        words=len(text.split()),
        distinct=len(counts),
        longest_line=max(map(len, lines), default=0),
        mean_line=sum(map(len, lines)) / len(lines) if lines else 0.0,
        repeated=len(written) - len(set(written)),
        common=tuple(counts.most_common(10)),
        rare="".join(sorted(character for character, count in counts.items() if count < 10)),
        control="".join(sorted(character for character in counts if _is_control(character))),
    )


def clean(text: str) -> str:
    """Return the text with composed characters (NFC), Unix line ends, single blanks and no control characters.

    Blanks at line ends go; of several empty lines one stays; indentation is kept.
    """
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")
    text = "".join(character for character in text if not _is_control(character))
    lines = [_single_blanks(line) for line in text.split("\n")]
    return _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip("\n") + "\n"


def _single_blanks(line: str) -> str:
    indentation = line[: len(line) - len(line.lstrip())]
    return (indentation + _BLANKS.sub(" ", line[len(indentation) :])).rstrip()


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf") and character not in "\n\r\t"


def split_lines(text: str, *, head: int, tail: int) -> tuple[str, str]:
    """Return the first `head` and the last `tail` lines of a text.

    Raises:
        DataError: the two overlap: what is validated on would have been trained on.
    """
    lines: Sequence[str] = text.splitlines(keepends=True)
    if head < 1 or tail < 1:
        raise DataError(f"both parts need a line at least, not {head} and {tail}")
    if head + tail > len(lines):
        raise DataError(
            f"the first {head} and the last {tail} lines of a text of {len(lines)} lines overlap by "
            f"{head + tail - len(lines)}: validation would read what was trained on; "
            f"take for example {len(lines) - len(lines) // 10} and {len(lines) // 10}"
        )
    return "".join(lines[:head]), "".join(lines[-tail:])
