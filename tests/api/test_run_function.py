"""`hpsearch.run(function, space=...)`: spaces from Python in every form, and where the function then lies."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import hpsearch
from tests.running import own_training

ASKED: dict[str, Any] = {"metric": "val/loss", "goal": "minimize", "sampler": "random", "pruner": "none", "trials": 2}
QUIETLY: dict[str, Any] = {"in_process": True, "mlflow": False, "quiet": True}
RANGES = {"lr": {"log": [1e-4, 1e-1]}, "width": [32, 64]}


@dataclasses.dataclass
class Fields:
    lr: Any = dataclasses.field(default_factory=lambda: {"log": [1e-4, 1e-1]})
    width: Any = dataclasses.field(default_factory=lambda: [32, 64])


class Model(BaseModel):
    lr: Any = {"log": [1e-4, 1e-1]}
    width: Any = [32, 64]


YAML = "lr: {log: [1e-4, 1e-1]}\nwidth: {choice: [32, 64]}\n"
LONG = {**RANGES, "objective": {"metric": "val/loss", "goal": "minimize"}, "search": {"sampler": "random", "trials": 2}}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("plain")
    return hpsearch.run(own_training.train, space=RANGES, root=root, **ASKED, **QUIETLY)


@pytest.mark.parametrize("form", [Fields, Fields(), Model, Model(), LONG, YAML], ids=lambda each: type(each).__name__)
def test_every_form_of_a_space_is_the_same(form: Any, plain: Any, tmp_path: Path) -> None:
    space, asked = form, dict(ASKED)
    if form is YAML:
        space = tmp_path / "train.yaml"
        space.write_text(YAML)
    if form is LONG:
        asked = {"pruner": "none"}
    found = hpsearch.run(own_training.train, space=space, root=tmp_path, **asked, **QUIETLY)
    assert [trial.params for trial in found.record.trials] == [trial.params for trial in plain.record.trials]
    assert found.name == "train"


def test_a_function_of_a_file_stays_there(plain: Any) -> None:
    resolved = json.loads((plain.folder / "resolved.json").read_text())
    assert resolved["space"]["family"] == "./own_training.py:train"
    assert resolved["space_folder"] == str(Path(own_training.__file__).parent)
    assert resolved["space"]["width"] == {"choice": [32, 64]}
    again = hpsearch.run(own_training.train, space=RANGES, root=plain.folder.parent, **ASKED, **QUIETLY)
    assert again.session is not None
    assert not again.session.worked


def test_lists_are_choices_and_tuples_lists(tmp_path: Path) -> None:
    space = {"lr": 0.1, "width": [32], "layers": [8, 16], "more": {"a": (1, 2), "b": [1, 2]}}
    found = hpsearch.run(own_training.listed, space=space, root=tmp_path, **ASKED | {"trials": 1}, **QUIETLY)
    config = json.loads((found.folder / "trials/0000/config.json").read_text())
    assert config["config"]["layers"] == [8, 16]
    assert config["config"]["more"]["a"] == [1, 2]
    assert config["params"].keys() == {"width", "more.b"}


@pytest.mark.parametrize(
    ("space", "more", "words"),
    [
        ({"lr": {"log": [1, 0.1]}, "width": 32}, {}, "space: lr: the lower bound 1 is not below"),
        ({"lr": 0.1, "width": "wide"}, {}, "space: width: 'wide' is not a whole number"),
        ({"lr": 0.1, "widht": 32}, {}, "space: unknown section 'widht', did you mean 'width'"),
        ({"width": 32}, {}, r"space: missing setting 'lr' \(expected a number\)"),
        (RANGES, {"pruner": "ahsa"}, "pruner: unknown option 'ahsa' of search.pruner, did you mean 'asha'"),
        (RANGES, {"search": {"trial": 3}}, "unknown setting 'trial' in search, did you mean 'trials'"),
        (RANGES, {"start": [{"lr": 7}]}, "start: .*lr 7 is not in"),
        (RANGES, {"metric": None}, "metric= is missing"),
        (RANGES, {"metric": "test/loss"}, "metric: objective.metric"),
        (
            {**RANGES, "objective": {"metric": "val/acc"}},
            {},
            "metric='val/loss' contradicts the space, which has 'val/acc'",
        ),
        (7, {}, "space=7 is no space: give a dictionary"),
        (None, {}, "space= is missing"),
    ],
)
def test_mistakes_are_told_with_their_place(space: Any, more: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(hpsearch.HpsearchError, match=words):
        hpsearch.run(own_training.train, space=space, root=tmp_path, **ASKED | more, **QUIETLY)
    assert list(tmp_path.iterdir()) == []


def test_a_closure_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    live = object()

    def train(config: Any, report: Any) -> None:
        report(1, {"val/loss": id(live)})

    with pytest.raises(hpsearch.HpsearchError, match="train uses live of the function around it"):
        hpsearch.run(train, space={"lr": 1}, root=tmp_path, **ASKED, **QUIETLY)
    assert list(tmp_path.iterdir()) == []


SCRIPT = """
import hpsearch

SCALE = 2.0

def loss_of(lr):
    return SCALE * lr

def train(config, report):
    report(1, {"val/loss": loss_of(config.lr), "test/loss": 1.0})

done = hpsearch.run(
    train, space={"lr": {"float": [0, 1]}}, metric="val/loss", goal="minimize", trials=2, sampler="random",
    workers=1, confirm=2, mlflow=False, quiet=True,
)
print(len(done.trials), len(done.replicates), done.folder / "code" / "train.py")
"""


@pytest.mark.slow
def test_a_function_of_a_script_is_written_beside_the_experiment_and_travels_with_it(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "script.py"]
    told = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert told.stdout == f"2 2 {tmp_path / 'experiments/train/code/train.py'}\n", told.stderr
    (tmp_path / "experiments").rename(tmp_path / "moved")
    (tmp_path / "script.py").unlink()
    confirmed = hpsearch.confirm(tmp_path / "moved" / "train", seeds=3, **QUIETLY)
    assert len(confirmed.replicates) == 3
