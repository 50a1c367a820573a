"""Ctrl-C once and twice, SIGTERM, a second start, budgets, changed spaces (DESIGN 6.2, 6.3, 6.10)."""

import json
import os
import signal
import time
from typing import Any

import pytest

from hpsearch.experiment.layout import CHECKPOINT
from hpsearch.records import Outcome
from tests.engines.sessions import Command, Terminal, check_files, count, essence, open_terminal
from tests.toy_spaces import write_space

SEARCH = {"sampler": "tpe", "pruner": "asha", "trials": 7, "epochs": 4, "more": "confirm: {top: 1, seeds: 2}"}
SLOWLY = "data: {seconds: 0.3}"
HANGING = "data: {seconds: 600}"
GO_ON = "Interrupted; nothing that was finished is lost. The same command goes on from here."
SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
WAYS = pytest.mark.parametrize("in_process", [True, pytest.param(False, marks=pytest.mark.slow)])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with open_terminal(tmp_path_factory.mktemp("whole")) as terminal:
        write_space(terminal.folder, **SEARCH)
        terminal.run()
        return essence(terminal.experiment)


def check_interrupted(terminal: Terminal, command: Command) -> None:
    assert command.wait() == 130, command.output
    assert GO_ON in command.output
    assert "Traceback" not in command.output
    terminal.wait_until_alone()
    last = terminal.events[-1]
    assert (last["event"], last["why"]) == ("end", "interrupted")
    check_files(terminal.experiment)


def check_gone_on(terminal: Terminal, whole: dict[str, Any], **conditions: Any) -> None:
    terminal.run(**conditions)
    assert essence(terminal.experiment) == whole


@SIGNALS
@WAYS
def test_once_lets_the_trial_make_a_checkpoint(
    number: int, in_process: bool, terminal: Terminal, whole: dict[str, Any]
) -> None:
    write_space(terminal.folder, data=SLOWLY, **SEARCH)
    command = terminal.start(in_process=in_process)
    terminal.wait_for(count("report", 1, "trials/0000"), command)
    command.signal(number)
    check_interrupted(terminal, command)
    [trial] = terminal.record.trials
    assert trial.outcome is None
    assert 0 < len(trial.history) < 4
    assert (terminal.experiment / trial.run / CHECKPOINT).is_file()
    check_gone_on(terminal, whole, in_process=in_process)
    assert terminal.record.trials[0].attempts == 2


def test_once_in_the_confirmation(terminal: Terminal, whole: dict[str, Any]) -> None:
    write_space(terminal.folder, data=SLOWLY, **SEARCH)
    command = terminal.start()
    terminal.wait_for(count("report", 1, "confirm"), command)
    command.signal(signal.SIGINT)
    check_interrupted(terminal, command)
    assert [replicate.outcome for replicate in terminal.record.replicates] == [None]
    check_gone_on(terminal, whole)


@SIGNALS
@WAYS
def test_twice_stops_now(number: int, in_process: bool, terminal: Terminal) -> None:
    write_space(terminal.folder, data=HANGING, **SEARCH)
    command = terminal.start(in_process=in_process)
    terminal.wait_for(count("begin", 1), command)
    command.signal(number)
    time.sleep(1.0)  # the first is heard; the training hangs and does not answer
    assert command.alive, command.output
    command.signal(number)
    check_interrupted(terminal, command)
    assert [trial.outcome for trial in terminal.record.trials] == [None]


@pytest.mark.slow
def test_twice_and_then_to_the_end(terminal: Terminal, whole: dict[str, Any]) -> None:
    write_space(terminal.folder, data="data: {seconds: 2}", **{**SEARCH, "trials": 2, "more": ""})
    command = terminal.start(in_process=False)
    terminal.wait_for(count("report", 2), command)
    command.signal(signal.SIGINT)
    time.sleep(0.3)
    command.signal(signal.SIGINT)
    check_interrupted(terminal, command)
    terminal.run(in_process=False)
    assert essence(terminal.experiment)["runs"] == whole["runs"][:2]


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.0, 0.1, 0.3, 0.6])
def test_once_while_the_worker_starts(delay: float, terminal: Terminal, whole: dict[str, Any]) -> None:
    """The terminal sends the signal to the worker too, which has not had the time to ignore it."""
    write_space(terminal.folder, data=SLOWLY, **SEARCH)
    command = terminal.start(in_process=False)
    terminal.until(terminal.children, command)
    time.sleep(delay)
    command.signal(signal.SIGINT)
    check_interrupted(terminal, command)
    assert not [event for event in terminal.events if event["event"] == "lost"]
    check_gone_on(terminal, whole)


def test_once_before_anything_has_begun(terminal: Terminal, whole: dict[str, Any]) -> None:
    write_space(terminal.folder, **SEARCH)
    for delay in (0.0, 0.2, 0.4):
        command = terminal.start()
        terminal.until(lambda command=command: terminal.experiment.exists() or os.getpgid(command.pid) == command.pid)
        time.sleep(delay)
        command.signal(signal.SIGINT)
        assert command.wait() in (-signal.SIGINT, 130, 1), command.output
    check_gone_on(terminal, whole)


def test_once_while_the_terminal_takes_no_output(terminal: Terminal, whole: dict[str, Any]) -> None:
    """As with Ctrl-S, or in a pager: the signal interrupts the very printing that it would cause."""
    write_space(terminal.folder, **SEARCH)
    pipe = terminal.folder / "pipe"
    os.mkfifo(pipe)
    with os.fdopen(os.open(pipe, os.O_RDWR | os.O_NONBLOCK), "r+b", buffering=0) as screen:
        while screen.write(b" " * 4096):  # until it is full
            pass
        command = terminal.start(standard_error=pipe)
        terminal.wait_for(count("outcome", 1), command)
        time.sleep(0.3)
        command.signal(signal.SIGINT)
        time.sleep(0.3)
        said = ""
        while command.alive:
            said += (screen.read(65536) or b"").decode()
            time.sleep(0.01)
        said += (screen.read(65536) or b"").decode()
    assert command.wait() == 130, said.strip()
    assert "Traceback" not in said
    check_gone_on(terminal, whole)


def test_a_second_start_is_refused_and_disturbs_nothing(terminal: Terminal, whole: dict[str, Any]) -> None:
    write_space(terminal.folder, data="data: {seconds: 0.6}", **SEARCH)
    command = terminal.start()
    terminal.wait_for(count("report", 1), command)
    second = terminal.run(status=2)
    assert f"is being run by another process (process id {command.pid})" in second.output
    assert second.output.splitlines()[-1] == terminal.run("confirm", "toy", status=2).output.splitlines()[-1]
    assert command.wait() == 0, command.output
    assert essence(terminal.experiment) == whole


@pytest.mark.slow
def test_a_start_right_after_a_kill_waits_for_the_workers_to_go(terminal: Terminal, whole: dict[str, Any]) -> None:
    write_space(terminal.folder, data=SLOWLY, **SEARCH)
    command = terminal.start(in_process=False)
    terminal.wait_for(count("report", 2), command)
    os.kill(command.pid, signal.SIGKILL)
    check_gone_on(terminal, whole)


# Going on with more


def test_more_trials_go_on_as_a_longer_search(terminal: Terminal, whole: dict[str, Any]) -> None:
    write_space(terminal.folder, **SEARCH)
    terminal.run("--trials", "3", "--no-confirm")
    assert essence(terminal.experiment)["runs"] == whole["runs"][:3]
    again = terminal.run("--trials", "3", "--no-confirm")
    assert "toy is finished: nothing was left to do. --trials 6 extends it" in again.output
    check_gone_on(terminal, whole)


def test_a_finished_experiment_is_left_alone(terminal: Terminal) -> None:
    write_space(terminal.folder, **SEARCH)
    terminal.run()
    times = {path: path.stat().st_mtime_ns for path in terminal.experiment.glob("*/*/*")}
    again = terminal.run()
    assert "toy is finished: nothing was left to do. --trials 14 extends it, --name NAME starts another" in again.output
    assert {path: path.stat().st_mtime_ns for path in terminal.experiment.glob("*/*/*")} == times
    kinds = [event["event"] for event in terminal.events]
    assert kinds[-4:] == ["session", "end"] * 2 or kinds[-3:] == ["end", "session", "end"]


def test_fewer_trials_than_there_are_take_nothing_away(terminal: Terminal, whole: dict[str, Any]) -> None:
    write_space(terminal.folder, **SEARCH)
    terminal.run()
    terminal.run("--trials", "2")
    assert essence(terminal.experiment) == whole


def test_the_time_is_a_budget_of_all_sessions_together(terminal: Terminal) -> None:
    write_space(terminal.folder, data="data: {seconds: 0.1}", **{**SEARCH, "trials": 500, "pruner": "none", "more": ""})
    first = terminal.run("--time", "2s")
    assert "The time is used up (1 trials unfinished); a larger --time goes on from here." in first.output
    ended = terminal.events[-1]
    assert (ended["event"], ended["why"]) == ("end", "time")
    assert ended["elapsed"] >= 2
    history = terminal.record.trials[-1].history
    assert terminal.record.trials[-1].outcome is None
    time.sleep(2)
    again = terminal.run("--time", "2s")
    assert "The time is used up" in again.output
    begun = next(event for event in terminal.events[::-1] if event["event"] == "session")
    assert begun["elapsed"] - ended["elapsed"] <= begun["time"] - ended["time"] - 1.9  # the pause does not count
    assert terminal.record.trials[-1].history == history
    terminal.run("--time", "4s")
    assert terminal.record.trials[len(terminal.record.trials) - 2].outcome is Outcome.COMPLETE
    assert terminal.record.elapsed >= 4


def test_a_time_too_short_for_one_trial_says_so(terminal: Terminal, whole: dict[str, Any]) -> None:
    write_space(terminal.folder, data="data: {seconds: 0.5}", **SEARCH)
    command = terminal.start("--time", "1s")
    assert command.wait() == 0, command.output
    assert "The time is used up (1 trials unfinished); a larger --time goes on from here." in command.output
    check_gone_on(terminal, whole)


def test_confirming_does_not_use_up_the_time_of_the_search(terminal: Terminal) -> None:
    write_space(terminal.folder, data="data: {seconds: 0.2}", **{**SEARCH, "trials": 2, "pruner": "none"})
    terminal.run("--time", "1h")
    searched = next(event for event in terminal.events[::-1] if event.get("run") == "trials/0001")["elapsed"]
    assert terminal.record.elapsed > searched + 1
    command = terminal.run("--time", f"{searched + 0.9:.1f}s", "--trials", "3")
    assert len(terminal.record.trials) == 3, command.output


# A changed space


def changed(terminal: Terminal, old: str, new: str) -> None:
    path = terminal.folder / "toy.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_changed_range_keeps_the_trials_that_fit(terminal: Terminal, whole: dict[str, Any]) -> None:
    write_space(terminal.folder, **{**SEARCH, "more": ""})
    terminal.run()
    changed(terminal, "start: {float: [-1, 1]}", "start: {float: [0, 1]}")
    command = terminal.run("--trials", "9")
    assert "the space has changed since this experiment was begun" in command.output
    assert "model.start: {float: [-1.0, 1.0]} -> {float: [0.0, 1.0]}" in command.output
    kept = [run["run"] for run in whole["runs"] if run["params"]["model.start"] >= 0 and "trials" in run["run"]]
    gone = {f"trials/{number:04d}" for number in range(7)} - set(kept)
    assert kept
    assert gone
    assert {event["run"] for event in terminal.events if event["event"] == "drop"} == gone
    record = terminal.record
    assert [trial.run for trial in record.trials if trial.number < 7] == kept
    assert [trial.number for trial in record.trials if trial.number >= 7] == [7, 8]
    assert record.warnings == (f"{len(gone)} earlier trials do not fit the changed space and are left out",)
    old = json.loads((terminal.experiment / "resolved-1.json").read_text(encoding="utf-8"))
    new = json.loads((terminal.experiment / "resolved.json").read_text(encoding="utf-8"))
    assert (old["space"]["model"]["start"], new["space"]["model"]["start"]) == ({"float": [-1, 1]}, {"float": [0, 1]})
    assert (old["id"], old["created"]) == (new["id"], new["created"])
    again = terminal.run("--trials", "9")
    assert "has changed" not in again.output
    assert sum(event["event"] == "drop" for event in terminal.events) == len(gone)


def test_a_budget_is_no_change_of_the_space(terminal: Terminal) -> None:
    write_space(terminal.folder, **SEARCH)
    terminal.run("--trials", "1", "--no-confirm")
    command = terminal.run("--trials", "2", "--time", "1h", "--workers", "2")
    assert "has changed" not in command.output
    assert not [*terminal.experiment.glob("resolved-*.json")]


def test_a_changed_fixed_setting_is_refused_and_destroys_nothing(terminal: Terminal, whole: dict[str, Any]) -> None:
    write_space(terminal.folder, **SEARCH)
    terminal.run()
    files = {path: path.read_bytes() for path in terminal.experiment.rglob("*") if path.is_file()}
    refused = terminal.run("--set", "train.epochs=5", status=2)
    assert "no earlier trial in experiments/toy fits the changed space" in refused.output
    assert "--name" in refused.output
    assert "Traceback" not in refused.output
    assert essence(terminal.experiment) == whole
    again = terminal.run()
    assert "toy is finished: nothing was left to do." in again.output
    assert essence(terminal.experiment) == whole
    assert files[terminal.experiment / "space.yaml"] == (terminal.experiment / "space.yaml").read_bytes()


def test_a_folder_of_something_else_is_refused(terminal: Terminal) -> None:
    write_space(terminal.folder, **SEARCH)
    terminal.experiment.mkdir(parents=True)
    (terminal.experiment / "thesis.tex").touch()
    assert "exists and is no experiment; choose another --name" in terminal.run(status=2).output
    assert {path.name for path in terminal.experiment.iterdir()} <= {"thesis.tex", "lock"}


def test_a_trial_whose_folder_was_removed_is_left_out(terminal: Terminal) -> None:
    write_space(terminal.folder, **{**SEARCH, "more": "", "trials": 2, "pruner": "none"})
    terminal.run()
    for path in [*(terminal.experiment / "trials/0000").iterdir()]:
        path.unlink()
    (terminal.experiment / "trials/0000").rmdir()
    terminal.run("--trials", "3")
    assert [trial.number for trial in terminal.record.trials] == [1, 2]
    [drop] = [event for event in terminal.events if event["event"] == "drop"]
    assert (drop["run"], drop["reason"]) == ("trials/0000", "its config.json is missing")
