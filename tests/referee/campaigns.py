"""A project with a training that takes no time, and whose noise follows from its seed."""

import shutil
from pathlib import Path
from typing import Any

import hpsearch
from hpsearch.api.champion import Champion
from hpsearch.referee.shapes import Answer

CODE = """
import random

BONUS = 0.0

def train(rate: float = 0.5, trouble: str = "", *, report):
    value = BONUS + rate + random.Random(report.seed).gauss(0, 0.01)
    if trouble == "fail":
        raise ValueError("no such layer")
    if trouble == "memory":
        raise MemoryError("no room for the weights")
    if trouble == "nan":
        value = float("nan")
    report(1, {"val/score": value})
    if report.tests:
        report(None, {"test/score": value})
"""
SPACE = """\
family: ./train.py:train
objective: {metric: val/score, goal: maximize}
search: {workers: 1, seed: 3}
rate: 0.5
"""
QUIETLY: dict[str, Any] = {"in_process": True, "quiet": True}


def write_project(folder: Path, *, code: str = CODE, space: str = SPACE) -> None:
    """Write the program and its space."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.py").write_text(code, encoding="utf-8")
    (folder / "space.yaml").write_text(space, encoding="utf-8")


def change_code(folder: Path, bonus: float) -> None:
    """Make the training better by `bonus`."""
    (folder / "train.py").write_text(CODE.replace("BONUS = 0.0", f"BONUS = {bonus}"), encoding="utf-8")


def open_title(**settings: Any) -> Champion:
    """Open a title in the current folder."""
    return hpsearch.champion_init("space.yaml", **{"margin": 0.01, "seeds": 3, "most": 6, **QUIETLY, **settings})


def challenge(**settings: Any) -> Answer:
    """Let the current folder challenge the champion."""
    return hpsearch.challenge(**{**QUIETLY, "tell": lambda _: None, **settings})


def without_clock(answer: Answer) -> dict[str, Any]:
    """Return what two equal answers have in common."""
    content = answer.model_dump()
    del content["champion"]["since"]
    return content


def copy(folder: Path, to: Path) -> Path:
    """Return a copy of a project with all that was trained in it."""
    shutil.copytree(folder, to, symlinks=True)
    return to
