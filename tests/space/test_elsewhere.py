"""What other tools write is met with what is written here, which is then read as the range that they mean."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hpsearch.errors import SpaceError, nearest
from hpsearch.running.loading import load_space
from hpsearch.space.elsewhere import help_for

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
}


@pytest.mark.parametrize("name", RIGHT)
def test_another_tools_range_is_told_as_ours(name: str) -> None:
    given, written = RIGHT[name]
    assert help_for(given) == f"write {written}"
    read = yaml.safe_load(written)
    assert not isinstance(read, dict) or set(read) <= {"choice", "int", "float", "log", "step"}


@pytest.mark.parametrize(
    "given", [3, None, "adam", {}, [], {"min": 3, "max": 1}, {"beta": 0.9}, "f(x", "os.system('x')"]
)
def test_what_is_no_range_is_left_alone(given: Any) -> None:
    assert help_for(given) == ""


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
