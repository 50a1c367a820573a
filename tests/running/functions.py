"""Functions that are searched, as their users write them, in files."""

from pathlib import Path
from typing import Any

from hpsearch.running.loading import load_space
from hpsearch.space import Space

SIMPLE = """
import json, os, random, signal, time
import numpy as np

def train(lr: float, epochs: int = 4, trouble: str = "", *, report):
    start, total = 0, 0.0
    if report.checkpoint.exists():
        start, total = json.loads(report.checkpoint.read_text())
    for epoch in range(start + 1, epochs + 1):
        total += lr
        loss = (lr - 0.3) ** 2 + 1 / epoch
        if trouble == "nan" and epoch == 2:
            loss = float("nan")
        if trouble == "memory":
            raise MemoryError("no room for the weights")
        if trouble == "fail":
            raise ValueError("no such layer")
        if trouble == "kill" and epoch == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if trouble == "torn" and epoch == 3 and start == 0:
            report.checkpoint.write_text("[2, ")
            os.kill(os.getpid(), signal.SIGKILL)
        report.checkpoint.write_text(json.dumps([epoch, total]))
        try:
            told = "0.5" if trouble == "text" else np.float32(loss)
            report(epoch, {"val/loss": told, "train/total": total, "test/loss": 10 * loss + epoch})
        except TypeError:
            raise
        except Exception:
            raise AssertionError("a stop is no Exception")
        if trouble == "sleep":
            time.sleep(0.3)
"""
HEAD = """\
family: ./train.py:train
objective: {{metric: val/loss, goal: minimize}}
search: {{sampler: random, pruner: {pruner}, trials: {trials}, workers: 1, seed: 0, retries: 1}}
confirm: {confirm}
"""


def function_space(folder: Path, *overrides: str, code: str = SIMPLE, **settings: Any) -> Space:
    """Write a function and a space over it, and load that."""
    given = {"pruner": "none", "trials": 3, "confirm": "null", "body": "lr: {float: [0, 1]}\n", **settings}
    (folder / "train.py").write_text(code, encoding="utf-8")
    (folder / "space.yaml").write_text(HEAD.format(**given) + given["body"], encoding="utf-8")
    return load_space(folder / "space.yaml", overrides=overrides)
