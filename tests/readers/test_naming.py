"""What is read from names."""

import re
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


@pytest.mark.parametrize("name", ["1_0", "007", "1e5", "1.10", "-0", "+1", "nan", "None", "inf", "\u0663", "0x1f"])
def test_other_texts_are_names_and_stay_as_they_are(name: str) -> None:
    assert as_key(f" {name} ") == name


@given(st.integers())
def test_whole_numbers_are_exact_whatever_their_length(value: int) -> None:
    assert as_key(str(value)) == as_key(f"{value}.0") == as_key(value) == value


@given(st.lists(st.text("0123456789_.+-eE ", min_size=1), unique_by=str.strip))
def test_only_two_ways_to_write_a_whole_number_are_one_key(texts: list[str]) -> None:
    keys = {text.strip(): as_key(text) for text in texts if text.strip()}
    alike = {text for text in keys for other in keys if text != other and keys[text] == keys[other]}
    assert all(re.fullmatch(r"-?[0-9]+(\.0*)?", text) for text in alike)


def test_a_seed_that_was_noted_as_none_is_no_seed() -> None:
    assert unit_keys({"seed": "None", "train.random_state": "nan", "fold": "NA"}) == {}
    assert unit_keys({"seed": None, "model.seed": 3, "dataset": "NA"}) == {"seed": 3, "dataset": "NA"}


def test_digits_of_other_scripts_are_no_numbers_in_a_folders_name() -> None:
    assert parse_folder_name("seed_\u0663").units == {}
    assert parse_folder_name("lr_\u0661").params == {}
