"""An ensemble's probabilities are the mean of its members', and the card says what that gains on validation."""

from pathlib import Path

import numpy as np
import pytest
import torch

import hpsearch
from hpsearch.errors import HpsearchError
from hpsearch.experiment.reading import read_experiment
from hpsearch.families.class_prediction import ClassPrediction
from hpsearch.final.export import export_model
from hpsearch.final.opening import mean_of_probabilities
from hpsearch.running.runner import RunOptions, run
from tests.calling import Call
from tests.toy_spaces import toy_space

TEXTS = ["a good film", "the dull actor", "and a scene"]


def test_its_probabilities_are_the_mean_of_its_members(call: Call, texts: Path, tmp_path: Path) -> None:
    said = call("export", texts, "model", "--to", "model", "--ensemble")
    assert said.status == 0
    members = [hpsearch.load_model(texts, run=each.run) for each in read_experiment(texts).replicates]
    found = hpsearch.load_model(tmp_path / "model").predict(TEXTS)
    assert isinstance(found, ClassPrediction)
    expected = np.mean([getattr(member.predict(TEXTS), "probabilities") for member in members], axis=0)  # noqa: B009
    np.testing.assert_allclose(found.probabilities, expected, rtol=1e-5)

    mean = np.mean([member.scores("val")["accuracy"] for member in members])
    own = hpsearch.load_model(tmp_path / "model").scores("val")["accuracy"]
    assert f"has {own:.4g}; its members have {mean:.4g} on average" in said.out
    page = (tmp_path / "model" / "card.md").read_text()
    assert "By val/accuracy the mean of the probabilities of 2 replicates has" in page
    assert "confirm/0" in page


def test_groups_of_classes_are_averaged_apart() -> None:
    logits = torch.randn((3, 4, 5), generator=torch.Generator().manual_seed(0))
    found = mean_of_probabilities(logits, groups=[2, 3]).exp()
    first, second = logits[..., :2].softmax(dim=-1).mean(dim=0), logits[..., 2:].softmax(dim=-1).mean(dim=0)
    torch.testing.assert_close(found, torch.cat([first, second], dim=-1))


def test_what_cannot_be_an_ensemble_says_so(call: Call, texts: Path, tmp_path: Path) -> None:
    for words, told in (
        (("--to", "csv", "--ensemble"), "--ensemble is about a model"),
        (("--to", "model", "--ensemble", "--run", "confirm/0000/seed-000"), "leave one of them out"),
    ):
        said = call("export", texts, "m", *words)
        assert said.status == 2
        assert told in said.err
    run(
        toy_space(tmp_path, trials=1, more="confirm: {seeds: 2}"),
        folder=tmp_path / "x",
        options=RunOptions(in_process=True),
    )
    with pytest.raises(HpsearchError, match="outputs of this family are no logits"):
        export_model(tmp_path / "x", tmp_path / "m", ensemble=True)
    run(toy_space(tmp_path, trials=1), folder=tmp_path / "y", options=RunOptions(in_process=True))
    with pytest.raises(HpsearchError, match=r"needs two replicates .* has 0: `hpsearch confirm"):
        export_model(tmp_path / "y", tmp_path / "m", ensemble=True)
