"""An experiments folder where each fsync takes a second: nothing is lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpsearch.experiment.layout import LOG
from tests.logs import read_log
from tests.running.sessions import REPOSITORY, essence
from tests.toy_spaces import write_space

SLOW = """
import os, time
sync = os.fsync
def slow(file):
    time.sleep(1.0)
    sync(file)
os.fsync = slow
"""


def start(folder: Path, *, root: str, site: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "hpsearch", "run", "toy.yaml", "--no-mlflow", "--root", root]
    path = os.pathsep.join([str(site), str(REPOSITORY)])
    return subprocess.Popen(command, cwd=folder, env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.DEVNULL)


@pytest.mark.slow
def test_killed_on_a_slow_disk_and_run_again_it_is_the_one_on_a_quick_disk(tmp_path: Path) -> None:
    write_space(tmp_path, sampler="random", pruner="none", trials=3, epochs=1)
    site = tmp_path / "site"
    site.mkdir()
    assert start(tmp_path, root="quick", site=site).wait(300) == 0
    (site / "sitecustomize.py").write_text(SLOW)
    log = tmp_path / "slow" / "toy" / LOG
    running = start(tmp_path, root="slow", site=site)
    try:
        while not (ended := {event["run"] for event in read_log(log) if event["event"] == "outcome"}):
            assert running.poll() is None
            time.sleep(0.02)
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    assert start(tmp_path, root="slow", site=site).wait(300) == 0
    outcomes = [event["run"] for event in read_log(log) if event["event"] == "outcome"]
    assert sorted(outcomes) == sorted(set(outcomes))
    assert ended <= set(outcomes)
    assert essence(tmp_path / "slow" / "toy") == essence(tmp_path / "quick" / "toy")
