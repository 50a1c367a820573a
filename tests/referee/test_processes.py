"""As processes: killed at some moment and run again a challenge decides the same, and two of them queue."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hpsearch.experiment.layout import LEDGER

pytestmark = pytest.mark.slow
PROGRAM = """
import argparse, random, time

options = argparse.ArgumentParser()
options.add_argument("--seed", type=int)
options.add_argument("--rate", type=float)
given = options.parse_args()
time.sleep(0.3)
print("score", given.rate + random.Random(given.seed).gauss(0, 0.01))
"""
SPACE = """\
family: command
objective: {metric: score, goal: maximize}
search: {workers: 1}
command: python3 prog.py --seed {seed} --rate {rate}
metrics: {pattern: 'score (?P<score>\\S+)'}
rate: 0.5
"""
TITLE = Path("experiments", "champion-space")
PATIENCE = 300.0


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "prog.py").write_text(PROGRAM)
    (folder / "space.yaml").write_text(SPACE)
    words = ("champion", "init", "space.yaml", "--margin", "0.001", "--seeds", "3", "--most", "8", "--quiet")
    with started(folder, *words) as process:
        said, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, (said, errors)
    return folder


@contextmanager
def started(folder: Path, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """Start a command in a session of its own; nothing of it is left afterwards."""
    command = [sys.executable, "-m", "hpsearch", *words]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=folder, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def challenged(folder: Path, rate: float) -> dict[str, Any]:
    """Return the answer of a challenge that runs to its end."""
    with started(folder, "challenge", "--set", f"rate={rate}", "--json", "--quiet") as process:
        said, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode in (0, 10, 11), errors
    answer: dict[str, Any] = json.loads(said)
    del answer["champion"]["since"]
    return answer


def trained(folder: Path, contender: int) -> int:
    """Return how many trainings of a contender the ledger has."""
    lines = (folder / TITLE / LEDGER).read_bytes().splitlines()
    return sum(b'"event":"trained"' in line and b'"contender":%d' % contender in line for line in lines)


def wait_for(folder: Path, trainings: int, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + PATIENCE
    while trained(folder, 1) < trainings:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("trainings", [0, 2])
def test_killed_and_run_again_it_decides_the_same(project: Path, tmp_path: Path, trainings: int) -> None:
    other = tmp_path / "unbroken"
    shutil.copytree(project, other)
    unbroken = challenged(other, 0.56)
    with started(project, "challenge", "--set", "rate=0.56", "--quiet") as process:
        wait_for(project, trainings, process)
        os.killpg(process.pid, signal.SIGKILL)
    assert challenged(project, 0.56) == unbroken


def test_two_at_once_queue_and_both_are_decided(project: Path) -> None:
    words = ("--json",)
    with started(project, "challenge", "--set", "rate=0.4", *words) as first:
        wait_for(project, 1, first)
        with started(project, "challenge", "--set", "rate=0.3", *words) as second:
            said = [json.loads(process.communicate(timeout=PATIENCE)[0]) for process in (first, second)]
    assert [each["decision"] for each in said] == ["rejected", "rejected"]
    assert [each["challenge"] for each in said] == [1, 2]
    lines = (project / TITLE / LEDGER).read_text().splitlines()
    events = [(each["event"], each.get("number", each.get("challenge"))) for each in map(json.loads, lines)]
    order = [each for each in events if each[0] in ("challenge", "verdict")]
    assert order == [("challenge", 1), ("verdict", 1), ("challenge", 2), ("verdict", 2)]
