"""A space over a function in a file: every mistake has its place, and the schema completes what the function takes."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hpsearch.cli import app
from hpsearch.errors import HpsearchError, SpaceError
from hpsearch.running.loading import load_space

CODE = '''
import dataclasses
from enum import Enum
from typing import Literal

class Act(Enum):
    RELU = "relu"
    GELU = "gelu"

@dataclasses.dataclass
class Net:
    width: int
    act: Act = Act.RELU

Kind = Literal["a", "b"]

def train(lr: float, net: Net, steps: int | None = None, kind: Kind = "a", layers: list[int] = [1], *, report):
    """Train it.

    Args:
        lr: The learning rate of Adam.
        net: The network.
    """

def free(config, report): ...
def without(lr): ...
train_it = 3
'''
HEAD = "family: ./train.py:{function}\nobjective: {{metric: val/loss, goal: minimize}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(CODE)
    return tmp_path


def write(folder: Path, body: str, function: str = "train") -> Path:
    path = folder / "space.yaml"
    path.write_text(HEAD.format(function=function) + body)
    return path


FINE = (
    "lr: {log: [1e-4, 1]}\nnet: {width: {int: [1, 9]}, act: {choice: [relu, gelu]}}\nlayers: {choice: [[1], [1, 2]]}\n"
)


def test_ranges_stand_wherever_a_value_does(folder: Path) -> None:
    space = load_space(write(folder, FINE), overrides=["net.width=3", "steps=5"])
    assert [each.path for each in space.parameters] == ["lr", "net.act", "layers"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("lr: fast\nnet: {width: 1}\n", ["3:5: lr: 'fast' is not a number"]),
        ("lr: 1\nnet: {width: 1.5}\n", ["4:14: net.width: 1.5 is not a whole number"]),
        (
            "lr: 1\nnet: {width: 1, atc: relu}\n",
            ["4:17: unknown setting 'atc' in net, did you mean 'act'?; known: width, act"],
        ),
        ("lr: 1\nnet: {}\n", ["4:1: missing setting 'width' in net (expected a whole number)"]),
        ("net: {width: 1}\n", ["1:1: missing setting 'lr' (expected a number)"]),
        ("lr: 1\nnet: {width: 1, act: rleu}\n", ["4:22: net.act: 'rleu' is not one of relu, gelu"]),
        ("lr: 1\nnet: {width: 1}\nkind: {choice: [a, c]}\n", ["5:20: kind: 'c' is not one of a, b"]),
        ("lr: {log: [0, 1]}\nnet: {width: 1}\n", ["3:12: lr: a log scale needs bounds above 0, not 0"]),
        ("lr: 1\nnet: {width: 1}\nrate: 3\n", ["5:1: unknown section 'rate'"]),
        ("lr: {float: [0, 1], mutable: true}\nnet: {width: 1}\n", ["lr cannot change while a training runs"]),
    ],
)
def test_mistakes_have_their_place(folder: Path, body: str, told: list[str]) -> None:
    path = write(folder, body)
    with pytest.raises(SpaceError) as error:
        load_space(path)
    assert len(error.value.problems) == len(told)
    for problem, words in zip(error.value.problems, told, strict=True):
        assert words in str(problem).removeprefix(f"{path}:")
    assert CliRunner().invoke(app, ["check", str(path)]).exit_code != 0


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("trian", "has no class trian derived from hpsearch.Family and no function of that name, did you mean 'train'"),
        (
            "train_it",
            "./train.py:train_it is an int; a space names a class derived from hpsearch.Family, or a function",
        ),
        ("Net", "./train.py:Net is a class; a space names"),
        ("without", "./train.py:without takes no report: write def without(config, report)"),
    ],
)
def test_what_is_no_function_is_refused_at_its_name(folder: Path, function: str, words: str) -> None:
    with pytest.raises(SpaceError) as error:
        load_space(write(folder, "lr: 1\n", function))
    assert "space.yaml:1:9: " in str(error.value)
    assert words in str(error.value)


def test_without_a_class_any_settings_may_be_given(folder: Path) -> None:
    body = "lr: {float: [0, 1]}\nmodel: {width: {int: [1, 9]}, act: relu}\nrequire: [model.width < 5]\n"
    space = load_space(write(folder, body, "free"), overrides=["model.act=gelu"])
    assert [each.path for each in space.parameters] == ["lr", "model.width"]
    with pytest.raises(HpsearchError, match="unknown setting 'atc' in model, did you mean 'act'"):
        load_space(write(folder, body, "free"), overrides=["model.atc=gelu"])


def test_the_schema_says_what_the_signature_and_the_docstring_say(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    told = CliRunner().invoke(app, ["schema", "./train.py:train"])
    fields: dict[str, Any] = json.loads(told.output)["properties"]
    assert fields["lr"]["description"] == "The learning rate of Adam."
    assert {"type": "number"} in fields["lr"]["anyOf"]
    assert fields["kind"]["default"] == "a"
    assert fields["kind"]["anyOf"][0]["enum"] == ["a", "b"]
    section = next(form for form in fields["net"]["anyOf"] if "properties" in form)
    assert section["properties"].keys() == {"width", "act"}


def test_a_function_of_a_package_may_import_its_neighbours(tmp_path: Path) -> None:
    package = tmp_path / "mine" / "inner"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").write_text("")
    (package.parent / "losses.py").write_text("HALF = 0.5\n")
    (package / "train.py").write_text("from ..losses import HALF\ndef train(lr: float = HALF, *, report): ...\n")
    (package / "space.yaml").write_text(HEAD.format(function="train"))
    assert load_space(package / "space.yaml").config({}).lr == 0.5  # type: ignore[attr-defined]
