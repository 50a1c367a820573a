"""The command line, called in this process."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hpsearch import cli


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str


Call = Callable[..., Said]


def caller(folder: Path, monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[Any]) -> Call:
    """Return what runs `hpsearch WORDS` in a folder, in this process: `main` is what a program calls."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "200")

    def type_in(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["hpsearch", *map(str, words)])
        capture.readouterr()
        status = 0
        try:
            cli.main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        out, err = capture.readouterr()
        return Said(status, out, err)

    return type_in
