"""Ctrl-C before anything has begun, and places that may not be written: a sentence and an exit status, no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running.disk import Disk
from tests.running.sessions import REPOSITORY, Terminal, essence
from tests.running.unbroken import SEARCH, Whole
from tests.toy_spaces import write_space

STRIKE = """
import builtins, os, signal, sys

class Strike:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["STRIKE_AT"]:
            sys.meta_path.remove(self)
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                if os.environ["STRIKE_AS"]:
                    raise getattr(builtins, os.environ["STRIKE_AS"])("it could not be imported") from None
                raise

sys.meta_path.insert(0, Strike())
"""


def interrupted(folder: Path, at: str, as_error: str) -> "subprocess.CompletedProcess[str]":
    """Run a search that hears Ctrl-C while a module is imported, which makes an error of its own of it."""
    (folder / "sitecustomize.py").write_text(STRIKE, encoding="utf-8")
    write_space(folder, **SEARCH)
    path = os.pathsep.join([str(folder), str(REPOSITORY)])
    environment = {**os.environ, "PYTHONPATH": path, "STRIKE_AT": at, "STRIKE_AS": as_error}
    line = [sys.executable, "-m", "hpsearch", "run", "toy.yaml", "--no-mlflow", "--in-process"]
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=240)


@pytest.mark.parametrize(
    ("at", "as_error"),
    [
        ("typer", ""),
        ("hpsearch.api.run", ""),
        pytest.param("hpsearch.api.run", "ImportError", marks=pytest.mark.slow),
        *(pytest.param(at, "SystemError", marks=pytest.mark.slow) for at in ("pydantic", "optuna", "torch")),
    ],
)
def test_ctrl_c_while_something_is_imported(at: str, as_error: str, tmp_path: Path) -> None:
    done = interrupted(tmp_path, at, as_error)
    assert done.returncode == 130, done.stderr
    assert done.stderr.endswith("hpsearch: interrupted; what was begun goes on with the same command\n"), done.stderr
    assert "Traceback" not in done.stderr
    assert "could not be imported" not in done.stderr


def test_a_folder_that_may_not_be_written(terminal: Terminal, disk: Disk, whole: Whole) -> None:
    write_space(terminal.folder, **SEARCH)
    assert disk.resize("10m,ro")
    command = terminal.start()
    assert command.wait() == 2, command.output
    [sentence] = command.output.splitlines()
    assert sentence.startswith(f"hpsearch: the folder {Path('experiments/toy')} cannot be made: Read-only file system")
    assert "--root" in sentence
    assert disk.resize("10m")
    terminal.run("--trials", "1", "--no-confirm")
    assert disk.resize("10m,ro")
    command = terminal.start()
    assert command.wait() == 2, command.output
    [sentence] = command.output.splitlines()
    assert "cannot be written (Read-only file system): nothing was trained" in sentence
    assert "1 complete" in terminal.run("show", "toy").output
    assert disk.resize("10m")
    terminal.run()
    assert essence(terminal.experiment) == whole.essence


def test_home_cache_and_temporary_files_that_may_not_be_written(
    terminal: Terminal, disk: Disk, whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_space(terminal.folder, **SEARCH)
    assert disk.resize("10m,ro")
    for name in ("HOME", "TMPDIR", "HPSEARCH_CACHE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(terminal.folder / "experiments"))
    path = os.pathsep.join([str(terminal.folder), str(REPOSITORY)])
    line = [sys.executable, "-m", "hpsearch", "run", "toy.yaml", "--no-mlflow", "--in-process", "--root", "elsewhere"]
    done = subprocess.run(
        line,
        cwd=terminal.folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert essence(terminal.folder / "elsewhere" / "toy") == whole.essence
