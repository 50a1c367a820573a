"""Which range a name, a type and a default propose, and what is none to search."""

from typing import Any

import pytest

from hpsearch.drafting.ranges import Kind, Setting, propose

KINDS = {bool: Kind.SWITCH, int: Kind.INTEGER, float: Kind.NUMBER, str: Kind.TEXT, type(None): Kind.NUMBER}


def proposed(name: str, default: Any, **fields: Any) -> str:
    return propose(Setting(name, fields.pop("kind", KINDS[type(default)]), default, **fields)).text


@pytest.mark.parametrize(
    ("name", "default", "text"),
    [
        ("lr", 1e-3, "{log: [0.0001, 0.01]}"),
        ("learningRate", 0.02, "{log: [0.002, 0.2]}"),
        ("head_lr", 1e-4, "{log: [1e-05, 0.001]}"),
        ("weight_decay", 0.0, "{log: [1e-06, 0.01]}"),
        ("weight_decay", 0.1, "{log: [0.001, 1]}"),
        ("dropout", 0.0, "{float: [0, 0.5]}"),
        ("label_smoothing", 0.1, "{float: [0, 0.5]}"),
        ("momentum", 0.9, "{float: [0.6, 0.975]}"),
        ("beta2", 0.999, "{float: [0.996, 0.99975]}"),
        ("temperature", 3.0, "{log: [1, 9]}"),
        ("batch_size", 48, "{choice: [32, 48, 64, 128]}"),
        ("hidden-dim", 256, "{choice: [128, 256, 512]}"),
        ("num_layers", 1, "{int: [1, 3]}"),
        ("warmup_steps", 500, "{int: [250, 1000]}"),
        ("use_bias", True, "{choice: [false, true]}"),
    ],
)  # fmt: skip
def test_a_range_is_around_the_default(name: str, default: Any, text: str) -> None:
    assert proposed(name, default) == text


@pytest.mark.parametrize(
    ("name", "default"),
    [
        *[("seed", 3), ("epochs", 20), ("max_steps", 1000), ("data_dir", "data"), ("out", "runs"), ("num_workers", 4)],
        *[("device", "cuda"), ("log_interval", 10), ("eval_every", 50), ("port", 8000), ("amp", False)],
        *[("name", "x"), ("patience", 5), ("offset", 0), ("shift", 0.0), ("scale", None), ("note", "anything")],
    ],
)
def test_what_is_no_hyperparameter_stays_as_it_is(name: str, default: Any) -> None:
    found = propose(Setting(name, KINDS[type(default)], default))
    assert not found.searched
    assert found.why


def test_choices_bounds_and_what_has_to_be_given() -> None:
    assert proposed("act", "relu", kind=Kind.CHOICE, choices=["relu", "gelu", "no"]) == '{choice: [relu, gelu, "no"]}'
    assert proposed("act", "relu", kind=Kind.CHOICE, choices=["relu"]) == "relu"
    assert proposed("lr", 0.1, low=0.05, high=0.3) == "{log: [0.05, 0.3]}"
    assert proposed("lr", 0.1, low=0.2) != "{log: [0.01, 1]}"
    found = propose(Setting("lr", Kind.NUMBER, required=True))
    assert (found.text, found.why.startswith("ASSUMED"), found.keeps_default) == ("{log: [0.0001, 0.01]}", True, False)
    assert propose(Setting("file", Kind.TEXT, required=True)).text == "TODO"
