"""What other tools write is met with what is written here, which is then read as the range that they mean."""

import warnings
from pathlib import Path
from typing import Any

import pytest

import hpsearch
from hpsearch.errors import SpaceError, nearest
from hpsearch.running.loading import load_space
from hpsearch.space.elsewhere import help_for
from hpsearch.space.located_yaml import Place, parse
from hpsearch.space.ranges import read_range

RIGHT = {
    "W&B's list": ({"values": [16, 32]}, "{choice: [16, 32]}"),
    "W&B's bounds": ({"min": 0.1, "max": 0.5}, "{float: [0.1, 0.5]}"),
    "W&B's whole numbers": ({"min": 1, "max": 8}, "{int: [1, 8]}"),
    "W&B's log scale": ({"distribution": "log_uniform_values", "min": 1e-4, "max": 0.1}, "{log: [0.0001, 0.1]}"),
    "W&B's exponents": ({"distribution": "log_uniform", "min": -9.2103, "max": -2.3026}, "{log: [0.0001, 0.1]}"),
    "W&B's steps": ({"distribution": "q_uniform", "min": 0.0, "max": 1.0, "q": 0.1}, "{float: [0.0, 1.0], step: 0.1}"),
    "W&B's constant": ({"value": 3}, "3"),
    "Optuna's int": ({"suggest_int": [2, 6]}, "{int: [2, 6]}"),
    "Optuna's log": ({"suggest_float": [1e-5, 1e-1], "log": True}, "{log: [1e-05, 0.1]}"),
    "Optuna's old log": ({"loguniform": [1e-5, 1e-1]}, "{log: [1e-05, 0.1]}"),
    "Optuna's bounds": ({"low": 8, "high": 64, "step": 8}, "{int: [8, 64], step: 8}"),
    "Optuna's names": ({"categorical": ["a", "b"]}, "{choice: ['a', 'b']}"),
    "Ray's log": ("tune.loguniform(1e-4, 1e-1)", "{log: [0.0001, 0.1]}"),
    "Ray's randint": ("tune.randint(1, 9)", "{int: [1, 8]}"),
    "Ray's choice": ("tune.choice([1, 2])", "{choice: [1, 2]}"),
    "Ray's grid": ({"grid_search": [1, 2]}, "{choice: [1, 2]}"),
    "Hydra's choice": ("choice(adam, sgd)", "{choice: ['adam', 'sgd']}"),
    "Hydra's interval": ("interval(0.1, 0.9)", "{float: [0.1, 0.9]}"),
    "a list": ([1, 2], "{choice: [1, 2]}"),
    "W&B's steps that miss the end": ({"min": 0.0, "max": 1.0, "q": 0.3}, "{float: [0.0, 0.9], step: 0.3}"),
    "W&B's odds": ({"values": [1, 2], "probabilities": [0.9, 0.1]}, "{choice: [1, 2]}"),
    "Optuna's call": ("trial.suggest_float('lr', 1e-5, 1e-1, log=True)", "{log: [1e-05, 0.1]}"),
    "Optuna's whole numbers": ("trial.suggest_int('n', 2, 9, step=2)", "{int: [2, 8], step: 2}"),
    "Optuna's options": ("trial.suggest_categorical('opt', ['adam', 'sgd'])", "{choice: ['adam', 'sgd']}"),
    "Optuna's bounds and scale": ({"type": "float", "low": 1e-5, "high": 1e-1, "log": True}, "{log: [1e-05, 0.1]}"),
    "Ray's names": ("tune.uniform(lower=0.1, upper=0.2)", "{float: [0.1, 0.2]}"),
    "Hyperopt's exponents": ("hp.loguniform('lr', -9.2103, -2.3026)", "{log: [0.0001, 0.1]}"),
    "Hyperopt's choice": ("hp.choice('units', [16, 32])", "{choice: [16, 32]}"),
    "Hydra's tag": ("tag(log, interval(0.1, 0.9))", "{float: [0.1, 0.9]}"),
    "Hydra's truths": ("choice(true,false)", "{choice: [true, false]}"),
    "Hydra's sweep": ("0.1, 0.2,1e-3", "{choice: [0.1, 0.2, 0.001]}"),
    "Hydra's step": ("range(1, 10, step=2)", "{int: [1, 9], step: 2}"),
    "NNI's log": ({"_type": "loguniform", "_value": [1e-4, 0.1]}, "{log: [0.0001, 0.1]}"),
    "NNI's choice": ({"_type": "choice", "_value": [1, 2]}, "{choice: [1, 2]}"),
    "Ax's bounds": ({"type": "range", "bounds": [1e-4, 0.1], "log_scale": True}, "{log: [0.0001, 0.1]}"),
    "steps without number": ("tune.quniform(-1e308, 2.5, 1e-3)", "{float: [-1e+308, 2.5]}"),
    "Keras Tuner's scale": ({"low": 1e-4, "high": 0.1, "sampling": "LOG"}, "{log: [0.0001, 0.1]}"),
    "ours with W&B's step": ({"int": [16, 64], "q": 16}, "{int: [16, 64], step: 16}"),
    "bounds by name": ({"log": {"low": 1e-4, "high": 0.1}}, "{log: [0.0001, 0.1]}"),
    "bounds below a kind": ({"log_uniform": {"min": 1e-4, "max": 0.1}}, "{log: [0.0001, 0.1]}"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_another_tools_range_is_told_as_ours(name: str) -> None:
    given, written = RIGHT[name]
    assert help_for(given) == f"write {written}"
    read = parse(written, Place("x"))
    assert not read.mapping or read_range(read)


@pytest.mark.parametrize(
    "given",
    [
        3,
        None,
        "adam",
        {},
        [],
        {"min": 3, "max": 1},
        {"beta": 0.9},
        {"bounds": 3},
        {"low": 1},
        "f(x",
        "os.system('x')",
        "1",
        "a,b",
        "(1, 2)",
        "hp.loguniform('x', 900, 901)",
        "tag()",
        {"low": 0.1, "high": float("inf")},
        {"uniform": [1, 10**400]},
        {"distribution": "log_uniform", "min": -5, "max": 1000},
        "choice({[]: 1})",
        "log(low=1)",
        "x" * 10_000,
        "(" * 500,
    ],
)
def test_what_is_no_range_is_left_alone(given: Any) -> None:
    assert help_for(given) == ""


@pytest.mark.parametrize(
    "given", ["f('\\d+')", "x(1if 1 else 2)", "f(\0)", "lr(1_)", "choice(" + "-" * 5000 + "1)", "f(" + "(" * 5000]
)
def test_what_a_program_is_given_is_looked_at_in_silence(given: str) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert help_for(given) == ""
    assert said == []


def test_a_file_full_of_other_tools_names_is_met_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "family: char_lm\n"
        "objective: {metric: val/bits_per_char, goal: min}\n"
        "model: {layers: {values: [1, 2]}, n_heads: 4}\n"
        "train: {lr: {loguniform: [1e-4, 1e-2]}, optimizer: {values: [adam, sgd]}}\n",
        encoding="utf-8",
    )
    with pytest.raises(SpaceError) as raised:
        load_space(path)
    told = {problem.line: [each.help for each in raised.value.problems if each.line == problem.line]
            for problem in raised.value.problems}  # fmt: skip
    assert "did you mean 'minimize'?" in str(raised.value)
    assert told[3] == ["write {choice: [1, 2]}", "write heads: 4"]
    assert told[4] == ["write learning_rate: {log: [0.0001, 0.01]}", "write {choice: ['adam', 'sgd']}"]


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("lr", ["layers", "learning_rate"], "learning_rate"),
        ("ASHA", ["asha", "tpe"], "asha"),
        ("hidden_size", ["heads", "width"], "width"),
        ("widht", ["width"], "width"),
        ("zzz", ["width"], None),
    ],
)
def test_the_nearest_name(name: str, known: list[str], meant: str | None) -> None:
    assert nearest(name, known) == meant


def test_a_name_that_one_section_has_needs_no_path(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("family: char_lm\nobjective: {metric: val/bits_per_char}\n", encoding="utf-8")
    assert load_space(path, overrides=["learning_rate=0.5"]).resolved()["train"]["learning_rate"] == 0.5


PROGRAM = "family: command\nobjective: {metric: loss, goal: minimize}\ncommand: python x.py --lr {lr}%s\n"


def test_a_free_setting_that_looks_like_a_range_is_told(tmp_path: Path) -> None:
    """What is any value to a program's section may be meant as it stands: it is a note, and no mistake."""
    path = tmp_path / "x.yaml"
    path.write_text(
        PROGRAM % " {config}" + "model: {lr: 'tune.loguniform(1e-4, 1e-1)', units: [64, 64], x: {values: [1, 2]}}\n"
        "data: {mean: {value: 3}, crops: '1,2', who: choice}\n",
        encoding="utf-8",
    )
    (found,) = hpsearch.check(path)
    assert [note.partition(":")[0] for note in found.notes] == ["model.lr", "model.x"]
    assert found.notes[0].endswith("if a range is meant, write {log: [0.0001, 0.1]}")


def test_a_placeholder_for_another_tools_range_is_told_what_to_write(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(PROGRAM % "" + "model: {lr: {values: [1, 2]}}\n", encoding="utf-8")
    with pytest.raises(SpaceError) as raised:
        load_space(path)
    assert [(problem.line, problem.help) for problem in raised.value.problems] == [(4, "write {choice: [1, 2]}")]


def test_a_list_or_a_constant_in_the_place_of_one_value_is_told(tmp_path: Path) -> None:
    """A program may have lists, but its command has a place for one value here."""
    path = tmp_path / "x.yaml"
    path.write_text(PROGRAM % " {config}" + "model: {lr: [0.1, 0.2], units: [64, 64]}\n", encoding="utf-8")
    (found,) = hpsearch.check(path)
    assert [note.rpartition("write ")[2] for note in found.notes] == ["{choice: [0.1, 0.2]}"]
    path.write_text(PROGRAM % "" + "model: {lr: {value: 0.1}}\n", encoding="utf-8")
    with pytest.raises(SpaceError) as raised:
        load_space(path)
    assert [(problem.line, problem.help) for problem in raised.value.problems] == [(4, "write 0.1")]


def test_a_pattern_within_double_quotes_is_told_how_to_be_written(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(PROGRAM % "" + 'lr: 0.1\nmetrics: {pattern: "epoch (?P<step>\\d+)"}\n', encoding="utf-8")
    with pytest.raises(SpaceError) as raised:
        load_space(path)
    (problem,) = raised.value.problems
    assert problem.line == 5
    assert "'...'" in problem.help


def test_bounds_that_are_mixed_with_a_range_are_told(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "family: char_lm\nobjective: {metric: val/bits_per_char}\n"
        "train: {learning_rate: {low: 1e-4, high: 0.1, log: true}}\n",
        encoding="utf-8",
    )
    with pytest.raises(SpaceError) as raised:
        load_space(path)
    assert [problem.help for problem in raised.value.problems] == ["write {log: [0.0001, 0.1]}"]


def test_a_short_name_of_another_tool_is_met_with_ours(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("family: char_lm\nobjective: {metric: val/bits_per_char}\n", encoding="utf-8")
    with pytest.raises(SpaceError, match=r"did you mean 'train\.learning_rate'"):
        load_space(path, overrides=["lr=0.5"])


@pytest.mark.parametrize(
    ("range_", "right"),
    [
        ("log: [1e-1, 1e-5]", "write {log: [1e-05, 0.1]}"),
        ("int: [8, 2]", "write {int: [2, 8]}"),
        ("float: [1, 1]", ""),
        ("log: [1, 0]", ""),
    ],
)
def test_bounds_the_wrong_way_round_are_turned(range_: str, right: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(PROGRAM % "" + f"model: {{lr: {{{range_}}}}}\n", encoding="utf-8")
    with pytest.raises(SpaceError) as raised:
        load_space(path)
    assert [problem.help for problem in raised.value.problems] == [right]


def test_a_whole_sweep_of_another_tool_is_told_as_one(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text("program: fit.py\nmethod: bayes\nmetric: {name: loss}\nparameters: {lr: {min: 0, max: 1}}\n")
    with pytest.raises(SpaceError) as raised:
        load_space(path)
    (problem,) = raised.value.problems
    assert (problem.line, problem.message) == (4, "this is a sweep of W&B, not a space")
    assert "hpsearch init fit.py" in problem.help
