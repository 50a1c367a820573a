"""The committed reports: of the studies as they stand, complete, and what the index says of them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch.studies.reading import load_study

ROOT = Path(__file__).parents[2]
STUDIES = sorted((ROOT / "studies").glob("*.yaml"))
SMALLEST = "relative_vit"
INDEX = (ROOT / "reports" / "README.md").read_text(encoding="utf-8")


@pytest.fixture(params=STUDIES, ids=lambda study: study.stem)
def study(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def report_of(study: Path) -> str:
    return (ROOT / "reports" / study.stem / "report.md").read_text(encoding="utf-8")


def test_a_report_is_of_the_study_as_it_stands(study: Path) -> None:
    """Whoever changes a study makes its report again: `make studies`."""
    loaded, text = load_study(study, quick=True), report_of(study)
    assert text.startswith(f"# {loaded.settings.question}\n\nOn a small scale: ")
    assert f"hpsearch study studies/{study.name} --quick" in text
    assert f"- smallest difference that matters: {loaded.settings.decide.margin:g}\n" in text
    assert f"- search of each arm: {loaded.settings.budget.trials} trials\n" in text
    found = json.loads((ROOT / "reports" / study.stem / "compare.json").read_text())
    assert found["metric"] == loaded.metric
    assert {each["name"] for each in found["experiments"]} == {arm.name for arm in loaded.arms}


def test_its_pictures_are_there(study: Path) -> None:
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", report_of(study))
    assert "figures/scores.svg" in shown
    for picture in shown:
        assert (ROOT / "reports" / study.stem / picture).read_text().count("<path") > 2


def test_the_index_has_its_answer_in_one_line(study: Path) -> None:
    answers = re.findall(r"^\*\*(.+)\*\*$", report_of(study), flags=re.MULTILINE)
    assert answers
    (line,) = [line for line in INDEX.splitlines() if f"]({study.stem}/report.md)" in line]
    assert line.endswith(f"| {' '.join(answers)} |")


@pytest.mark.slow
def test_a_quick_study_prints_its_report_again(tmp_path: Path) -> None:
    """Processors of another kind round otherwise, and trainings drift apart: scores are compared with room for that."""
    study = ROOT / "studies" / f"{SMALLEST}.yaml"
    command = ["study", str(study), "--quick", "--no-mlflow", "--quiet"]
    where = ["--root", str(tmp_path / "experiments"), "--out", str(tmp_path / "report")]
    subprocess.run([sys.executable, "-m", "hpsearch", *command, *where], check=True, capture_output=True)
    fresh = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    for title in ("The plan", "The spaces", "What was spent"):
        assert section(fresh, title) == section(report_of(study), title)
    old, new = (
        json.loads((folder / "compare.json").read_text())
        for folder in (ROOT / "reports" / SMALLEST, tmp_path / "report")
    )
    for name in ("metric", "unit", "alpha", "adjust", "family_size"):
        assert new[name] == old[name]
    assert [(pair["a"], pair["b"], pair["test"]) for pair in new["pairs"]] == [
        (pair["a"], pair["b"], pair["test"]) for pair in old["pairs"]
    ]
    for before, after in zip(old["experiments"], new["experiments"], strict=True):
        assert (after["name"], after["n"]) == (before["name"], before["n"])
        assert after["mean"] == pytest.approx(before["mean"], abs=0.08)


def section(text: str, title: str) -> str:
    """Return what stands below a title, up to the next."""
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
