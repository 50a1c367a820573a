"""What the README shows of a user's own model and program works as it stands there."""

import json
import sys
from pathlib import Path

import pytest
import torch

from hpsearch.api.probe import first_params
from hpsearch.cli import app
from hpsearch.errors import SpaceError
from hpsearch.final.export import export_model
from hpsearch.records import Outcome
from hpsearch.running.chosen import train
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from tests.test_docs import ROOT, blocks

FEW = ["search.trials=2", "search.pruner=none", "confirm.seeds=1", "data={examples: 60}"]


@pytest.fixture
def space_file(tmp_path: Path) -> Path:
    """The README's family with its space."""
    [family] = [block for block in blocks("python") if "class MyFamily" in block]
    [space] = [block for block in blocks("yaml") if "MyFamily" in block]
    (tmp_path / "my_family.py").write_text(family, encoding="utf-8")
    (tmp_path / "my_space.yaml").write_text(space, encoding="utf-8")
    return tmp_path / "my_space.yaml"


def test_the_family_is_short_and_is_searched(space_file: Path) -> None:
    lines = (space_file.parent / "my_family.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 40
    record = run(
        load_space(space_file, overrides=FEW), folder=space_file.parent / "e", options=RunOptions(in_process=True)
    ).record
    assert [trial.outcome for trial in record.trials] == [Outcome.COMPLETE] * 2
    assert record.replicates[0].scores.keys() == {"test/accuracy"}


def test_its_settings_are_located_and_completed(
    space_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SpaceError, match=r"unknown setting 'widht' in model, did you mean 'width'\?"):
        load_space(space_file, overrides=["model.widht=3"])
    monkeypatch.chdir(space_file.parent)
    app(["schema", "./my_family.py:MyFamily"], standalone_mode=False)
    schema = json.loads(capsys.readouterr().out)
    assert schema["properties"]["model"]["anyOf"][0]["properties"]["width"]["description"] == "Hidden units."
    assert schema["properties"]["objective"]["properties"]["metric"] == {"enum": ["val/accuracy"]}


PROGRAM = """
import sys
rate, seed = float(sys.argv[2]), int(sys.argv[6])
for epoch in (1, 2, 3):
    print("epoch %d lr=%g val_loss=%.3f" % (epoch, rate, 1 / epoch + rate))
"""


def test_the_program_is_searched(tmp_path: Path) -> None:
    [space] = [block for block in blocks("yaml") if "{checkpoint}" in block]
    path = tmp_path / "program.yaml"
    path.write_text(space.replace("python ", f"{sys.executable} "), encoding="utf-8")
    (tmp_path / "train.py").write_text(PROGRAM, encoding="utf-8")
    space_of_it = load_space(path, overrides=["search.trials=2", "search.pruner=none"])
    record = run(space_of_it, folder=tmp_path / "e", options=RunOptions(in_process=True)).record
    assert [trial.value for trial in record.trials] == [
        pytest.approx(1 / 3 + trial.params["train.lr"], abs=1e-3) for trial in record.trials
    ]


@pytest.mark.slow
def test_the_exported_model_is_used_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["model.width=16", "model.heads=2", "model.layers=1", "train.epochs=1"]
    space = load_space(ROOT / "spaces" / "relative_vit.yaml", quick=True, overrides=small)
    record = train(space, first_params(space), folder="x", test=True, options=RunOptions(in_process=True)).record
    export_model(Path("x"), Path("models/digits"))
    [shown] = [block for block in blocks("python") if "models/digits" in block]
    names = {"images": torch.rand(3, 1, 8, 8)}
    exec(shown, names)  # noqa: S102 -- the README's own lines
    assert names["logits"].shape == (3, 10)
    assert names["trained"].scores("test")["accuracy"] == record.replicates[0].scores["test/accuracy"]  # type: ignore[attr-defined]
