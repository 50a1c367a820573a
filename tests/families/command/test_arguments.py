"""From a command and a configuration to arguments and environment variables."""

import pytest

from hpsearch.families.command.settings import CommandConfig, arguments, environment

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
