"""The schema of study files takes what the reader takes."""

from pathlib import Path

import pytest

from hpsearch.space.located_yaml import Place, parse
from hpsearch.studies.study import study_schema
from tests.space.schema_check import accepts

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))


def plain(text: str) -> object:
    return parse(text, Place("x", 1, 1)).plain()


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_the_committed_studies_are_accepted(study: Path) -> None:
    assert accepts(study_schema(), plain(study.read_text()))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("question:", "qestion:"),
        ("budget: {trials: 30", "budget: {trials: 0"),
        ("adjust: holm", "adjust: home"),
        ("margin: 0.02", "margin: 0"),
        ("lstm: {space", "lstm: {spaec"),
        ("{baseline: sloreta}", "{baseline: sloreta, set: {}}"),
    ],
)
def test_mistakes_are_refused(old: str, new: str) -> None:
    text = next(path for path in STUDIES if path.stem == "deepsif").read_text()
    assert old in text
    assert not accepts(study_schema(), plain(text.replace(old, new)))
