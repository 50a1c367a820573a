"""One running search for each folder; the kernel lets go of the lock when its holder ends, however it ends."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hpsearch.errors import ExperimentBusyError
from hpsearch.experiment.activity import locked, locked_in_turn
from hpsearch.experiment.lease import Lease, Machine

HOLD = """
import sys, time
from pathlib import Path
from hpsearch.experiment.activity import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Yield a process that holds a folder's lock."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_held_folder_is_refused_and_its_holder_named(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        named = rf"on \S+ \(process id {process.pid}, since .* UTC\)"
        expected = rf"is being run by another process, {named}; wait for it or stop it"
        with pytest.raises(ExperimentBusyError, match=expected), locked(tmp_path, patience=0.3):
            pass
        assert process.poll() is None


def test_who_works_by_turns_waits_while_another_machine_takes_turns(tmp_path: Path) -> None:
    """A lease that is new at every look is alive for whoever wants the folder alone, and one of many turns here."""
    (tmp_path / "lock").touch()
    begun, ended = threading.Event(), threading.Event()

    def take_turns() -> None:
        with (tmp_path / "lock").open("a+") as file, suppress(ExperimentBusyError):  # at last we have it
            while not ended.is_set():
                lease = Lease(tmp_path, machine=Machine("elsewhere", "another boot"))
                lease.take(file.fileno(), alone=False, tell=lambda _: None)
                begun.set()
                time.sleep(0.01)
                lease.close()

    other = threading.Thread(target=take_turns)
    other.start()
    begun.wait()
    threading.Timer(1.0, ended.set).start()
    try:
        with locked_in_turn(tmp_path, patience=60.0):
            pass
    finally:
        ended.set()
        other.join()


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.kill()
        process.wait()
        with locked(tmp_path, patience=0.3):
            pass


def test_a_start_waits_for_a_holder_that_is_about_to_go(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        threading.Timer(0.5, process.kill).start()
        with locked(tmp_path, patience=60.0):
            pass


def test_another_folder_is_free(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with locked(tmp_path / "a"), locked(tmp_path / "b"):
        pass


def test_two_sessions_in_one_process_are_two(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(ExperimentBusyError), locked(tmp_path, patience=0.3):
        pass
    with locked(tmp_path):
        pass


def test_a_session_that_fails_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        raise ZeroDivisionError
    with locked(tmp_path):
        pass
