"""`lr-find`, `overfit` and `batch-size` from a space file, and what they say to wrong input."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from hpsearch.api.probe import _switched_off, first_params
from hpsearch.cli import app
from hpsearch.errors import HpsearchError, SpaceError
from tests.toy_spaces import toy_space, write_space

FAST = "start: [{train.learning_rate: 0.1, model.width: 3}]"


def call(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(result.exception, HpsearchError):
        raise result.exception
    return result.exit_code, result.output


def test_without_params_the_first_start_entry_is_taken(tmp_path: Path) -> None:
    space = toy_space(tmp_path, more=FAST)
    params = first_params(space)
    assert (params["train.learning_rate"], params["model.width"]) == (0.1, 3)
    assert space.check_params(params) == []
    assert first_params(space) == params


def test_a_range_test_prints_a_table_and_draws_a_picture(tmp_path: Path) -> None:
    picture = tmp_path / "rates.png"
    status, out = call("lr-find", write_space(tmp_path, more=FAST), "--num-iter", 40, "--plot", picture)
    assert status == 0
    assert "steepest descent: train.learning_rate=" in out
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_exit_status_says_whether_a_batch_was_learned(tmp_path: Path) -> None:
    space = write_space(tmp_path, more=FAST)
    status, out = call("overfit", space, "--target", 0.1)
    assert status == 0
    assert "pass: the loss of one batch went from" in out
    status, out = call("overfit", space, "--steps", 1)
    assert status == 1
    assert "fail: " in out


@pytest.mark.slow
def test_the_batch_sizes_that_fit_are_told(tmp_path: Path) -> None:
    space = write_space(tmp_path, data="data: {size: 20}", more=FAST)
    status, out = call("batch-size", space)
    assert status == 0
    assert [line.split()[0] for line in out.splitlines() if line[:10].strip().isdigit()] == ["2", "4", "8", "16"]
    assert "ended at the 20 training examples that there are" in out
    assert "largest that fits: train.batch_size=16" in out
    assert "fastest: train.batch_size=" in out
    assert "ended at --most 5; the memory suffices" in call("batch-size", space, "--most", 5)[1]


def test_a_model_that_is_too_large_alone_is_told(tmp_path: Path) -> None:
    with pytest.raises(HpsearchError, match="not suffice for the model alone"):
        call("batch-size", write_space(tmp_path, data="data: {trouble: memory}", more=FAST))


def test_wrong_input_is_told_with_its_place(tmp_path: Path) -> None:
    space, file = write_space(tmp_path), tmp_path / "params.yaml"
    file.write_text("model.wdth: 3\n", encoding="utf-8")
    for command in ("lr-find", "overfit", "batch-size"):
        with pytest.raises(SpaceError, match=r"params\.yaml:1:1: params: model\.wdth is not a range"):
            call(command, space, "--params", file)
        with pytest.raises(HpsearchError, match="no experiment"):
            call(command, space, "--params", "best", "--from", tmp_path / "nothing")
    with pytest.raises(HpsearchError, match="range test needs"):
        call("lr-find", space, "--start-lr", 2)


def test_what_hinders_learning_by_heart_is_switched_off() -> None:
    config = {
        "data": {"noise_std": 0.5},
        "model": {"dropout": 0.1, "attention_dropout": 0.2, "width": 4},
        "augmentation": {"max_shift": 5},
        "train": {"weight_decay": 0.1, "learning_rate": 0.1},
    }
    assert _switched_off(config) == {
        "data": {"noise_std": 0.5},
        "model": {"dropout": 0.0, "attention_dropout": 0.0, "width": 4},
        "augmentation": {"max_shift": 0},
        "train": {"weight_decay": 0.0, "learning_rate": 0.1},
    }
