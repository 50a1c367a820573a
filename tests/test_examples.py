"""Every example does what its README says, in its quick form; a winner is confirmed on the test split."""

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hpsearch
from hpsearch.records import Outcome
from tests.calling import Call, caller

EXAMPLES = Path(__file__).parents[1] / "examples"
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("lightning", "trainer")]


@pytest.mark.parametrize("name", ["function", *SLOW])
def test_an_example_is_searched_and_confirmed(name: str, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / name, tmp_path / name)
    found = hpsearch.run(
        tmp_path / name / "space.yaml", quick=True, workers=1, root=tmp_path, in_process=True, mlflow=False, quiet=True
    )
    assert {trial.outcome for trial in found.record.trials} <= {Outcome.COMPLETE, Outcome.PRUNED}
    assert found.best is not None
    for replicate in found.record.replicates:
        assert 0 <= replicate.scores["test/accuracy"] <= 1
    assert found.record.replicates


@pytest.mark.slow
def test_the_search_from_python(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "function", tmp_path / "function")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "search.py"]
    place = tmp_path / "function"
    told = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert "test/accuracy" in told.stdout, told.stderr
    assert (place / "experiments" / "spirals" / "resolved.json").is_file()


README: dict[str, list[str]] = {
    "hydra": ["mine.yaml", "experiments/wave/trials/0001/.hydra/overrides.yaml"],
    "c": ["train", "experiments/moons/confirm"],
    "table": ["reports/results/report.html", "compare.json"],
    "study": ["reports/study-quick/report.html"],
    "family": ["mine.json", "experiments/waves/confirm"],
    "open": ["curves.png", "trials.csv"],
}
"""Examples whose commands are run as their READMEs have them, with some of the files that they leave."""


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """All examples in a place of their own, where what is built and searched does not matter."""
    shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("experiments", "reports", "outputs"))
    return tmp_path / "examples"


def commands_of(name: str) -> list[str]:
    text = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [line for line in block.splitlines() if line]


def do(line: str, folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a line of a README: hpsearch and Python scripts in this process."""
    command, _, target = line.partition(" > ")
    program, *words = shlex.split(command, comments=True)
    if program == "python":
        monkeypatch.setattr(sys, "argv", words)
        runpy.run_path(words[0], run_name="__main__")
    elif program == "hpsearch":
        trains = words[0] in ("run", "study") and "--plan" not in words
        said = call(*words, *(["--in-process", "--track", "none"] if trains else []))
        assert said.status == 0, f"{line}\n{said.err}{said.out}"
        if target:
            (folder / shlex.split(target, comments=True)[0]).write_text(said.out, encoding="utf-8")
    else:
        subprocess.run([program, *words], cwd=folder, check=True)


@pytest.mark.parametrize("name", README)
def test_the_commands_of_a_readme(
    name: str, examples: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = examples / name
    call = caller(folder, monkeypatch, capsys)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    for line in commands_of(name):
        do(line, folder, call, monkeypatch)
    assert [place for place in README[name] if not (folder / place).exists()] == []


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()))
def test_a_readme_is_half_a_page_and_says_what_one_sees(name: str) -> None:
    text = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 20
    assert "\nYou see " in text
    assert 3 <= len(commands_of(name)) <= 5
    assert f"[{name}]({name}/README.md)" in (EXAMPLES / "README.md").read_text(encoding="utf-8")
