import contextlib
import os

import pytest
import torch

from hpsearch.training.random_state import (
    capture_random_state,
    deterministic_algorithms,
    kept_random_state,
    restore_random_state,
    seed_everything,
)
from tests.training.toy import draw

CPU = torch.device("cpu")


def test_captured_and_restored_it_draws_the_same():
    seed_everything(3)
    draw()
    state = capture_random_state(CPU)
    first = [draw() for _ in range(3)]
    seed_everything(99)
    restore_random_state(state, CPU)
    assert [draw() for _ in range(3)] == first


def test_seeding_decides_every_generator():
    seed_everything(3)
    first = draw()
    seed_everything(3)
    assert draw() == first
    seed_everything(4)
    assert all(one != other for one, other in zip(draw(), first, strict=True))


def test_kept_even_when_the_block_fails():
    seed_everything(3)
    expected = draw()
    seed_everything(3)
    with contextlib.suppress(KeyError), kept_random_state(CPU):
        draw()
        raise KeyError
    assert draw() == expected


@pytest.mark.parametrize("enabled", [True, False])
def test_a_deterministic_block_puts_back_what_was_there(enabled, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    torch.use_deterministic_algorithms(True)
    try:
        with deterministic_algorithms(enabled=enabled):
            assert torch.are_deterministic_algorithms_enabled() is enabled
            assert torch.backends.cudnn.deterministic is enabled
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"
    finally:
        torch.use_deterministic_algorithms(False)


def test_the_workspace_setting_is_there_only_meanwhile(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    with deterministic_algorithms(enabled=True):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
