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

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of an environment into which the wheel was installed; what it needs is borrowed from this one."""
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"  # setuptools leaves a folder `build` next to what it builds
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("hpsearch", "spaces", "studies"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(place), str(source)], check=True, env=clean())
    (wheel,) = place.glob("*.whl")
    venv.create(place / "env", with_pip=False, symlinks=True)
    python = place / "env" / "bin" / "python"
    subprocess.run([*pip, "--python", str(python), "install", "--no-deps", str(wheel)], check=True, env=clean())
    (library,) = (place / "env" / "lib").glob("python*/site-packages")
    (library / "borrowed.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return place / "env" / "bin" / "hpsearch"


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
