"""Space files over programs: what is read, and what is refused with its place."""

import pytest

from hpsearch.errors import HpsearchError, SpaceError
from hpsearch.families.loading import load_family, load_interface
from hpsearch.running.loading import load_space
from hpsearch.space import json_schema
from tests.families.command.programs import python_space, shell_space

HEAD = "family: command\nobjective: {metric: loss, goal: minimize}\n"


def refused(folder, text):
    path = folder / "x.yaml"
    path.write_text(HEAD + text)
    with pytest.raises(SpaceError) as caught:
        load_space(path)
    return [(problem.line, problem.message) for problem in caught.value.problems]


def test_free_sections_may_hold_ranges_anywhere(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(HEAD + "command: prog {lr} {a.b.c}\ntrain: {lr: {log: [1e-4, 1]}}\na: {b: {c: {choice: [x, y]}}}\n")
    space = load_space(path, overrides=["a.b.c=z"])
    assert [parameter.path for parameter in space.parameters] == ["train.lr"]
    assert space.configuration({"train.lr": 0.1})["a"] == {"b": {"c": "z"}}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("command: prog {train.lrr}\ntrain: {lr: 1}\n", 3, "unknown placeholder {train.lrr}, did you mean 'train.lr'?"),
        ("command: prog\ntrain: {lr: {float: [0, 1]}}\n", 4, "train.lr: the command does not use it"),
        ("command: 'prog \"open'\n", 3, "cannot be split"),
        ("command: prog\nmetrics: {pattern: '(?P<loss'}\n", 4, "not a regular expression"),
        ("command: prog\nmetrics: {pattern: 'loss'}\n", 4, "name the metrics by groups"),
        ("command: prog\nmetrics: {stdout: json, file: x}\n", 4, "exactly one of stdout, file and pattern"),
        ("metrics: {stdout: json}\n", 1, "command"),
        ("command: prog {lr}\ntrain: {lr: {float: [0, 1], mutable: true}}\n", 4, "cannot be mutable"),
        ("command: prog {lr}\ntrain: {lr: {float: [1, 0]}}\n", 4, "is not below"),
        ("command: prog {lr}\ntrain: {lr: {choice: [1, .inf]}}\n", 4, "train.lr: inf is not a finite number"),
        ("command: prog {lr}\ntrain:\n  lr:\n  - 1\n  - {a: -.inf}\n", 7, "train.lr.1.a: -inf is not a finite"),
        ("command: prog {lr}\ntrain: {lr: .nan}\n", 4, "train.lr: nan is not a finite number; for a program"),
        ("command: prog {lr}\ntrain: {lr: 1}\nrequire: [train.rate < 2]\n", 5, "unknown setting 'rate'"),
    ],
)
def test_mistakes_have_their_place(text, line, words, tmp_path):
    [(found, message)] = refused(tmp_path, text)
    assert words in message
    assert found == line


@pytest.mark.parametrize(
    ("command", "program", "reads"),
    [
        ("python3 train.py", "import os\nconfig = os.environ['HPSEARCH_CONFIG']\n", True),
        ("python3 train.py", "import sys\n", False),
        ("python3 elsewhere.py", "HPSEARCH_CONFIG", False),
        ("sh -c 'cat $HPSEARCH_CONFIG'", "", True),
        ("python3 train.py {config}", "", True),
    ],
)
def test_the_file_of_all_settings_uses_every_setting(command, program, reads, tmp_path):
    (tmp_path / "train.py").write_text(program)
    text = f'command: "{command}"\ntrain: {{lr: {{float: [0, 1]}}}}\n'
    if reads:
        (tmp_path / "x.yaml").write_text(HEAD + text)
        assert [parameter.path for parameter in load_space(tmp_path / "x.yaml").parameters] == ["train.lr"]
    else:
        [(_, message)] = refused(tmp_path, text)
        assert "train.lr: the command does not use it" in message
        assert "HPSEARCH_CONFIG" in message


def test_a_setting_that_came_later_does_not_part_a_search_from_its_older_trials(tmp_path):
    dumped = python_space(tmp_path).config({"train.lr": 0.5}).model_dump(mode="json")
    assert dumped["metrics"].keys() == {"stdout", "file", "pattern", "step"}
    wanted = python_space(tmp_path, "metrics.stderr=true").config({"train.lr": 0.5}).model_dump(mode="json")
    assert wanted["metrics"]["stderr"] is True


def test_overrides_know_the_names_of_the_file(tmp_path):
    with pytest.raises(SpaceError, match=r"unknown setting 'lrr' in train, did you mean 'lr'\?"):
        python_space(tmp_path, "train.lrr=1")


def test_a_search_on_test_metrics_is_refused(tmp_path):
    with pytest.raises(SpaceError, match="read only by confirm"):
        shell_space(tmp_path, "objective.metric=test/loss")


def test_requirements_look_into_free_sections(tmp_path):
    space = python_space(tmp_path, "require=[train.lr < 0.5]")
    assert space.violation({"train.lr": 0.6}) == "train.lr < 0.5"
    assert space.violation({"train.lr": 0.4}) is None


def test_the_schema_allows_other_sections():
    schema = json_schema(load_interface("command", None), "command")
    assert schema["additionalProperties"] is True
    assert "command" in schema["properties"]
    assert schema["properties"]["objective"]["properties"]["metric"]["not"] == {"pattern": "^test/"}


def test_it_has_no_model_to_train(tmp_path):
    with pytest.raises(HpsearchError, match="runs programs"):
        load_family("command", tmp_path)
