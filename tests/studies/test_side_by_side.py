"""Arms at a time: processes that say who they are, end when they are asked to, and change nothing in the result."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import HpsearchError, SearchFailedError, UnknownNameError
from hpsearch.experiment.layout import LOG, STUDY
from hpsearch.running.runner import RunOptions
from hpsearch.space import Confirm
from hpsearch.studies.history import fix_plan, note_look, read_history
from hpsearch.studies.reading import load_study
from hpsearch.studies.run import run_study
from hpsearch.studies.side_by_side import run_side_by_side
from tests.logs import read_log
from tests.running.sessions import Terminal, open_terminal
from tests.studies.test_run import REPORT
from tests.toy_studies import altered, toy_study, with_options, write_study

SAYING = (
    "import sys; print('hello', file=sys.stderr); print('hpsearch: arm a: no result', file=sys.stderr); sys.exit({})"
)


def saying(status: int) -> list[str]:
    return [sys.executable, "-c", SAYING.format(status)]


def test_lines_carry_the_name_of_their_arm() -> None:
    lines: list[str] = []
    assert run_side_by_side({"a": saying(0), "b": saying(0)}, at_once=2, tell=lines.append)
    assert sorted(line for line in lines if "hello" in line) == ["a | hello", "b | hello"]


def test_arms_can_be_started_from_another_thread() -> None:
    """As a notebook or a server may do; only the main thread can be told of signals."""
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(run_side_by_side, {"a": saying(0)}, at_once=1, tell=lambda _: None).result()


@pytest.mark.parametrize(("statuses", "error"), [((1, 0), SearchFailedError), ((2, 0), HpsearchError)])
def test_what_a_failed_arm_said_is_the_error_and_the_others_are_run(
    statuses: tuple[int, int], error: type[HpsearchError]
) -> None:
    lines: list[str] = []
    commands = {name: saying(status) for name, status in zip("ab", statuses, strict=True)}
    with pytest.raises(HpsearchError) as raised:
        run_side_by_side(commands, at_once=1, tell=lines.append)
    assert (type(raised.value), str(raised.value)) == (error, "arm a: no result")
    assert "b | hello" in lines


def test_a_killed_arm_is_told_by_its_signal() -> None:
    killed = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    with pytest.raises(SearchFailedError, match="arm a: its process was ended by SIGKILL"):
        run_side_by_side({"a": killed}, at_once=1, tell=print)


def test_an_interrupt_is_passed_on_once_and_starts_no_more() -> None:
    waiting = (
        "import signal, sys, time; got = []; signal.signal(signal.SIGINT, lambda *_: got.append(1));"
        "print('ready', file=sys.stderr, flush=True)\nwhile not got: time.sleep(0.01)\n"
        "time.sleep(0.3); print(len(got), 'interrupts', file=sys.stderr); sys.exit(130)"
    )
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        if line == "a | ready":
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    command = [sys.executable, "-c", waiting]
    assert not run_side_by_side({"a": command, "b": command}, at_once=1, tell=tell)
    assert [line for line in lines if line.startswith("a")] == ["a | ready", "a | 1 interrupts"]
    assert sum("Press Ctrl-C again" in line for line in lines) == 1
    assert signal.getsignal(signal.SIGINT) is before


def test_an_arm_interrupted_before_it_could_begin_says_nothing() -> None:
    def tell(line: str) -> None:
        lines.append(line)
        if line == "a | ready":
            os.kill(os.getpid(), signal.SIGINT)

    lines: list[str] = []
    ready = "import sys, time; print('ready', file=sys.stderr, flush=True); time.sleep(60)"
    commands = {"a": [sys.executable, "-c", ready], "b": [sys.executable, "-c", "import time; time.sleep(60)"]}
    assert not run_side_by_side(commands, at_once=2, tell=tell)
    assert "a | KeyboardInterrupt" in lines
    assert not [line for line in lines if line.startswith("b")]


class PressedAtStart(subprocess.Popen[bytes]):
    """Ctrl-C while a process is being made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        super().__init__(*args, **kwargs)


def test_an_interrupt_while_an_arm_is_started_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(subprocess, "Popen", PressedAtStart)
    command = [sys.executable, "-c", "import sys, time; time.sleep(60); print('slept', file=sys.stderr)"]
    assert not run_side_by_side({"a": command, "b": command}, at_once=2, tell=lines.append)
    assert len(lines) == 1
    assert "Press Ctrl-C again" in lines[0]


IDENTIFIED = "import os, sys, pathlib; pathlib.Path(sys.argv[1]).write_text(f'{os.getpid()}\\n'); sys.exit(130)"
OUTLASTING = """
import sys, time, pathlib
mark = pathlib.Path(sys.argv[1])
while not mark.exists() or not mark.read_text() or pathlib.Path("/proc", mark.read_text().strip()).exists():
    time.sleep(0.01)
print("done", file=sys.stderr)
"""
"""Ends when it has been noticed that the other has."""


def test_the_others_end_by_themselves_when_one_is_interrupted_alone(tmp_path: Path) -> None:
    lines: list[str] = []
    mark = str(tmp_path / "mark")
    interrupted = ["-c", "import sys; print('hello', file=sys.stderr); " + IDENTIFIED, mark]
    commands = {
        "a": [sys.executable, *interrupted],
        "b": [sys.executable, "-c", OUTLASTING, mark],
        "c": saying(0),
    }
    assert not run_side_by_side(commands, at_once=2, tell=lines.append)
    assert lines[-1] == "b | done"
    assert {line[0] for line in lines} == {"a", "b"}


def test_one_arm_is_run_and_what_is_left_is_said(tmp_path: Path) -> None:
    study = toy_study(tmp_path, trials=1, seeds=2)
    run_arm = with_options(RunOptions(in_process=True))

    def only(arm: str, seeds: int | None = None) -> tuple[str, ...]:
        end = run_study(study, folder=tmp_path / "x", run_arm=run_arm, only=arm, seeds=seeds, command="")
        assert end.report is None
        return end.left

    assert only("adamw") == ("sgd",)
    assert only("sgd") == ()
    assert only("sgd", seeds=3) == ("adamw",)
    with pytest.raises(UnknownNameError, match="known: adamw, sgd"):
        only("mean")


def test_a_plan_taken_up_by_many_at_once_is_one_plan(tmp_path: Path) -> None:
    studies = [toy_study(tmp_path, margin=0.1 + number) for number in range(8)]
    with ThreadPoolExecutor(len(studies)) as pool:
        taken = list(pool.map(lambda study: fix_plan(tmp_path / "x", study), studies))
    assert len({history.id for history, _ in taken}) == 1
    written = json.loads((tmp_path / "x" / STUDY).read_text())
    assert len(written["changes"]) == len(studies) - 1
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: note_look(tmp_path / "x", Confirm(seeds=number + 1)), range(8)))
    assert sorted(look.replicates for look in read_history(tmp_path / "x").looks) == list(range(1, 9))


def test_a_changed_default_of_the_search_is_no_change_of_the_plan(tmp_path: Path) -> None:
    plan, _ = fix_plan(tmp_path / "x", toy_study(tmp_path))
    space = altered(tmp_path / "toy.yaml", ("sampler: random, pruner: none, ", ""))
    history, _ = fix_plan(tmp_path / "x", load_study(tmp_path / "study.yaml"))
    assert history == plan
    altered(space, ("search: {", "search: {sampler: tpe, "))
    history, _ = fix_plan(tmp_path / "x", load_study(tmp_path / "study.yaml"))
    assert all("search.sampler" in line for line in history.changes[0].lines)


def test_looks_count_by_the_kind_of_replicates(tmp_path: Path) -> None:
    study = toy_study(tmp_path, seeds=2)
    fix_plan(tmp_path / "x", study)
    for wanted in (Confirm(seeds=2), Confirm(seeds=None, folds=2, repeats=5)):
        note_look(tmp_path / "x", wanted)
    history, wanted = fix_plan(tmp_path / "x", study)
    assert (history.comparable_looks, wanted.count, history.confirmatory) == ((2,), 2, False)


def test_a_folder_that_becomes_a_study_meanwhile_is_no_stranger(tmp_path: Path) -> None:
    """Twenty rounds of arms that begin at once: listing the folder and looking for the plan are two steps."""
    study = toy_study(tmp_path)
    for number in range(20):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _, place=tmp_path / str(number): fix_plan(place, study), range(8)))


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with open_terminal(tmp_path) as opened:
        yield opened


ARMS = ("sgd", "adamw")


def begun(folder: Path) -> bool:
    """Say whether both arms of a study train."""
    return all(any(event["event"] == "begin" for event in read_log(folder / arm / LOG)) for arm in ARMS)


def report_of(folder: Path, name: str) -> dict[str, bytes]:
    files = {each: (folder / "reports" / name / each).read_bytes() for each in REPORT}
    return {each: content.replace(b"--name " + name.encode(), b"") for each, content in files.items()}


@pytest.mark.slow
def test_at_once_interrupted_and_resumed_the_report_is_that_of_one_after_another(
    terminal: Terminal, tmp_path: Path
) -> None:
    write_study(tmp_path, trials=12, seeds=2)
    study = ("study", "study.yaml", "--name")
    terminal.run(*study, "serial")
    command = terminal.start(*study, "parallel", "--at-once", "2")
    terminal.until(lambda: begun(tmp_path / "experiments" / "parallel"), command)
    command.signal(signal.SIGINT)
    assert command.wait() == 130, command.output
    assert "\nInterrupted; nothing that was finished is lost. The same command goes on from here." in command.output
    assert "Traceback" not in command.output
    terminal.wait_until_alone()
    again = terminal.run(*study, "parallel", "--at-once", "2")
    assert "adamw | " in again.output
    assert report_of(tmp_path, "parallel") == report_of(tmp_path, "serial")


@pytest.mark.slow
def test_arms_in_terminals_of_their_own_make_the_same_study(terminal: Terminal, tmp_path: Path) -> None:
    write_study(tmp_path, trials=2, seeds=2)
    study = ("study", "study.yaml", "--name")
    terminal.run(*study, "serial")
    commands = [terminal.start(*study, "apart", "--arm", arm) for arm in ARMS]
    assert [command.wait() for command in commands] == [0, 0], [command.output for command in commands]
    assert any("So are the others" in command.output for command in commands)
    terminal.run(*study, "apart")
    assert report_of(tmp_path, "apart") == report_of(tmp_path, "serial")


@pytest.mark.slow
def test_killed_it_leaves_no_process_and_goes_on(terminal: Terminal, tmp_path: Path) -> None:
    write_study(tmp_path, trials=40, seeds=2)
    command = terminal.start("study", "study.yaml", "--at-once", "2")
    folder = tmp_path / "experiments" / "study"
    terminal.until(lambda: begun(folder), command)
    command.kill()
    terminal.wait_until_alone()
    ends = [[event["why"] for event in read_log(folder / arm / LOG) if event["event"] == "end"] for arm in ARMS]
    assert ends == [["interrupted"]] * 2
