"""A full disk ends the session with a sentence; when there is room again, the search goes on (design.md 6.2)."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running.sessions import Terminal, essence
from tests.running.unbroken import SEARCH, Whole
from tests.toy_spaces import write_space


class Disk:
    """A file system of its own in memory, as large as one likes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()

    def resize(self, size: str, *, first: bool = False) -> bool:
        """Mount it, or mount it again; say whether this machine lets us."""
        options = f"size={size}" if first else f"remount,size={size}"
        program = shutil.which("mount")
        assert program is not None, "mount is not installed"
        line = [program, "-t", "tmpfs", "-o", options, "tmpfs", str(self._folder)]
        return subprocess.run(line, capture_output=True, check=False).returncode == 0

    def remove(self) -> None:
        subprocess.run([shutil.which("umount") or "umount", str(self._folder)], check=True)


@pytest.fixture
def disk(terminal: Terminal) -> Iterator[Disk]:
    made = Disk(terminal.folder / "experiments")
    if os.geteuid() != 0 or not made.resize("10m", first=True):
        pytest.skip("mounting a file system is not permitted here (it needs root, and a container that allows it)")
    yield made
    made.remove()


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
