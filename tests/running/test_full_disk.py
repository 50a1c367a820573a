"""A full disk ends the session with a sentence; when there is room again, the search goes on (design.md 6.2)."""

import pytest

from tests.running.disk import Disk
from tests.running.sessions import Terminal, essence
from tests.running.unbroken import SEARCH, Whole
from tests.toy_spaces import write_space


def check_said(output: str, reason: str) -> None:
    last = output.strip().splitlines()[-1]
    assert last.startswith("hpsearch: "), output
    assert reason in last
    assert "the same command goes on" in last
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("kilobytes", "in_process"),
    [
        (40, True),
        *(pytest.param(size, True, marks=pytest.mark.slow) for size in (8, 16, 56, 72, 100, 120, 148)),
        pytest.param(100, False, marks=pytest.mark.slow),
    ],
)
def test_a_full_disk(kilobytes: int, in_process: bool, terminal: Terminal, disk: Disk, whole: Whole) -> None:
    write_space(terminal.folder, **SEARCH)
    disk.resize(f"{kilobytes}k")
    for _ in range(2):  # again, with still no room
        command = terminal.start(in_process=in_process)
        assert command.wait() == 1, command.output
        check_said(command.output, "No space left on device")
        assert [lease for lease in terminal.experiment.glob("lease-*") if not lease.stat().st_size] == []  # waited for
    disk.resize("10m")
    terminal.run()
    assert essence(terminal.experiment) == whole.essence


@pytest.mark.parametrize("size", [4000, pytest.param(6000, marks=pytest.mark.slow)])
def test_a_file_that_may_not_grow(size: int, terminal: Terminal, whole: Whole) -> None:
    """A quota, of which the log or a checkpoint meets the limit first."""
    write_space(terminal.folder, **SEARCH)
    command = terminal.start(file_bytes=size)
    assert command.wait() == 1, command.output
    check_said(command.output, "File too large")
    terminal.run()
    assert essence(terminal.experiment) == whole.essence
