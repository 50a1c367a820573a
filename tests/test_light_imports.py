"""What must answer at once loads nothing heavy (design.md 2: heavy imports stand inside the commands)."""

import shutil
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

COMMANDS = """
import contextlib, io, shlex, sys
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


def test_the_page_is_light() -> None:
    assert heavy_modules_of("import hpsearch.web.app, hpsearch.web.serve") == []


TABLE = "method,seed,accuracy\n" + "".join(f"{method},{seed},0.8{seed}\n" for method in "ab" for seed in range(1, 5))
NEEDLESS = {
    "show tests/kept/search": HEAVY | {"numpy", "sklearn", "pyarrow", "yaml", "hpsearch.space", "hpsearch.families"},
    "show tests/kept/search --json": HEAVY | {"numpy", "sklearn", "pyarrow", "yaml", "hpsearch.space"},
    "watch tests/kept/search --once": HEAVY | {"numpy", "sklearn", "pyarrow", "yaml", "hpsearch.space"},
    "sync {kept}": HEAVY | {"numpy", "sklearn", "pyarrow"},
    "compare {table} --json": (HEAVY - {"scipy"}) | {"sklearn", "pyarrow", "statsmodels"},
    "compare {single} --json": (HEAVY - {"scipy"}) | {"sklearn", "pyarrow", "statsmodels", "scipy.optimize"},
}
"""What each command can do without."""


@pytest.mark.parametrize("command", NEEDLESS)
def test_a_command_loads_what_it_uses(command: str, tmp_path: Path) -> None:
    """Each in a process of its own, with what makes it work."""
    (tmp_path / "table.csv").write_text(TABLE, encoding="utf-8")
    (tmp_path / "single.csv").write_text("".join(TABLE.splitlines(keepends=True)[:5]), encoding="utf-8")
    kept = tmp_path / "kept"
    if "{kept}" in command:
        shutil.copytree(ROOT / "tests" / "kept" / "search", kept)
    words = command.format(table=tmp_path / "table.csv", single=tmp_path / "single.csv", kept=kept)
    program = COMMANDS.format(commands=[words]).replace("sys.argv[1].split()", repr(sorted(NEEDLESS[command])))
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert ended.returncode == 0, ended.stderr


def test_this_would_notice() -> None:
    assert heavy_modules_of("import pandas") == ["pandas"]
