"""An installed hpsearch brings its spaces, studies and schemas, and works in an empty folder outside the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from hpsearch.space.shelf import Shelf
from tests.bare import bare_environment

ROOT = Path(__file__).parents[1]


PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"  # setuptools leaves a folder `build` next to what it builds
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("hpsearch", "spaces", "studies"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([*PIP, "wheel", "--no-deps", "--wheel-dir", str(place), str(source)], check=True, env=clean())
    (wheel,) = place.glob("*.whl")
    return wheel


def install(wheel: Path, python: Path) -> Path:
    """Install the wheel alone into an environment, and return its command."""
    subprocess.run([*PIP, "--python", str(python), "install", "--no-deps", str(wheel)], check=True, env=clean())
    return python.parent / "hpsearch"


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of an environment into which the wheel was installed; what it needs is borrowed from this one."""
    place = tmp_path_factory.mktemp("whole") / "env"
    venv.create(place, with_pip=False, symlinks=True)
    (library,) = (place / "lib").glob("python*/site-packages")
    (library / "borrowed.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return install(wheel, place / "bin" / "python")


def clean() -> dict[str, str]:
    """Return the environment without what would lead to the checkout."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def said(program: Path, folder: Path, *words: str) -> str:
    done = subprocess.run([str(program), *words], cwd=folder, capture_output=True, text=True, check=False, env=clean())
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_it_searches_a_space_of_its_shelf(program: Path, tmp_path: Path) -> None:
    said(program, tmp_path, "run", "char_lm", "--quick", "--trials", "1", "--no-confirm", "--no-mlflow")
    assert "1 trial in" in said(program, tmp_path, "show", "char_lm-quick")
    assert {path.name for path in tmp_path.iterdir()} == {"experiments"}


@pytest.mark.slow
def test_it_brings_every_space_study_and_schema(program: Path, tmp_path: Path) -> None:
    shelf = program.parents[1] / "share" / "hpsearch"
    for name in ("spaces", "spaces/schemas", "studies"):
        expected = {path.name for path in (ROOT / name).iterdir() if path.is_file()}
        assert {path.name for path in (shelf / name).iterdir() if path.is_file()} == expected
    assert "fine" in said(program, tmp_path, "check", *Shelf.SPACES.names())
    said(program, tmp_path, "init", "deepsif")
    assert "fine" in said(program, tmp_path, "check", "deepsif.yaml")


@pytest.mark.slow
def test_the_base_alone_searches_a_program_and_says_what_a_family_needs(wheel: Path, tmp_path: Path) -> None:
    program = install(wheel, bare_environment(tmp_path / "env"))
    folder = tmp_path / "empty"
    folder.mkdir()
    said(program, folder, "run", "command", "--quick", "--trials", "2", "--workers", "1", "--no-confirm")
    assert "2 trials in" in said(program, folder, "show", "command-quick")
    refused = subprocess.run(
        [str(program), "run", "deepsif"], cwd=folder, capture_output=True, text=True, check=False, env=clean()
    )
    assert refused.returncode == 2
    assert 'needs the package torch, which is not installed: pip install "hpsearch[eeg]"' in refused.stderr
    assert {path.name for path in (folder / "experiments").iterdir()} == {"command-quick"}
