"""What every family on the shelf promises to whoever loads an exported model: it is the same, and needs no data."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import hpsearch
from hpsearch.api.probe import first_params
from hpsearch.experiment.reading import read_experiment
from hpsearch.final.export import export_model
from hpsearch.running.chosen import train
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions
from hpsearch.training.fingerprint import fingerprint
from hpsearch.training.task import Dataset, Split, Splits
from hpsearch.training.weights import read_weights, write_weights
from tests.contracts.family_shelf import FAMILIES, SMALLER, SPACES, shelf_case

SHORT = ("train.epochs=1", "train.device=cpu", "search.seed=0")


def no_data(split: Split) -> Dataset:
    raise AssertionError(f"the split {split} was loaded")


@pytest.mark.parametrize("name", FAMILIES)
def test_facts_and_configuration_make_the_model_without_the_data(name: str, tmp_path: Path) -> None:
    shelf = shelf_case(name)
    facts: Any = json.loads(json.dumps(shelf.family.facts(shelf.config, shelf.splits())))
    trained = shelf.family.task(shelf.config, shelf.splits()).build_model().eval()
    write_weights(tmp_path / "weights", trained)
    made = shelf.family.model(shelf.config, facts)
    if made is None:
        made = shelf.family.task(shelf.config, Splits(no_data, sealed=False)).build_model()
    read_weights(tmp_path / "weights", made)
    states = trained.state_dict(), made.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_an_exported_model_scores_as_the_record_says(name: str, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("".join(f"{number} bottles of beer on the wall, {number - 1}.\n" for number in range(200, 0, -1)))
    smaller = [*SMALLER.get(name, []), *([f"data.path={text}"] if name == "char_lm" else [])]
    space = load_space(SPACES / f"{name}.yaml", quick=True, overrides=[*smaller, *SHORT])
    params = first_params(space)
    train(space, params, folder=tmp_path / "final", test=True, options=RunOptions(in_process=True))
    (replicate,) = read_experiment(tmp_path / "final").replicates
    card = export_model(tmp_path / "final", tmp_path / "model").card
    trained = hpsearch.load_model(tmp_path / "model")
    found = {f"test/{metric}": value for metric, value in trained.scores("test").items()}
    assert found == pytest.approx(dict(replicate.scores), rel=1e-12, abs=0, nan_ok=True)
    assert card.data["test"]["sha256"] == fingerprint(trained.splits()["test"])
