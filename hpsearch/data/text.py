"""Text for character models: reading it, cleaning it, dividing it, and turning characters into numbers. Needs no torch.

Training divides a text by position into three contiguous parts that share no character: training, validation, test.
Nothing of it is changed: line ends, case and white space stay as they are; only a UTF-8 byte order mark is left out.
What `hpsearch text` does before that, looking at a text, cleaning it and dividing it by lines, is at the end.
"""

import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError, UnknownNameError

Tokens = NDArray[np.int64]

UNKNOWN = 0
"""The token of every character that does not occur in the training part."""

_NOT_IN_1252 = frozenset((0x81, 0x8D, 0x8F, 0x90, 0x9D))
_UTF8_MARK = b"\xef\xbb\xbf"
_MARKS: Mapping[bytes, str] = {
    b"\xff\xfe\x00\x00": "UTF-32-LE",
    b"\x00\x00\xfe\xff": "UTF-32-BE",
    b"\xff\xfe": "UTF-16-LE",
    b"\xfe\xff": "UTF-16-BE",
}
_SIGNATURES: Mapping[bytes, str] = {
    b"\x1f\x8b": "a gzip file",
    b"PK\x03\x04": "a zip file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"%PDF": "a PDF file",
}


class GuessedEncoding(UserWarning):
    """A file is read in an encoding that was guessed."""


def _pydoc_topics() -> str:
    """Return the help topics of this Python's `pydoc`, one after the other in the order of the module.

    The text belongs to the Python release: 464,970 characters, 103 of them distinct, in CPython 3.11.7.
    """
    from pydoc_data.topics import topics

    return "".join(topics.values())


CORPORA: Mapping[str, Callable[[], str]] = {"pydoc": _pydoc_topics}
"""The texts that need no file, by name."""


def read_corpus(name: str) -> str:
    """Return a text that is at hand on every machine.

    Raises:
        UnknownNameError: there is no such corpus.
    """
    if name not in CORPORA:
        raise UnknownNameError("corpus", name, CORPORA)
    return CORPORA[name]()


def read_text(path: str | Path, *, encoding: str = "utf-8") -> str:
    """Return the text of a file; a relative path starts at the current directory, `~` at the home directory.

    `encoding` is a name that Python knows, or `auto`: UTF-8, or else Windows-1252 or ISO-8859-1, if it looks like that,
    with a warning that says so.

    Raises:
        DataError: the file is missing, empty, not a file or not in this encoding; it names the offset of the first bad
            byte and what the file seems to be.
    """
    place = Path(path).expanduser()
    try:
        content = place.read_bytes()
    except FileNotFoundError:
        raise DataError(f"there is no text file {place.absolute()}") from None
    except OSError as error:
        raise DataError(f"the text file {place.absolute()} cannot be read: {error.strerror}") from None
    start = len(_UTF8_MARK) if content.startswith(_UTF8_MARK) else 0
    if len(content) == start:
        raise DataError(f"the text file {place.absolute()} is empty")
    if encoding not in ("auto", "utf-8"):
        return _in_encoding(content, encoding, place)
    return _decoded(content, start, place, guess=encoding == "auto")


def _in_encoding(content: bytes, encoding: str, place: Path) -> str:
    try:
        return content.decode(encoding)
    except UnicodeError as error:
        at = f" at offset {error.start}" if isinstance(error, UnicodeDecodeError) else ""
        raise DataError(f"{place.absolute()} is not {encoding} text{at}: {error}") from None


def _decoded(content: bytes, start: int, place: Path, *, guess: bool) -> str:
    bad = content.find(0)
    try:
        text = content[start:].decode("utf-8")
    except UnicodeDecodeError as error:
        first = error.start + start
        bad = first if bad < 0 else min(bad, first)
    if bad < 0:
        return text
    line = content.count(b"\n", 0, bad) + 1
    if guess and not _signature(content) and content[bad] and not _ends_within_character(content, bad):
        name, codec = _eight_bits(content)
        told = f"(byte 0x{content[bad]:02x} in line {line})"
        warnings.warn(GuessedEncoding(f"{place.absolute()} is not UTF-8 {told}; it is read as {name}"), stacklevel=3)
        return content.decode(codec)
    raise DataError(
        f"{place.absolute()} is not UTF-8 text: byte 0x{content[bad]:02x} at offset {bad} (line {line}); "
        f"{_appearance(content, bad)}"
    )


def _appearance(content: bytes, bad: int) -> str:
    """Guess the encoding of a file that is not UTF-8, and explain how to convert it."""
    if told := _signature(content):
        return told
    if content[bad] == 0:
        return _appearance_with_zeros(content)
    if _ends_within_character(content, bad):
        return "the file ends in the middle of a character: it was cut off"
    encoding, _ = _eight_bits(content)
    return f"it looks like {encoding}; {_conversion(encoding.split()[0])}"


def _signature(content: bytes) -> str | None:
    """Return what the first bytes say of a file that is not UTF-8, or None."""
    for signature, what in _SIGNATURES.items():
        if content.startswith(signature):
            return f"it is {what}; give the text itself"
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return f"it begins with the byte order mark of {encoding}; {_conversion(encoding)}"
    return None


def _eight_bits(content: bytes) -> tuple[str, str]:
    """Return the likely encoding of Western text with one byte a character, and Python's name for it."""
    used = {byte for byte in content if 0x80 <= byte < 0xA0}
    if used and not used & _NOT_IN_1252:
        return "Windows-1252", "cp1252"
    return "ISO-8859-1 (Latin-1)", "latin-1"


def _appearance_with_zeros(content: bytes) -> str:
    """Tell UTF-16 without a mark, in which every second byte of Western text is zero, from a binary file."""
    for offset, encoding in ((1, "UTF-16-LE"), (0, "UTF-16-BE")):
        if content[offset::2].count(0) > 0.4 * len(content) / 2 and not content[1 - offset :: 2].count(0):
            return f"it looks like {encoding} without a byte order mark; {_conversion(encoding)}"
    return "it looks like a binary file"


def _ends_within_character(content: bytes, bad: int) -> bool:
    tail = content[bad:]
    try:
        tail.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data" and error.end == len(tail)
    return False


def _conversion(encoding: str) -> str:
    return f"convert it with: iconv -f {encoding} -t UTF-8 FILE > NEW"


def divide(length: int, *, val_fraction: float, test_fraction: float, shortest: int) -> dict[str, range]:
    """Return the positions of the parts `train`, `val` and `test` of a text, in this order and without gaps.

    `shortest` is the number of characters that each part needs at least. A part of fraction 0 is left out.

    Raises:
        DataError: a part would be shorter.
    """
    fractions = {"train": 1.0, "val": val_fraction, "test": test_fraction}
    val, test = round(length * val_fraction), round(length * test_fraction)
    bounds = {
        "train": (0, length - val - test),
        "val": (length - val - test, length - test),
        "test": (length - test, length),
    }
    bounds = {part: place for part, place in bounds.items() if fractions[part]}
    for part, (first, end) in bounds.items():
        if end - first < shortest:
            raise DataError(
                f"the text is too short: of its {length} characters the {part} part gets {max(0, end - first)}, "
                f"and it needs {shortest} (context + 1); take a longer text, a shorter context or other fractions"
            )
    return {part: range(first, end) for part, (first, end) in bounds.items()}


@dataclass(frozen=True)
class Vocabulary:
    """The characters of the training part by their code points; token k is character k - 1, token 0 the unknown one."""

    characters: str

    @classmethod
    def of(cls, training_text: str) -> "Vocabulary":
        """Return the vocabulary of a text."""
        return cls("".join(sorted(set(training_text))))

    @property
    def size(self) -> int:
        """The number of tokens: the characters and the unknown one."""
        return len(self.characters) + 1

    def encode(self, text: str) -> Tokens:
        """Return one token for each character; UNKNOWN for those that the training part does not have."""
        codes = _code_points(text)
        places = np.searchsorted(self._codes, codes).clip(max=len(self._codes) - 1)
        return np.where(self._codes[places] == codes, places + 1, UNKNOWN)

    @cached_property
    def _codes(self) -> NDArray[np.uint32]:
        return _code_points(self.characters)


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")


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


def split_lines(text: str, *, head: int, tail: int, last: int = 0) -> tuple[str, str, str]:
    """Return train, val and test: the first `head` lines, the last `last` ones, and the `tail` lines before those.

    Raises:
        DataError: the parts overlap: what is validated or tested on would have been trained on.
    """
    lines: Sequence[str] = text.splitlines(keepends=True)
    if head < 1 or tail < 1 or last < 0:
        raise DataError(f"each part needs a line at least, not {head}, {tail} and {last}")
    if (over := head + tail + last - len(lines)) > 0:
        part = len(lines) // 10
        spared = part if last else 0
        raise DataError(
            f"the first {head} and the last {tail + last} lines of a text of {len(lines)} lines overlap by {over}: "
            f"validation would read what was trained on; take for example {len(lines) - part - spared} and {part}"
        )
    begin = len(lines) - last
    return "".join(lines[:head]), "".join(lines[begin - tail : begin]), "".join(lines[begin:])
