"""Every example is searched as its README says, in its quick form, and its winner is confirmed on the test split."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hpsearch
from hpsearch.records import Outcome

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


@pytest.mark.parametrize("name", ["function", "lightning", "trainer"])
def test_the_readme_of_an_example_is_short_and_names_its_command(name: str) -> None:
    lines = (EXAMPLES / name / "README.md").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.strip()]) <= 6
    assert f"hpsearch run examples/{name}/space.yaml --quick" in "\n".join(lines)


@pytest.mark.slow
def test_the_search_from_python(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "function", tmp_path / "function")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "search.py"]
    place = tmp_path / "function"
    told = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert "test/accuracy" in told.stdout, told.stderr
    assert (place / "experiments" / "spirals" / "resolved.json").is_file()
