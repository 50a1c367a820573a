"""What is wrong with a space file is said with its line and column, in one go."""

import re
from pathlib import Path

import pytest

from hpsearch.errors import SpaceError
from tests.space.toy import DATA, HEAD, read

MALFORMED = Path(__file__).with_name("malformed.txt")


def problems_of(folder, text, **options):
    with pytest.raises(SpaceError) as caught:
        read(folder, text, **options)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def cases():
    for case in re.split(r"^=== ", MALFORMED.read_text(), flags=re.MULTILINE)[1:]:
        name, _, rest = case.partition("\n")
        text, _, expected = rest.partition("---\n")
        yield pytest.param(text, expected.split("\n"), id=name)


@pytest.mark.parametrize(("text", "expected"), list(cases()))
def test_malformed_spaces(tmp_path, text, expected):
    assert problems_of(tmp_path, text) == [line for line in expected if line]


def test_a_space_that_no_configuration_fulfils_blames_the_requirement(tmp_path):
    text = HEAD + DATA + "model: {layers: {int: [1, 4]}}\nrequire:\n  - model.layers > 0\n  - model.layers > 4\n"
    assert problems_of(tmp_path, text) == [
        "x.yaml:7:5: none of the 4 configurations is feasible; 4 break this: model.layers > 4"
    ]


def test_a_space_that_no_configuration_fulfils_blames_the_family(tmp_path):
    text = HEAD + DATA + "model: {dropout: {float: [0, 0.5]}, width: {choice: [65, 67]}}\n"
    (found,) = problems_of(tmp_path, text)
    assert found.startswith(
        "x.yaml:4:1: none of 10000 random configurations is feasible; 10000 break this: model: width 6"
    )


def test_a_rule_that_some_combinations_keep_is_no_mistake_of_the_file(tmp_path):
    space = read(tmp_path, HEAD + DATA + "model: {width: {choice: [65, 64]}, heads: {choice: [2, 4]}}\n")
    assert space.violation({"model.width": 65, "model.heads": 2}) == "model: width 65 is not a multiple of heads 2"
    assert space.violation({"model.width": 64, "model.heads": 2}) is None


def test_an_unknown_engine_is_told_together_with_the_other_mistakes(tmp_path):
    text = HEAD + DATA + "search: {engine: rya, trials: 0}\ntrain: {epoch: 3}\n"
    found = problems_of(tmp_path, text, engines=("local", "ray"))
    assert found[0] == "x.yaml:4:18: search.engine: unknown engine 'rya', did you mean 'ray'?; known: local, ray"
    assert [line.split(": ")[0] for line in found] == ["x.yaml:4:18", "x.yaml:4:31", "x.yaml:5:9"]


@pytest.mark.parametrize("name", ["local", "ray", "optuna"])
def test_an_engine_has_its_earlier_name_too(tmp_path, name):
    text = HEAD + DATA + f"search: {{engine: {name}}}\n"
    assert read(tmp_path, text, engines=("local", "ray")).search.engine in ("local", "ray")


def test_problems_of_an_override_name_the_override(tmp_path):
    found = problems_of(tmp_path, HEAD + DATA, overrides=["train.epoch=3", "train.epochs", "train.clip=[", "family=x"])
    assert found[0] == "--set family=x: 'family' cannot be replaced"
    assert found[1].startswith("--set train.clip=[: not valid YAML")
    assert found[2].startswith("--set train.epoch=3: unknown setting 'epoch' in train, did you mean 'epochs'?")
    assert found[3] == "--set train.epochs: expected a.b.c=VALUE"


def test_an_override_outside_the_limits(tmp_path):
    (found,) = problems_of(tmp_path, HEAD + DATA, overrides=["model.layers={int: [1, 99]}"])
    assert found.startswith("--set model.layers={int: [1, 99]}: model.layers: 99 is out of bounds")
