"""How much folds overlap, as the plan of a study has it before anything is divided."""

import json
from pathlib import Path

import pytest

from hpsearch.errors import HpsearchError
from hpsearch.families.text_classifier.family import TextClassification
from hpsearch.families.text_classifier.settings import DataSettings
from hpsearch.studies.forecast import forecast_study, overlap_of
from hpsearch.studies.reading import load_study
from tests.folded_spaces import FAMILY, write_folded_study
from tests.toy_studies import altered

TEXTS = """\
family: text_classifier
objective: {{metric: val/accuracy}}
data: {data}
train: {{learning_rate: {{log: [1e-4, 1e-2]}}}}
"""
TWO_TEXTS = """\
question: Which?
metric: {name: test/accuracy}
arms:
  cnn: {space: texts.yaml, set: {model.architecture: cnn}}
  transformer: {space: texts.yaml, set: {model.architecture: transformer}}
budget: {trials: 1}
replicates: {folds: 5}
"""


BOUND = "s² (1/10 + at least 0.25)"
"""Ten replicates on five folds: at least what it would be if validation took nothing, 1 / (folds - 1)."""


def notes_of(study: Path) -> str:
    return " ".join(forecast_study(load_study(study), folder=study.parent / "x", probe=None).power.notes)


def test_of_a_searched_share_for_validation_a_bound_is_said(tmp_path: Path) -> None:
    path = write_folded_study(tmp_path, replicates="{folds: 5, repeats: 2}")
    assert "s² (1/10 + 0.286)" in notes_of(path)  # 0.2 / (1 - 0.2 - 0.1)
    altered(tmp_path / "folded.yaml", ("train:", "data: {val_fraction: {float: [0.1, 0.3]}}\ntrain:"))
    assert BOUND in notes_of(path)
    assert "power is at most what is shown here" in notes_of(path)


def test_of_a_family_that_does_not_say_its_share_a_bound_is_said(tmp_path: Path) -> None:
    path = write_folded_study(tmp_path, replicates="{folds: 5, repeats: 2}")
    own = tmp_path / "own.py"
    own.write_text(FAMILY.read_text().replace("val_fraction: float", "validated: float"))
    altered(tmp_path / "folded.yaml", (str(FAMILY), str(own)))
    assert BOUND in notes_of(path)


def test_validation_texts_of_their_own_take_nothing_from_training(tmp_path: Path) -> None:
    """For 5 folds the ratio of the parts that the data are really divided into, with and without a file for val."""
    for name in ("texts", "val"):
        examples = [{"text": f"{name} {number}", "label": "ab"[number % 2]} for number in range(100)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, examples)))
    family = TextClassification()
    for own in ({}, {"val_path": str(tmp_path / "val.jsonl")}):
        data = {"path": str(tmp_path / "texts.jsonl"), "val_fraction": 0.3, **own}
        divided = DataSettings.model_validate({**data, "folds": {"count": 5}})
        (tmp_path / "texts.yaml").write_text(TEXTS.format(data=json.dumps(data)))
        (tmp_path / "study.yaml").write_text(TWO_TEXTS)
        ratio, known = overlap_of(load_study(tmp_path / "study.yaml"))
        assert ratio == pytest.approx(len(family.load(divided, "test", 0)) / len(family.load(divided, "train", 0)))
        assert known


def test_folds_that_leave_nothing_for_training_are_told(tmp_path: Path) -> None:
    path = write_folded_study(tmp_path)
    altered(tmp_path / "folded.yaml", ("train:", "data: {val_fraction: 0.5}\ntrain:"))
    with pytest.raises(HpsearchError, match=r"2 folds and data\.val_fraction 0\.5 leave nothing for training"):
        notes_of(path)
