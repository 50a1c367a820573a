"""Trainings of two real worker processes from the space to the outcome: one speaks, both end (design.md 6.1 to 6.3)."""

import os
import signal
from pathlib import Path

import pytest

from hpsearch.errors import HpsearchError
from hpsearch.experiment.reading import read_experiment
from hpsearch.records import Outcome
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from tests.running.sessions import Terminal, count, essence
from tests.toy_spaces import write_space

TWO = "search.resources.processes=2"


def write_for_two(folder: Path, *, seconds: float = 0.0) -> None:
    """Write a space whose trials have two processes each."""
    path = write_space(folder, trials=2, epochs=4, data=f"data: {{seconds: {seconds}}}")
    path.write_text(path.read_text(encoding="utf-8").replace("search: {", "search: {resources: {processes: 2}, "))


@pytest.mark.slow
def test_outcomes(tmp_path: Path) -> None:
    troubles = ["none", "exception", "diverge", "kill_once"]
    branch = f"data: {{trouble: {{choice: [{', '.join(troubles)}]}}, marker: {tmp_path / 'marker'}, size: 8}}"
    start = ", ".join(f"{{data.trouble: {trouble}}}" for trouble in troubles)
    space = load_space(write_space(tmp_path, trials=4, data=branch, more=f"start: [{start}]"), overrides=[TWO])
    trials = run(space, folder=tmp_path / "toy").record.trials
    assert [trial.outcome for trial in trials] == [
        Outcome.COMPLETE,
        Outcome.FAILED,
        Outcome.DIVERGED,
        Outcome.COMPLETE,
    ]
    assert (trials[1].reason or "").startswith("ValueError: no model of width")
    assert [trial.attempts for trial in trials] == [1, 1, 1, 2]


@pytest.mark.slow
def test_a_killed_process_ends_both_and_the_run_goes_on_as_if_nothing_had_been(terminal: Terminal) -> None:
    write_for_two(terminal.folder, seconds=0.5)
    command = terminal.start(in_process=False)
    terminal.wait_for(count("report", 2, "trials/0000"), command)
    workers = sorted(terminal.workers())
    assert len(workers) == 2
    os.kill(workers[1], signal.SIGKILL)
    terminal.wait_for(count("lost", 1), command)
    assert command.wait() == 0, command.output
    terminal.wait_until_alone()
    broken = essence(terminal.experiment)
    assert [run.attempts for run in read_experiment(terminal.experiment).trials] == [2, 1]
    unbroken = load_space(terminal.folder / "toy.yaml")
    whole = run(unbroken, folder=terminal.folder / "experiments" / "whole")
    assert essence(Path(whole.record.folder))["runs"] == broken["runs"]


@pytest.mark.slow
def test_ctrl_c_pauses_both(terminal: Terminal) -> None:
    write_for_two(terminal.folder, seconds=0.5)
    command = terminal.start(in_process=False)
    terminal.wait_for(count("report", 1, "trials/0000"), command)
    command.signal(signal.SIGINT)
    assert command.wait() == 130, command.output
    terminal.wait_until_alone()
    assert [trial.outcome for trial in read_experiment(terminal.experiment).trials] == [None]


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        (None, RunOptions(in_process=True), "--in-process is a single process"),
        ("command", RunOptions(), "leave it at 1"),
    ],
)
def test_what_has_one_process_is_refused(family: str | None, options: RunOptions, message: str, tmp_path: Path) -> None:
    path = write_space(tmp_path)
    if family:
        path.write_text(
            'family: command\nobjective: {metric: val/loss, goal: minimize}\ncommand: "true --rate {rate}"\n'
            "rate: {float: [0, 1]}\n",
            encoding="utf-8",
        )
    with pytest.raises(HpsearchError, match=message):
        run(load_space(path, overrides=[TWO]), folder=tmp_path / "toy", options=options)
