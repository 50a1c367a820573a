"""Ctrl-C once and twice, SIGTERM, and a second start while the first one runs (design.md 6.2, 6.10)."""

import contextlib
import os
import signal
import time
from typing import Any

import pytest

from hpsearch.experiment.layout import CHECKPOINT
from tests.running.sessions import Command, Terminal, check_files, count, essence
from tests.running.unbroken import SEARCH, Whole
from tests.toy_spaces import write_space

SLOWLY = "data: {seconds: 0.3}"
HANGING = "data: {seconds: 600}"
HEARD = "again to stop now"
GO_ON = "Interrupted; nothing that was finished is lost. The same command goes on from here."
SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
WAYS = pytest.mark.parametrize("in_process", [True, pytest.param(False, marks=pytest.mark.slow)])


def check_interrupted(terminal: Terminal, command: Command) -> None:
    assert command.wait() == 130, command.output
    assert GO_ON in command.output
    assert "Traceback" not in command.output
    terminal.wait_until_alone()
    last = terminal.events[-1]
    assert (last["event"], last["why"]) == ("end", "interrupted")
    check_files(terminal.experiment)


def check_gone_on(terminal: Terminal, whole: Whole, **conditions: Any) -> None:
    terminal.run(**conditions)
    assert essence(terminal.experiment) == whole.essence


@pytest.mark.slow
@SIGNALS
@WAYS
def test_once_lets_the_trial_make_a_checkpoint(number: int, in_process: bool, terminal: Terminal, whole: Whole) -> None:
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


@pytest.mark.slow
def test_once_in_the_confirmation(terminal: Terminal, whole: Whole) -> None:
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
    hangs = terminal.folder / "hangs"
    write_space(terminal.folder, data=HANGING.replace("}", f", marker: {hangs}}}"), **SEARCH)
    command = terminal.start(in_process=in_process)
    terminal.until(hangs.exists, command)
    command.signal(number)
    terminal.until(lambda: HEARD in command.output, command)  # the training hangs and does not answer
    command.signal(number)
    check_interrupted(terminal, command)
    assert [trial.outcome for trial in terminal.record.trials] == [None]


@pytest.mark.slow
def test_twice_and_then_to_the_end(terminal: Terminal, whole: Whole) -> None:
    write_space(terminal.folder, data="data: {seconds: 2}", **{**SEARCH, "trials": 2, "more": ""})
    command = terminal.start(in_process=False)
    terminal.wait_for(count("report", 2), command)
    command.signal(signal.SIGINT)
    terminal.until(lambda: HEARD in command.output, command)
    command.signal(signal.SIGINT)
    assert command.wait() == 130, command.output
    assert "the same command" in command.output.lower()  # the second one may come while the session says its last words
    assert "Traceback" not in command.output
    terminal.wait_until_alone()
    check_files(terminal.experiment)
    terminal.run(in_process=False)
    assert essence(terminal.experiment)["runs"] == whole.essence["runs"][:2]


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.0, 0.1, 0.3, 0.6])
def test_once_while_the_worker_starts(delay: float, terminal: Terminal, whole: Whole) -> None:
    """The terminal sends the signal to the worker too, which has not had the time to ignore it."""
    write_space(terminal.folder, data=SLOWLY, **SEARCH)
    command = terminal.start(in_process=False)
    terminal.wait_for(count("begin", 1), command)  # before it, git is asked for the commit: a child, too
    terminal.until(terminal.children, command)
    time.sleep(delay)
    command.signal(signal.SIGINT)
    check_interrupted(terminal, command)
    assert not [event for event in terminal.events if event["event"] == "lost"]
    check_gone_on(terminal, whole)


def test_once_before_anything_has_begun(terminal: Terminal, whole: Whole) -> None:
    write_space(terminal.folder, **SEARCH)
    for delay in (0.0, 0.05, 0.1):
        command = terminal.start()
        terminal.until(lambda command=command: not command.alive or os.getpgid(command.pid) == command.pid)
        time.sleep(delay)
        with contextlib.suppress(ProcessLookupError):  # a quick machine may be through with the search
            command.signal(signal.SIGINT)
        assert command.wait() in (-signal.SIGINT, 130, 1, 0), command.output
    check_gone_on(terminal, whole)


def test_once_while_the_terminal_takes_no_output(terminal: Terminal, whole: Whole) -> None:
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


@pytest.mark.slow
def test_a_second_start_is_refused_and_disturbs_nothing(terminal: Terminal, whole: Whole) -> None:
    write_space(terminal.folder, data="data: {seconds: 0.6}", **SEARCH)
    command = terminal.start()
    terminal.wait_for(count("report", 1), command)
    second = terminal.run(status=2)
    assert "is being run by another process" in second.output
    assert f"(process id {command.pid}, since" in second.output
    assert second.output.splitlines()[-1] == terminal.run("confirm", "toy", status=2).output.splitlines()[-1]
    assert command.wait() == 0, command.output
    assert essence(terminal.experiment) == whole.essence


@pytest.mark.slow
def test_a_start_right_after_a_kill_waits_for_the_workers_to_go(terminal: Terminal, whole: Whole) -> None:
    write_space(terminal.folder, data=SLOWLY, **SEARCH)
    command = terminal.start(in_process=False)
    terminal.wait_for(count("report", 2), command)
    os.kill(command.pid, signal.SIGKILL)
    check_gone_on(terminal, whole)


@pytest.mark.parametrize(
    ("trouble", "in_process"), [("exception", True), pytest.param("kill", False, marks=pytest.mark.slow)]
)
def test_a_search_whose_first_trials_all_fail_alike_is_closed_as_failed(
    trouble: str, in_process: bool, terminal: Terminal
) -> None:
    """Processes that all die are the same failure, too: the rest would die as well."""
    write_space(terminal.folder, trials=60, sampler="random, retries: 0", data=f"data: {{trouble: {trouble}}}")
    command = terminal.run(status=1, in_process=in_process)
    assert command.output.splitlines()[-1].startswith("hpsearch: the first 3 trials failed in the same way: ")
    last = terminal.events[-1]
    assert (last["event"], last["why"]) == ("end", "failed")
    assert len(terminal.record.trials) == 3
