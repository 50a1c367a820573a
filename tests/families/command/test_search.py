"""Programs are searched: both engines, every ending, pruning, Ctrl-C, going on, and no program outlives its search."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpsearch.errors import SearchFailedError
from hpsearch.experiment.reading import read_experiment
from hpsearch.records import Outcome
from hpsearch.running.runner import RunOptions, run
from tests.families.command.programs import python_space, shell_space
from tests.logs import read_log
from tests.ray_cluster import own_cluster
from tests.running.sessions import PATIENCE

HERE = RunOptions(in_process=True)


def search(space, folder, options=HERE):
    return run(space, folder=folder / "e", options=options).record


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)
    return found


def alive(pid):
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    return False


def test_a_program_with_no_change_at_all(tmp_path):
    record = search(python_space(tmp_path), tmp_path)
    assert [trial.outcome for trial in record.trials] == [Outcome.COMPLETE] * 3
    for trial in record.trials:
        assert trial.history == tuple(
            (epoch, pytest.approx((trial.params["train.lr"] - 0.3) ** 2 + 1 / epoch, abs=1e-5)) for epoch in range(1, 5)
        )
    assert (record.trials[0].value, record.trials[0].step) == (record.trials[0].history[3][1], 4)


def test_a_shell_program_with_workers_and_a_confirmation(tmp_path):
    space = shell_space(tmp_path, confirm="{top: 1, seeds: 2}")
    record = search(space, tmp_path, RunOptions())
    best = record.best
    assert best.value == min(trial.params["model.rate"] for trial in record.trials)
    assert [dict(each.scores) for each in record.replicates] == [{"test/loss": best.value * 10 + 4}] * 2
    output = (tmp_path / "e" / "trials" / "0000" / "output.log").read_text()
    assert f"chatter of epoch 4 with seed {record.trials[0].seed} on cpu" in output
    assert "test/loss" not in (tmp_path / "e" / "trials" / "0000" / "metrics.jsonl").read_text()
    assert len({each.seed for each in (*record.trials, *record.replicates)}) == 5


@pytest.mark.slow
def test_on_ray(tmp_path):
    with own_cluster(cpus=2):
        record = search(shell_space(tmp_path, "search.engine=ray"), tmp_path, RunOptions())
    assert [trial.outcome for trial in record.trials] == [Outcome.COMPLETE] * 3


@pytest.mark.parametrize(
    ("trouble", "outcome", "words"),
    [
        ("nan", Outcome.DIVERGED, "loss became nan at step 2"),
        ("memory", Outcome.OUT_OF_MEMORY, "CUDA out of memory"),
        ("fail", Outcome.FAILED, "exit status 1: ValueError: no such layer"),
        ("crash", Outcome.FAILED, "signal SIGABRT"),
        ("kill", Outcome.LOST, "SIGKILL, 2 times"),
    ],
)
def test_every_ending_is_an_outcome(trouble, outcome, words, tmp_path):
    with pytest.raises(SearchFailedError, match=words):
        search(python_space(tmp_path, trouble=trouble, trials=1), tmp_path)
    ends = [event for event in read_log(tmp_path / "e" / "log.jsonl") if event["event"] == "outcome"]
    assert [event["outcome"] for event in ends] == [outcome]


def test_a_program_that_prints_no_objective_fails(tmp_path):
    with pytest.raises(SearchFailedError, match="without reporting other"):
        search(python_space(tmp_path, trials=1, metric="other"), tmp_path)


def test_a_program_that_is_not_there(tmp_path):
    with pytest.raises(SearchFailedError, match="no-such-program cannot be started in"):
        search(shell_space(tmp_path, "command=no-such-program {model.rate}", trials=1), tmp_path)


STUBBORN = "sh -c 'trap \"\" TERM; echo $$ > {folder}/pid; while :; do sleep 0.1; done' & wait"
"""A grandchild that does not listen, with its number in a file."""


def test_a_pruned_program_really_ends_with_all_it_started(tmp_path):
    pause = STUBBORN.format(folder=tmp_path) + "; :"
    space = shell_space(tmp_path, "search.pruner={threshold: {upper: 0}}", trials=1, pause=pause)
    with pytest.raises(SearchFailedError, match="no trial came to a result"):
        search(space, tmp_path)
    [outcome] = [event for event in read_log(tmp_path / "e" / "log.jsonl") if event["event"] == "outcome"]
    assert outcome["outcome"] == Outcome.PRUNED
    pid_file = tmp_path / "pid"
    if pid_file.exists():  # else it was ended before it wrote its number
        assert not alive(int(pid_file.read_text()))


COMMAND = [sys.executable, "-m", "hpsearch", "run", "program.yaml", "--name", "e", "--root", ".", "--no-mlflow"]


@pytest.mark.slow
def test_interrupted_it_goes_on_from_the_programs_checkpoint(tmp_path):
    shell_space(tmp_path, trials=1, pause="sleep 3")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = subprocess.Popen(COMMAND, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    wait_until(lambda: "report" in _kinds(tmp_path))
    command.send_signal(signal.SIGINT)
    assert command.wait(PATIENCE) == 130
    before = (tmp_path / "e" / "trials" / "0000" / "output.log").read_text().count("chatter")
    assert before < 4
    [trial] = search(shell_space(tmp_path, trials=1), tmp_path, RunOptions()).trials
    assert (trial.outcome, [step for step, _ in trial.history]) == (Outcome.COMPLETE, [1, 2, 3, 4])
    output = (tmp_path / "e" / "trials" / "0000" / "output.log").read_text()
    assert "chatter of epoch 4" in output
    assert output.count("chatter of epoch 1 ") == 1


def test_killed_the_search_leaves_no_program_behind(tmp_path):
    shell_space(tmp_path, trials=1, pause=f"echo $$ > {tmp_path}/pid; sleep 600")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = subprocess.Popen(COMMAND, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    pid = wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    command.kill()
    command.wait()
    wait_until(lambda: not alive(int(pid)))


def test_signals_act_in_a_workers_program(tmp_path):
    search(shell_space(tmp_path, trials=1, pause="grep SigIgn /proc/self/status"), tmp_path, RunOptions())
    output = (tmp_path / "e" / "trials" / "0000" / "output.log").read_text()
    masks = [int(line.split()[1], 16) for line in output.splitlines() if line.startswith("SigIgn")]
    assert len(masks) == 4
    assert not any(mask & (1 << number - 1) for mask in masks for number in (signal.SIGINT, signal.SIGTERM))


KILLER = """
import json, os, signal, sys, time
from pathlib import Path
checkpoint = Path(os.environ["HPSEARCH_CHECKPOINT"])
done = int(checkpoint.read_text()) if checkpoint.exists() else 0
for epoch in range(done + 1, 7):
    print(json.dumps({"epoch": epoch, "loss": float(sys.argv[1]) / epoch, "test/loss": epoch}), flush=True)
    written = checkpoint.with_name("new")
    written.write_text(str(epoch))
    written.replace(checkpoint)
    worker = os.getppid()
    if epoch == 2 and not done:
        os.kill(worker, signal.SIGKILL)
        time.sleep(60)  # until it is killed with its worker
    if epoch == 4:
        coordinator = worker
        while b"program.yaml" not in Path(f"/proc/{coordinator}/cmdline").read_bytes():
            coordinator = int(Path(f"/proc/{coordinator}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(coordinator, signal.SIGKILL)
        time.sleep(60)
"""


@pytest.mark.slow
def test_nothing_is_lost_when_worker_and_search_are_killed_after_a_line(tmp_path):
    (tmp_path / "killer.py").write_text(KILLER)
    (tmp_path / "program.yaml").write_text(
        "family: command\nobjective: {metric: loss, goal: minimize}\n"
        "search: {sampler: random, pruner: none, trials: 1, workers: 1}\n"
        f"command: [{sys.executable}, killer.py, '{{lr}}']\ntrain: {{lr: {{float: [1, 2]}}}}\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for status in (-signal.SIGKILL, 0):
        assert subprocess.run(COMMAND, cwd=tmp_path, env=environment, check=False).returncode == status
    [trial] = read_experiment(tmp_path / "e").trials
    assert (trial.outcome, [step for step, _ in trial.history]) == (Outcome.COMPLETE, [1, 2, 3, 4, 5, 6])
    assert (tmp_path / "e" / "trials" / "0000" / "output.log").read_text().count("epoch") == 6


def _kinds(folder):
    log = folder / "e" / "log.jsonl"
    return [event["event"] for event in read_log(log)] if log.exists() else []
