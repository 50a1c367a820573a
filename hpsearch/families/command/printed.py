"""From what a program prints or writes to metrics with their steps."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.families.command.settings import MetricSource

_STEPS = ("step", "epoch")


@dataclass(frozen=True)
class Measured:
    """The metrics of one line; `step` where it names one."""

    step: int | None
    metrics: Mapping[str, float]


def read_line(line: str, source: MetricSource) -> Measured | None:
    """Return the metrics of a line, or None when it has none."""
    found = _matched(line, source.pattern) if source.pattern is not None else _parsed(line)
    numbers = {name: number for name, value in found.items() if (number := _number(value)) is not None}
    named = [source.step] if source.step else _STEPS
    steps = [numbers[name] for name in named if name in numbers and math.isfinite(numbers[name])]
    metrics = {name: value for name, value in numbers.items() if name != "step"}
    return Measured(int(steps[0]) if steps else None, metrics) if metrics else None


def _parsed(line: str) -> Mapping[str, Any]:
    if not line.lstrip().startswith("{"):
        return {}
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _matched(line: str, pattern: str) -> Mapping[str, Any]:
    match = re.search(pattern, line)
    found = match.groupdict() if match else {}
    return {name.replace("__", "/"): text for name, text in found.items() if text is not None}


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value.strip().rstrip(",;%") if isinstance(value, str) else value)
    except ValueError:
        return None


class Tail:
    """The lines that are added to a file, once they are complete; the file may not exist yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def lines(self) -> Iterator[str]:
        """Yield the lines that were completed since the last call."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                whole, newline, _ = file.read().rpartition(b"\n")
        except OSError:
            return
        self._read += len(whole) + len(newline)
        yield from whole.decode(errors="replace").splitlines()
