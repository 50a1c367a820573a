"""The studies that come with hpsearch: every one can be read, as it stands and in its two other forms."""

from pathlib import Path

import pytest

from hpsearch.studies.reading import load_study
from hpsearch.studies.study import Form

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_a_study_is_fine(file: Path, form: Form) -> None:
    study = load_study(file, quick=form is Form.QUICK, standard=form is Form.STANDARD)
    assert study.form is form
    assert len(study.arms) >= 2
    assert study.settings.question.rstrip().endswith("?")


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_the_standard_form_is_large_enough_to_answer(file: Path) -> None:
    study = load_study(file, standard=True)
    assert study.settings.budget.trials >= 20
    assert study.settings.confirm.count >= 10


def test_there_is_one_for_each_guide() -> None:
    assert {file.stem for file in STUDIES} >= {"deepsif", "relative_vit", "text_classifier", "decode", "char_lm"}
