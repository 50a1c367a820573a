"""A small mutation loop: from a corpus, by seed, kept where a run reaches lines that none reached before."""

import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

Trace = Callable[[FrameType, str, Any], Any]
LONGEST = 20_000
"""Bytes of an input."""


class Reached:
    """The lines of hpsearch that were reached, by what a run of a target reaches."""

    def __init__(self) -> None:
        self.lines: set[tuple[CodeType, int]] = set()
        self._new = 0
        self._ours: dict[CodeType, bool] = {}

    def run(self, function: Callable[[], None]) -> int:
        """Call a function and return how many lines it reached first."""
        before = len(self.lines)
        sys.settrace(self._enter)
        try:
            function()
        finally:
            sys.settrace(None)
        return len(self.lines) - before

    def _enter(self, frame: FrameType, _: str, __: object) -> Trace | None:
        code = frame.f_code
        if code not in self._ours:
            self._ours[code] = "/hpsearch/" in code.co_filename and "site-packages" not in code.co_filename
        return self._line if self._ours[code] else None

    def _line(self, frame: FrameType, event: str, _: object) -> Trace:
        if event == "line":
            self.lines.add((frame.f_code, frame.f_lineno))
        return self._line


def mutate(data: bytes, corpus: Sequence[bytes], words: Sequence[str], draw: random.Random) -> bytes:
    """Return an input that was changed at one to four places."""
    made = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        at, end = (draw.randrange(len(made) + 1) for _ in range(2))
        kind = draw.randrange(9)
        if kind == 0 and made:
            made[at - 1] ^= 1 << draw.randrange(8)
        elif kind == 1 and made:
            made[at - 1] = draw.randrange(256)
        elif kind == 2:
            del made[min(at, end) : min(max(at, end), min(at, end) + 40)]
        elif kind == 3 and words:
            made[at:at] = draw.choice(words).encode()
        elif kind == 4:
            made[at:at] = made[min(at, end) : max(at, end)][:2000]
        elif kind == 5:
            other = draw.choice(corpus)
            start = draw.randrange(len(other) + 1)
            made[at:at] = other[start : start + draw.randrange(1, 200)]
        elif kind == 6:
            _replace_value(made, draw)
        elif kind == 7:
            del made[at:]
        else:
            _swap_lines(made, draw)
    return bytes(made[:LONGEST])


_VALUES = (
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e400",
    b'""',
    b"[]",
    b"{}",
    b'"x"',
    b"[1]",
    b'{"a":1}',
    b"9" * 25,
    b"NaN",
    b"0.5",
)


def _replace_value(made: bytearray, draw: random.Random) -> None:
    """Put another value behind a colon or a comma, as in JSON and YAML."""
    marks = [place for place, byte in enumerate(made) if byte in b":,="]
    if not marks:
        return
    at = draw.choice(marks) + 1
    end = at
    while end < len(made) and made[end] not in b",}]\n":
        end += 1
    made[at:end] = (b" " if draw.random() < 0.7 else b"") + draw.choice(_VALUES)


def _swap_lines(made: bytearray, draw: random.Random) -> None:
    lines = bytes(made).split(b"\n")
    one, other = (draw.randrange(len(lines)) for _ in range(2))
    lines[one], lines[other] = lines[other], lines[one]
    made[:] = b"\n".join(lines)


def shrunk(data: bytes, fails: Callable[[bytes], bool], *, seconds: float) -> bytes:
    """Return a smaller input that fails too: pieces are left out as long as it does."""
    end, size = time.monotonic() + seconds, max(1, len(data) // 2)
    while size >= 1 and time.monotonic() < end:
        at, before = 0, len(data)
        while at < len(data) and time.monotonic() < end:
            shorter = data[:at] + data[at + size :]
            if fails(shorter):
                data = shorter
            else:
                at += size
        if len(data) == before:
            size //= 2
    return data


def stored(folder: Path) -> list[bytes]:
    """Return the inputs of a folder, by their names."""
    return [path.read_bytes() for path in sorted(folder.glob("*")) if path.is_file()]
