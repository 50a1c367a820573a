"""From a command and a configuration to arguments and environment variables."""

import json

import pytest
import yaml

from hpsearch.families.command.settings import CommandConfig, arguments, environment, settings_text

GIVEN = {"trial_dir": "/t", "seed": "7", "checkpoint": "/t/last", "device": "cpu", "config": "/t/settings.json"}


def made(command, *, resuming=False, **sections):
    return arguments(CommandConfig.model_validate({"command": command, **sections}), GIVEN, resuming=resuming)


def test_values_stay_single_arguments_whatever_they_hold():
    text = "a b; rm -rf $HOME `x` \"'"
    assert made("prog --name {model.name} --n={n}", model={"name": text}, train={"n": 3}) == [
        "prog",
        "--name",
        text,
        "--n=3",
    ]


def test_values_are_written_as_json_but_for_text():
    values = {"flag": True, "sizes": [1, 2], "none": None, "rate": 1e-5}
    assert made(["p", "{flag}", "{sizes}", "{none}", "{rate}"], m=values) == ["p", "true", "[1, 2]", "null", "1e-05"]


def test_other_braces_are_the_programs():
    assert made(["p", '{"lr": {train.lr}}', "{{seed}}"], train={"lr": 2}) == ["p", '{"lr": 2}', "{seed}"]


@pytest.mark.parametrize(
    ("command", "resumed"),
    [
        ("p --resume {checkpoint} -v", ["p", "--resume", "/t/last", "-v"]),
        ("p --resume={checkpoint} -v", ["p", "--resume=/t/last", "-v"]),
        ("p {checkpoint} -v", ["p", "/t/last", "-v"]),
    ],
)
def test_the_checkpoint_is_named_only_when_it_is_there(command, resumed):
    assert made(command, resuming=True) == resumed
    assert made(command) == ["p", "-v"]


def test_a_path_wins_over_a_short_name_and_ambiguous_ones_are_unknown():
    assert made("p {a.n} {b.n}", a={"n": 1}, b={"n": 2}) == ["p", "1", "2"]
    with pytest.raises(KeyError):
        made("p {n}", a={"n": 1}, b={"n": 2})


def test_the_environment_tells_the_program_where_it_is():
    config = CommandConfig.model_validate({"command": "p", "environment": {"RATE": "x{lr}"}, "train": {"lr": 2}})
    found = environment(config, GIVEN)
    assert (found["HPSEARCH_SEED"], found["HPSEARCH_TRIAL_DIR"], found["RATE"]) == ("7", "/t", "x2")


def test_empty_text_is_left_out_where_it_is_an_argument_by_itself():
    """A switch that is on or not; an option keeps the empty text that is its value."""
    command = ["p", "{switch}", "{other}", "--name", "{name}", "--tag={name}"]
    assert made(command, m={"switch": "", "other": "--on", "name": ""}) == ["p", "--on", "--name", "", "--tag="]


def test_the_file_of_settings_is_yaml_too():
    """YAML 1.1, which PyYAML reads, takes 1e-05 for text."""
    own = {"train": {"lr": 1e-05, "big": 1e22, "note": '1e-05 and 2e3"', "n": 3}, "list": [1e-7, 0.5]}
    assert yaml.safe_load(settings_text(own)) == json.loads(settings_text(own)) == own
