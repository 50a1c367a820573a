"""What must answer at once loads nothing heavy (design.md 2: heavy imports stand inside the commands)."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "ray", "mlflow", "optuna", "matplotlib", "mne", "nilearn", "pandas", "scipy", "sqlalchemy"}

PROGRAM = """
import sys
{code}
heavy = sys.argv[1].split()
print("loaded:", *(name for name in heavy if name in sys.modules))
"""

COMMANDS = """
import contextlib, io, shlex
from hpsearch.cli import app
for words in {commands!r}:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        app(shlex.split(words), standalone_mode=False)
    assert said.getvalue(), words
    heavy = [name for name in sys.argv[1].split() if name in sys.modules]
    assert not heavy, (words, heavy)
"""
QUICK = [
    "--help",
    "run --help",
    "families",
    "schema char_lm",
    "schema deepsif",
    "check spaces",
    "check spaces --quick",
    "cluster --file slurm",
]


def heavy_modules_of(code: str) -> list[str]:
    """Run a program of its own and return the heavy modules that it has loaded."""
    command = [sys.executable, "-c", PROGRAM.format(code=code), " ".join(sorted(HEAVY))]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.rpartition("loaded:")[2].split()


def test_the_package_is_light() -> None:
    assert heavy_modules_of("import hpsearch; hpsearch.__all__; dir(hpsearch)") == []


def test_the_quick_commands_are_light() -> None:
    """One after another in one process: what one of them loads is found behind it."""
    assert heavy_modules_of(COMMANDS.format(commands=QUICK)) == []


def test_reading_an_experiment_is_light() -> None:
    assert heavy_modules_of("import hpsearch.experiment.reading, hpsearch.report.experiment_view") == []


def test_this_would_notice() -> None:
    assert heavy_modules_of("import pandas") == ["pandas"]
