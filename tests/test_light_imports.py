"""What must answer at once loads nothing heavy (DESIGN 2: heavy imports stand inside the commands)."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "ray", "mlflow", "optuna", "matplotlib", "mne", "nilearn", "pandas", "scipy", "sqlalchemy"}

PROGRAM = """
import sys
{code}
heavy = sys.argv[1].split()
print("loaded:", *(name for name in heavy if name in sys.modules))
"""

COMMAND = """
import contextlib, io, shlex
from hpsearch.cli import app
with contextlib.redirect_stdout(io.StringIO()):
    app(shlex.split({words!r}), standalone_mode=False)
"""


def heavy_modules_of(code: str) -> list[str]:
    """Run a program of its own and return the heavy modules that it has loaded."""
    command = [sys.executable, "-c", PROGRAM.format(code=code), " ".join(sorted(HEAVY))]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.rpartition("loaded:")[2].split()


def test_the_package_is_light() -> None:
    assert heavy_modules_of("import hpsearch; hpsearch.__all__; dir(hpsearch)") == []


@pytest.mark.parametrize(
    "words",
    ["--help", "run --help", "families", "schema char_lm", "schema deepsif", "check spaces", "check spaces --quick"],
)
def test_a_quick_command_is_light(words: str) -> None:
    assert heavy_modules_of(COMMAND.format(words=words)) == []


def test_reading_an_experiment_is_light() -> None:
    assert (
        heavy_modules_of("import hpsearch.experiment.reading, hpsearch.report.json_view, hpsearch.report.terminal")
        == []
    )


def test_this_would_notice() -> None:
    assert heavy_modules_of("import pandas") == ["pandas"]
