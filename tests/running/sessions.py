"""`hpsearch` as typed into a terminal, in a process of its own that can be struck at any moment; and what it leaves.

A fork server that has imported torch once makes such a process in a fraction of a second. Workers are started by
hpsearch itself, the real ones.
"""

import json
import multiprocessing
import os
import resource
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from hpsearch.experiment.layout import BEST, LOG
from hpsearch.experiment.reading import read_experiment, read_metrics
from hpsearch.records import ExperimentRecord, RunRecord
from hpsearch.workers.local.worker import WORKER_NAME
from tests.logs import Line, read_log

REPOSITORY = Path(__file__).parents[2]
MARK = "HPSEARCH_TEST_TERMINAL"
"""An environment variable that all processes of a terminal inherit, so that those left behind can be found."""
PATIENCE = 240.0
"""Seconds after which something that should have happened on a slow machine never will."""
CLOCK = {"seconds", "examples_per_second"}
"""What differs between two equal trainings."""
STRUCK = (
    "experiment/files.py",
    "experiment/log.py",
    "workers/ledger.py",
    "workers/coordinator.py",
    "running/earlier.py",
    "running/session.py",
)
"""The files whose every call, return and system call is a moment at which a process may be killed."""
WRITES = ("write", "flush", "fsync", "replace", "truncate", "mkdir", "open", "close")

_PROCESSES = multiprocessing.get_context("forkserver")
_PRELOADED = ["torch._inductor", "optuna", "hpsearch.cli", "hpsearch.console.display", "hpsearch.running.objective"]
_PROCESSES.set_forkserver_preload(_PRELOADED)


class Blow:
    """A profiler that kills its process as `kill -9` would: at the n-th moment that counts, or behind the n-th event.

    Moments are counted in any case. An event is a line of the log that this process writes.
    """

    def __init__(self, moment: int | None, event: int | None) -> None:
        self._moment = moment
        self._event = event
        self.moments = 0
        self._events = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if not frame.f_code.co_filename.endswith(STRUCK):
            return
        if event.startswith("c_") and getattr(argument, "__name__", "") not in WRITES:
            return
        self.moments += 1
        self._events += event == "return" and frame.f_code.co_name == "append"
        if self.moments == self._moment or self._events == self._event:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Conditions:
    """What is special about the process of a command.

    When it dies, the largest file it may write, where its standard error goes.
    """

    moment: int | None = None
    event: int | None = None
    file_bytes: int | None = None
    standard_error: Path | None = None


def _command(arguments: list[str], folder: str, output: str, mark: str, conditions: Conditions) -> None:
    """Be `hpsearch ARGUMENTS` in a terminal: a process group of its own, output into a file."""
    os.setsid()
    os.chdir(folder)
    os.environ |= {MARK: mark, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"}
    for descriptor, path in ((1, Path(output)), (2, conditions.standard_error or Path(output))):
        with path.open("ab") as file:
            os.dup2(file.fileno(), descriptor)
    if conditions.file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (conditions.file_bytes, resource.RLIM_INFINITY))
    from hpsearch.cli import main

    sys.argv = ["hpsearch", *arguments]
    blow = Blow(conditions.moment, conditions.event)
    if conditions.moment is not None or conditions.event is not None:
        sys.setprofile(blow)
    try:
        main()
    finally:
        sys.setprofile(None)
        Path(output).with_suffix(".moments").write_text(str(blow.moments), encoding="utf-8")


class Command:
    """A command that runs, or has ended."""

    def __init__(self, arguments: list[str], folder: Path, mark: str, conditions: Conditions) -> None:
        self._output = folder / f".{uuid.uuid4().hex}.output"
        self._process = _PROCESSES.Process(
            target=_command, args=(arguments, str(folder), str(self._output), mark, conditions)
        )
        self._process.start()
        self.pid = self._process.pid or 0

    def wait(self) -> int:
        """Return the exit status; negative for the signal that ended it, as Python has it."""
        self._process.join(PATIENCE)
        assert self._process.exitcode is not None, f"still running: {self.output}"
        return self._process.exitcode

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    @property
    def output(self) -> str:
        return self._output.read_text(encoding="utf-8") if self._output.exists() else ""

    @property
    def moments(self) -> int:
        """How many moments there were to strike at."""
        return int(self._output.with_suffix(".moments").read_text(encoding="utf-8"))

    def signal(self, number: int) -> None:
        """Send a signal to the whole process group, as a terminal does."""
        os.killpg(self.pid, number)

    def kill(self) -> None:
        """`kill -9` of the command's own process; return when it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait()


class Terminal:
    """Runs commands in a folder. `experiment` is where `hpsearch run toy.yaml` puts its experiment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = uuid.uuid4().hex
        self._commands: list[Command] = []
        self.experiment = folder / "experiments" / "toy"

    def start(
        self,
        *arguments: str,
        in_process: bool = True,
        **conditions: Any,
    ) -> Command:
        """Start `hpsearch run toy.yaml ARGUMENTS`, or another command of hpsearch if the first argument is its name.

        `conditions` are those of Conditions.
        """
        line = (
            [*arguments]
            if arguments and arguments[0] in ("run", "confirm", "show", "study")
            else ["run", "toy.yaml", *arguments]
        )
        if line[0] != "show":
            line += ["--no-mlflow", *(["--in-process"] if in_process else [])]
        self._commands.append(Command(line, self.folder, self.mark, Conditions(**conditions)))
        return self._commands[-1]

    def run(self, *arguments: str, status: int = 0, **conditions: Any) -> Command:
        """Run a command to its end and check its exit status."""
        command = self.start(*arguments, **conditions)
        assert command.wait() == status, command.output
        return command

    @property
    def events(self) -> list[Line]:
        """The experiment's log as it stands."""
        return list(read_log(self.experiment / LOG))

    @property
    def record(self) -> ExperimentRecord:
        return read_experiment(self.experiment)

    def wait_for(self, condition: Callable[[list[Line]], bool], command: Command) -> list[Line]:
        """Return the log's events as soon as they fulfil a condition, while a command runs."""
        return self.until(lambda: (events := self.events) and condition(events) and events, command)

    def until(self, condition: Callable[[], Any], command: Command | None = None) -> Any:
        """Return what a condition gives as soon as that is true."""
        deadline = time.monotonic() + PATIENCE
        while not (found := condition()):
            assert command is None or command.alive, f"ended too early: {command.output}"
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.01)
        return found

    def children(self) -> list[int]:
        """Return the ids of the processes that carry this terminal's mark: workers, what they
        were forked from, and what they started."""
        return [pid for pid in _process_ids() if f"{MARK}={self.mark}".encode() in _environment(pid).split(b"\0")]

    def workers(self) -> list[int]:
        """Return the ids of the workers among the children, without what they are forked from and what they start."""
        return [pid for pid in self.children() if _command_name(pid) == WORKER_NAME]

    def end_children(self) -> None:
        """Kill what carries this terminal's mark: for a test that leaves processes behind on purpose."""
        for pid in self.children():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def end_commands(self) -> None:
        """Kill what still runs, as after a test that failed."""
        for command in self._commands:
            if command.alive:
                command.kill()

    def wait_until_alone(self) -> None:
        """Wait for the workers to go: soon, on a machine that has nothing else to do."""
        deadline = time.monotonic() + PATIENCE / 4
        while left := self.children():
            assert time.monotonic() < deadline, f"processes were left behind: {left}"
            time.sleep(0.05)


def _process_ids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _command_name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _environment(pid: int) -> bytes:
    """Return a process's environment; nothing for one that has ended."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


@contextmanager
def open_terminal(folder: Path) -> Iterator[Terminal]:
    """Yield a terminal; afterwards no process may be left, and none is."""
    terminal = Terminal(folder)
    try:
        yield terminal
        terminal.wait_until_alone()
    finally:
        terminal.end_commands()
        terminal.end_children()


def count(kind: str, at_least: int, run: str = "") -> Callable[[list[Line]], bool]:
    """Return the condition that the log holds so many events of a kind, of runs whose names begin like this."""
    return lambda events: (
        sum(event["event"] == kind and event.get("run", "").startswith(run) for event in events) >= at_least
    )


def essence(folder: Path) -> dict[str, Any]:
    """Return all that two equal experiments have in common, to the last bit: everything but times and attempts."""
    record = read_experiment(folder)
    assert not record.warnings
    return {
        "runs": [_run_essence(folder, run) for run in (*record.trials, *record.replicates)],
        "baselines": [(baseline.name, dict(baseline.scores)) for baseline in record.baselines],
    }


def _run_essence(folder: Path, run: RunRecord) -> dict[str, Any]:
    rows = read_metrics(folder, run.run)
    best = folder / run.run / BEST
    return {
        "run": run.run,
        "params": run.params,
        "seed": run.seed,
        "outcome": run.outcome,
        "value": run.value,
        "step": run.step,
        "history": run.history,
        "scores": run.scores,
        "metrics": [{name: value for name, value in row.items() if name not in CLOCK} for row in rows],
        "best": best.read_bytes() if best.exists() else None,
    }


def check_files(folder: Path) -> None:
    """Check that every file of an experiment is whole: each step once, lines and documents that can be read.

    A machine that lost its power may leave an empty document in the folder of the attempt that it lost; the log has
    the parameters.
    """
    for path in folder.rglob("*.jsonl"):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        steps = [row["step"] for row in rows if "event" not in row]
        assert steps == sorted(set(steps)), f"{path}: {steps}"
    for path in folder.rglob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert text or "-lost-" in path.parent.name, f"{path} is empty"
        json.loads(text or "null")
