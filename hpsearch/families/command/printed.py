"""From what a program prints or writes to metrics with their steps: in bounded memory, whatever becomes of a file.

Programs print numbers in many dialects: JSON, Python, words for people, progress bars, colours.
"""

import ast
import csv
import json
import math
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hpsearch.families.command.settings import MetricSource
from hpsearch.records import metric_number

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
"""Colours and movements of the cursor (ECMA-48), and titles of windows."""
_NUMBER = re.compile(
    r"[\s(\[{'\"=:]*(?:[a-z_][\w.]*\()?"
    r"([-+]?(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan|inf(?:inity)?))"
    r"[\s.,;:%)\]}'\"|/]*",
    re.ASCII | re.IGNORECASE,
)
"""A number with what may surround it in print: quotation marks, brackets, `tensor(`, a percent sign."""
_STARTS = 4
"""At how many braces of a line an object may begin."""
_OF_ALL = re.compile(r"[\s(\[]*(\d+)\s*/\s*\d+[\s)\]:,]*", re.ASCII)
"""A step and the total, as in `epoch 3/10`."""


def visible(line: str) -> str:
    """Return a line as a terminal would finally show it, without colours.

    After a carriage return, as in a progress bar, the line is written again; after backspaces its end is.
    """
    states = [state for state in _ESCAPES.sub("", line).split("\r") if state.strip("\b \t\n")]
    return _overwritten(states[-1]) if states else ""


def _overwritten(text: str) -> str:
    if "\b" not in text:
        return text
    shown: list[str] = []
    place = 0
    for letter in text:
        if letter == "\b":
            place = max(0, place - 1)
        else:
            shown[place:] = [letter]
            place += 1
    return "".join(shown)


def _parsed(text: str) -> Mapping[str, Any]:
    """Return the object at the end of a line, in JSON or as Python prints a dict; a logger may have words before it.

    The words may have braces, and of two objects the last counts where both tell the same.
    """
    first, end = text.find("{"), text.rstrip()
    start = first
    for _ in range(_STARTS if end.endswith("}") else 0):
        if start < 0:
            break
        if found := _object(end[start:]):
            return {**_object(end[first:start].rstrip()), **found}
        start = text.find("{", start + 1)
    return {}


def _object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return _python_dict(text)
    return found if isinstance(found, dict) else {}


def _python_dict(text: str) -> Mapping[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return {}
    if not isinstance(node, ast.Dict):
        return {}
    pairs = zip(node.keys, node.values, strict=True)
    return {
        key.value: _literal(value) for key, value in pairs if isinstance(key, ast.Constant) and type(key.value) is str
    }


def _literal(node: ast.expr) -> Any:
    """Return the value of a number or text, also one within `tensor(...)` or `np.float64(...)`; else None."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return node.id if node.id in ("nan", "inf") else None
    if isinstance(node, ast.Call) and node.args:
        return _literal(node.args[0])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _number_in(_literal(node.operand))
        return None if value is None else -value
    return None


def _matched(text: str, pattern: str) -> Mapping[str, Any]:
    """Return the groups of all matches in a line; of several the last counts."""
    found: dict[str, Any] = {}
    for match in re.finditer(pattern, text):
        found |= {name.replace("__", "/"): group for name, group in match.groupdict().items() if group is not None}
    return found


def _number_in(value: Any) -> float | None:
    """Return a number, also one in print; None for anything else."""
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value)
        return float(match[1]) if match else None
    return metric_number(value)


def _of_all(value: Any) -> float | None:
    """Return the step of a step and a total, as in `3/10`, or None for anything else."""
    match = _OF_ALL.fullmatch(str(value))
    return float(match[1]) if match else None


LONGEST = 1 << 20
"""Bytes of the longest line that is read: one that is longer is passed over."""
_CHUNK = 1 << 16
_LOOKED_AT = 256
"""Bytes before the place reached that tell whether a file still is what it was."""
_STEPS = ("step", "epoch")


@dataclass(frozen=True)
class Measured:
    """The metrics of one line; `step` is the number of its step, or None if it names none."""

    step: float | None
    metrics: Mapping[str, float]


def read_line(line: str, source: MetricSource) -> Measured | None:
    """Return the metrics of a line, or None if it has none."""
    text = visible(line)
    return _measured(_matched(text, source.pattern) if source.pattern is not None else _parsed(text), source)


def read_row(line: str, header: str, source: MetricSource) -> Measured | None:
    """Return the metrics of a row of a CSV file, or None if it has none; empty cells are not metrics."""
    if line == header:
        return None
    delimiter = max(",;\t", key=header.count)
    names, cells = (next(csv.reader([text], delimiter=delimiter), []) for text in (header.lstrip("\ufeff"), line))
    return _measured({name.strip(): cell for name, cell in zip(names, cells, strict=False)}, source)


def tells_of(line: str, metric: str) -> bool:
    """Check whether a line looks as if it told a metric: it has the metric's name and a number."""
    text = visible(line)
    name = metric.rpartition("/")[2]
    return re.search(rf"(?<![A-Za-z]){re.escape(name)}(?![A-Za-z])", text) is not None and any(map(str.isdigit, text))


def _measured(found: Mapping[str, Any], source: MetricSource) -> Measured | None:
    numbers = {name: number for name, value in found.items() if (number := _number_in(value)) is not None}
    named = [source.step] if source.step else _STEPS
    for name in (*named, "epoch"):
        if name in found and name not in numbers and (reached := _of_all(found[name])) is not None:
            numbers[name] = reached
    steps = [numbers[name] for name in named if name in numbers and math.isfinite(numbers[name])]
    metrics = {name: value for name, value in numbers.items() if name != "step"}
    return Measured(steps[0] if steps else None, metrics) if metrics else None


class Lines:
    """Makes lines of bytes as they come. Of a line longer than LONGEST only its last states count, if it has any."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._passing = False
        self.read = 0
        """Bytes up to the end of the last line that was returned."""
        self.fed = 0
        """Bytes that were taken in."""

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Yield the lines that a piece of output completes."""
        *whole, rest = chunk.split(b"\n")
        for part in whole:
            self._hold(part)
            self.fed += len(part) + 1
            yield from self.rest()
        self._hold(rest)
        self.fed += len(rest)

    def _hold(self, part: bytes) -> None:
        if self._passing:
            state = part.find(b"\r")
            if state < 0:
                return
            self._passing, part = False, part[state:]
        self._held += part
        if len(self._held) > LONGEST:
            state = self._held.find(b"\r", len(self._held) - _CHUNK)
            self._passing = state < 0
            self._held = bytearray() if state < 0 else self._held[state:]

    def rest(self) -> Iterator[str]:
        """Yield what is held as a line of its own, as at the end of the output; nothing if it is too long."""
        held, passing = self._held, self._passing
        self._held, self._passing, self.read = bytearray(), False, self.fed
        if not passing:
            yield held.decode(errors="replace").removesuffix("\r")

    def begin_again(self) -> bytes:
        """Count from the line that has begun, of which this is returned."""
        self.read, self.fed = 0, len(self._held)
        return bytes(self._held)

    @property
    def empty(self) -> bool:
        """Whether no line has begun."""
        return not self._held and not self._passing


class ReadSoFar(NamedTuple):
    """How far a file was read: which file, and how many bytes of it."""

    inode: int
    offset: int


class Tail:
    """The lines that are added to a file, once they are complete; the file may not exist yet.

    A file that takes its place, becomes shorter or has other content than before is read from its beginning.
    """

    def __init__(self, path: Path, place: ReadSoFar | None = None) -> None:
        """`place` is where to go on in a file that was read before."""
        self._path = path
        self._file: int | None = None
        self._lines = Lines()
        self._start = 0
        self._before = b""
        self.restarted = False
        """Whether the file was begun again; its reader sets this back."""
        if place is not None and self._open() and self._inode == place.inode and place.offset <= self._size:
            self._go_to(place.offset)

    def __del__(self) -> None:
        if self._file is not None:
            os.close(self._file)

    @property
    def place(self) -> ReadSoFar | None:
        """How far the file was read, or None if there is none."""
        return None if self._file is None else ReadSoFar(self._inode, self._start + self._lines.read)

    @property
    def header(self) -> str:
        """The first line of the file."""
        assert self._file is not None  # noqa: S101 -- ours: asked for after a line was read
        return os.pread(self._file, _CHUNK, 0).partition(b"\n")[0].decode(errors="replace").removesuffix("\r")

    def skip(self) -> None:
        """Skip the present contents of the file."""
        if self._file is not None or self._open():
            self._go_to(self._size)

    def lines(self) -> Iterator[str]:
        """Yield the lines that were completed since the last call."""
        if self._file is not None and self._replaced():
            yield from self._read()
            yield from self.rest()
            os.close(self._file)
            self._file = None
        if self._file is None:
            if not self._open():
                return
            self.restarted = True
        elif self._rewritten():
            self._go_to(0)
            self.restarted = True
        yield from self._read()

    def rest(self) -> Iterator[str]:
        """Yield a last line that has no end."""
        if not self._lines.empty:
            yield from self._lines.rest()

    def _read(self) -> Iterator[str]:
        assert self._file is not None  # noqa: S101 -- ours: it was opened
        while chunk := os.read(self._file, _CHUNK):
            self._before = (self._before + chunk)[-_LOOKED_AT:]
            yield from self._lines.feed(chunk)

    def _open(self) -> bool:
        try:
            self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        self._go_to(0)
        return True

    def _go_to(self, offset: int) -> None:
        assert self._file is not None  # noqa: S101 -- ours: it was opened
        self._start, self._lines = offset, Lines()
        os.lseek(self._file, offset, os.SEEK_SET)
        first = max(0, offset - _LOOKED_AT)
        self._before = os.pread(self._file, offset - first, first)

    def _replaced(self) -> bool:
        """Check whether another file has taken the place."""
        try:
            return self._path.stat().st_ino != self._inode
        except OSError:
            return False

    def _rewritten(self) -> bool:
        """Check whether the file is shorter than what was read of it, or has other bytes there."""
        assert self._file is not None  # noqa: S101 -- ours: it was opened
        reached = os.lseek(self._file, 0, os.SEEK_CUR)
        first = reached - len(self._before)
        return self._size < reached or os.pread(self._file, len(self._before), first) != self._before

    @property
    def _inode(self) -> int:
        assert self._file is not None  # noqa: S101 -- ours: it was opened
        return os.fstat(self._file).st_ino

    @property
    def _size(self) -> int:
        assert self._file is not None  # noqa: S101 -- ours: it was opened
        return os.fstat(self._file).st_size
