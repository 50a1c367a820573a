"""A file system in memory in the place of experiments, which can be made too small and read-only."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


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


@contextmanager
def mounted(folder: Path) -> Iterator[Disk]:
    """Mount one on a folder; a test is skipped where the machine lets nobody mount."""
    made = Disk(folder)
    if os.geteuid() != 0 or not made.resize("10m", first=True):
        pytest.skip("mounting a file system is not permitted here (it needs root, and a container that allows it)")
    yield made
    made.remove()
