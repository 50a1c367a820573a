"""Logs as they stand in the file: for tests that look at what was written, without the codec that wrote it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpsearch.experiment.files import decode_number, read_lines

Line = dict[str, Any]


def read_log(path: Path) -> Iterator[Line]:
    """Yield the lines of a log, with its metrics as numbers."""
    for line, _ in read_lines(path):
        yield {name: decode_number(value) if name in ("metric", "value") else value for name, value in line.items()}
