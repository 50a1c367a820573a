"""What is read from names."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.readers import Wanted, last_word
from hpsearch.readers.naming import as_key, parse_folder_name, unit_keys


@pytest.mark.parametrize(
    ("name", "rest", "units", "params"),
    [
        ("lr_0.001_dim_256", "lr_0.001_dim_256", {}, {"lr": 0.001, "dim": 256}),
        ("lr_0.001_dim_256_seed_3", "lr_0.001_dim_256", {"seed": 3}, {"lr": 0.001, "dim": 256}),
        ("lr=1e-3,seed=0", "lr=1e-3", {"seed": 0}, {"lr": 1e-3}),
        ("baseline-seed1-fold2", "baseline", {"seed": 1, "fold": 2}, {}),
        ("seed_7", "", {"seed": 7}, {}),
        ("transformer", "transformer", {}, {}),
    ],
)
def test_a_folders_name_is_taken_apart(name: str, rest: str, units: dict[str, int], params: dict[str, float]) -> None:
    parsed = parse_folder_name(name)
    assert (parsed.rest, parsed.units, parsed.params) == (rest, units, params)


@given(st.text(max_size=40))
def test_no_name_is_too_strange(name: str) -> None:
    parsed = parse_folder_name(name)
    assert set(parsed.units) <= {"seed", "fold", "repeat"}


def test_units_among_parameters_are_found_wherever_they_stand() -> None:
    assert unit_keys({"train.seed": 5, "lr": 0.1}) == {"seed": 5}
    assert unit_keys({"seed": 1, "data.seed": 2}) == {"seed": 1}
    assert unit_keys({"Dataset": "iris", "cv_fold": "3"}) == {"dataset": "iris", "fold": 3}


@pytest.mark.parametrize(
    ("value", "key"), [(3, 3), (3.0, 3), ("3", 3), ("iris", "iris"), (0.5, "0.5"), (None, None), (True, None)]
)
def test_equal_seeds_are_equal_however_they_were_written(value: Any, key: Any) -> None:
    assert as_key(value) == key


@pytest.mark.parametrize("name", ["val/loss", "val_loss", "test.loss", "loss", "eval_loss", "Loss/val_loss"])
def test_a_metric_is_the_same_on_every_split(name: str) -> None:
    assert last_word(name) == "loss"


def test_histories_are_wanted_of_the_same_metric() -> None:
    assert "val/accuracy" in Wanted("test/accuracy")
    assert "val/loss" not in Wanted("test/accuracy")
    assert "anything" in Wanted()
