"""`hpsearch run --engine ray` as typed into a terminal: what it shows, what it opens, what it leaves behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running.sessions import MARK, REPOSITORY, Terminal, count, essence
from tests.toy_spaces import write_space

pytestmark = pytest.mark.slow

LISTENING = "0A"
LOOPBACK = ("0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000")
"""127.0.0.1, the same in IPv6, and ::1, as /proc/net writes them."""


def foreign_listeners(pids: list[int]) -> list[str]:
    """Return the addresses other than loopback on which these processes listen for TCP connections."""
    sockets: set[str] = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                sockets.add(str(descriptor.readlink()))
            except OSError:
                continue
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == LISTENING and f"socket:[{inode}]" in sockets and not local.startswith(LOOPBACK):
                found.append(local)
    return found


def test_it_is_quiet_and_keeps_to_loopback(terminal: Terminal) -> None:
    write_space(terminal.folder, trials=2, epochs=4, data="data: {seconds: 0.3}")
    environment = {**os.environ, MARK: terminal.mark, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(
        [sys.executable, "-m", "hpsearch", "run", "toy.yaml", "--engine", "ray", "--json", "--no-mlflow"],
        cwd=terminal.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        terminal.until(lambda: any(event["event"] == "report" for event in terminal.events))
        assert len(terminal.children()) > 4  # Ray's servers and the actor are there
        assert foreign_listeners(terminal.children()) == []
    finally:
        out, err = process.communicate()
    assert process.returncode == 0, err
    assert json.loads(out)["trials"]
    assert err.startswith("starting Ray on this machine\n")
    err = err.partition("\n")[2]
    assert not any(word in err for word in ("ray", "Ray", "WARN", "INFO", "Tune", "tune")), err


def test_killed_and_run_again_it_is_the_search_that_was_never_broken(terminal: Terminal) -> None:
    """The driver dies: so does its cluster; the next start goes on by the log, and unpickles nothing of Tune's."""
    settings = {"pruner": "{asha: {minimum: 1}}", "trials": 4, "epochs": 4, "data": "data: {seconds: 0.2}"}
    write_space(terminal.folder, **settings)
    terminal.run("--name", "unbroken")
    command = terminal.start("--engine", "ray", in_process=False)
    terminal.wait_for(count("report", 6), command)
    os.kill(command.pid, signal.SIGKILL)
    command.wait()
    terminal.until(lambda: not terminal.children())  # two of Ray's agents may take a minute
    terminal.run("--engine", "ray", in_process=False)
    assert essence(terminal.experiment) == essence(terminal.folder / "experiments" / "unbroken")


def test_a_terminated_search_saves_its_trials(terminal: Terminal) -> None:
    """SIGTERM, as a scheduler of jobs sends it; Ray would have a handler of its own for it."""
    write_space(terminal.folder, trials=2, epochs=6, data="data: {seconds: 0.3}")
    command = terminal.start("--engine", "ray", in_process=False)
    terminal.wait_for(count("report", 2), command)
    os.kill(command.pid, signal.SIGTERM)
    assert command.wait() == 130
    assert "The same command goes on" in command.output
    terminal.wait_until_alone()


def test_two_times_ctrl_c_ends_at_once(terminal: Terminal) -> None:
    write_space(terminal.folder, trials=2, data="data: {trouble: hang}")
    command = terminal.start("--engine", "ray", in_process=False)
    terminal.wait_for(count("begin", 1), command)
    os.kill(command.pid, signal.SIGINT)
    terminal.until(lambda: "nterrupt" in command.output, command)
    os.kill(command.pid, signal.SIGINT)
    assert command.wait() == 130
    terminal.wait_until_alone()
