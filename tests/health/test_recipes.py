"""The recipes are the guides': what 000, 002 and 003 in guides.md change, from which value to which."""

from typing import Any

from hpsearch.health import Kind
from hpsearch.health.findings import advise
from tests.health.curves import CONFIG


def with_train(**train: Any) -> dict[str, Any]:
    return {**CONFIG, "train": {**CONFIG["train"], **train}}


def test_an_explosion() -> None:
    assert set(advise(Kind.EXPLODING_GRADIENTS, CONFIG)) >= {
        "train.learning_rate 0.0003 -> 0.0001",
        "train.clip_norm 1 -> 0.5",
        "model.width 256 -> 128",
    }


def test_over_fitting() -> None:
    assert advise(Kind.OVER_FITTING, CONFIG) == (
        "model.dropout 0.15 -> 0.2",
        "train.weight_decay 0.0001 -> 0.001",
        "augmentation.noise_std 0.01 -> 0.02",
        "augmentation.max_shift 5 -> 10",
        "train.early_stopping none -> {patience: 10}",
    )


def test_slowness() -> None:
    assert set(advise(Kind.SLOW_CONVERGENCE, CONFIG)) >= {
        "train.learning_rate 0.0003 -> 0.0005",
        "train.batch_size 16 -> 32",
        "model.layers 4 -> 3",
    }


def test_exhausted_memory() -> None:
    """The batch that counts stays as large: half of it, accumulated twice."""
    assert advise(Kind.OUT_OF_MEMORY, CONFIG) == (
        "train.batch_size 16 -> 8",
        "train.accumulate 1 -> 2",
        "model.width 256 -> 128",
    )
    assert "train.precision fp32 -> bf16" in advise(Kind.OUT_OF_MEMORY, with_train(device="cuda:0"))


def test_a_stall() -> None:
    """Seed 003: from 1e-4 to 5e-4, behind a warm-up."""
    assert advise(Kind.STAGNATION, with_train(learning_rate=1e-4)) == (
        "train.learning_rate 0.0001 -> 0.0005",
        "train.warmup {steps: 0} -> {fraction: 0.05}",
        "train.schedule constant -> adaptive",
    )
    assert not any("schedule" in line for line in advise(Kind.STAGNATION, {"train": {"learning_rate": 1e-4}}))


def test_advice_begins_where_there_is_nothing_yet() -> None:
    none = {"model": {"dropout": 0.0}, "train": {"weight_decay": 0.0, "clip_norm": None}}
    assert advise(Kind.OVER_FITTING, none) == ("model.dropout 0 -> 0.1", "train.weight_decay 0 -> 0.0001")
    assert advise(Kind.EXPLODING_GRADIENTS, none) == ("train.clip_norm none -> 1",)


def test_advice_names_only_settings_that_there_are_and_none_of_the_data() -> None:
    assert advise(Kind.EXPLODING_GRADIENTS, {}) == ()
    assert advise(Kind.SLOW_CONVERGENCE, {"data": {"batch_size": 8}, "params": {"lr": 0.01}}) == (
        "params.lr 0.01 -> 0.02",
    )


def test_advice_stays_within_reason() -> None:
    assert advise(Kind.EXPLODING_GRADIENTS, {"model": {"width": 24, "heads": 8}}) == ()  # 12 is no multiple of 8
    assert advise(Kind.OUT_OF_MEMORY, {"train": {"batch_size": 1}}) == ()
    assert advise(Kind.SLOW_CONVERGENCE, {"model": {"layers": 1}}) == ()
    assert advise(Kind.OVER_FITTING, {"model": {"dropout": 0.8}, "train": {"weight_decay": 0.1}}) == ()


def test_a_longer_training_is_proposed_in_its_own_unit() -> None:
    config = {"train": {"steps": 2000, "evaluate": {"epochs": None, "steps": 250}, "warmup": {"steps": 100}}}
    assert advise(Kind.SLOW_CONVERGENCE, config) == ("train.steps 2000 -> 4000",)
    config = {"train": {"epochs": 20, "evaluate": {"epochs": 1, "steps": None}}}
    assert advise(Kind.SLOW_CONVERGENCE, config) == ("train.epochs 20 -> 40",)
