"""The studies that come with hpsearch: every one can be read, as it stands and in its quick form."""

from pathlib import Path

import pytest

from hpsearch.studies.reading import load_study

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))


@pytest.mark.parametrize("quick", [False, True], ids=["full", "quick"])
@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_a_study_is_fine(file: Path, quick: bool) -> None:
    study = load_study(file, quick=quick)
    assert len(study.arms) >= 2
    assert study.settings.question.rstrip().endswith("?")


def test_there_is_one_for_each_guide() -> None:
    assert {file.stem for file in STUDIES} >= {"deepsif", "relative_vit", "text_classifier", "decode", "char_lm"}
