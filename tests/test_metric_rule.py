"""One rule for what a metric is, whoever tells it: a family's scores, a function's report, a program's print."""

import json
import math
import warnings
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hpsearch.families.command.printed import read_line
from hpsearch.families.command.settings import MetricSource
from hpsearch.families.function.report import Report
from hpsearch.records import metric_number
from hpsearch.training.scoring import evaluate_split

TINY = 2.0**-1074
VALUES: dict[str, tuple[Any, float | None]] = {
    "int": (3, 3.0),
    "beyond 2**63": (2**63 + 2**20, 2.0**63 + 2**20),
    "beyond floats": (10**400, math.inf),
    "far below": (-(10**400), -math.inf),
    "inf": (math.inf, math.inf),
    "nan": (math.nan, math.nan),
    "subnormal": (TINY, TINY),
    "decimal": (Decimal("0.1"), 0.1),
    "decimal nan": (Decimal("NaN"), math.nan),
    "signalling nan": (Decimal("sNaN"), None),
    "fraction": (Fraction(1, 3), 1 / 3),
    "numpy float": (np.float32(0.5), 0.5),
    "numpy int": (np.uint64(2**64 - 1), 2.0**64),
    "numpy bool": (np.True_, None),
    "numpy complex": (np.complex64(1 + 0j), None),
    "array of one": (np.array([[0.25]]), 0.25),
    "array of none": (np.array([]), None),
    "array of text": (np.array(["0.5"]), None),
    "tensor": (torch.tensor(0.5, requires_grad=True), 0.5),
    "tensor of one": (torch.tensor([[0.5]], dtype=torch.bfloat16), 0.5),
    "tensor of several": (torch.tensor([0.5, 0.5]), None),
    "boolean tensor": (torch.tensor(True), None),
    "complex tensor": (torch.tensor(1 + 0j), None),
    "true": (True, None),
    "none": (None, None),
    "text": ("good", None),
    "bytes": (b"0.5", None),
    "bytearray": (bytearray(b"0.5"), None),
    "complex": (1 + 0j, None),
    "list": ([0.5], None),
}
Told = Callable[[Mapping[str, Any]], Mapping[str, float]]


class _Scores:
    """A task that scores what it was given."""

    def __init__(self, scores: Mapping[str, Any]) -> None:
        self._scores = scores

    def evaluate(self, *_: object) -> Mapping[str, Any]:
        return self._scores


def of_a_family(metrics: Mapping[str, Any], *, needed: str = "") -> Mapping[str, float]:
    task: Any = _Scores(metrics)
    cpu = torch.device("cpu")
    splits: Any = {"val": [0]}
    return evaluate_split(task, splits, "val", nn.Linear(1, 1), batch_size=1, device=cpu, needed=needed)


def of_a_function(metrics: Mapping[str, Any], *, needed: str = "") -> Mapping[str, float]:
    told: list[Mapping[str, float]] = []

    def tell(_: float | None, numbers: Mapping[str, float], __: bool) -> bool:
        told.append(numbers)
        return True

    here = Path()
    report = Report(tell, checkpoint=here, folder=here, seed=0, split_seed=0, device="cpu", tests=True, metric=needed)
    report(1, metrics)
    return told[0]


def _same(found: float | None, expected: float | None) -> bool:
    return found == expected or (found is not None and expected is not None and math.isnan(found + expected))


@pytest.mark.parametrize("name", VALUES)
def test_the_rule(name: str) -> None:
    value, expected = VALUES[name]
    found = metric_number(value)
    assert _same(found, expected), found
    assert found is None or type(found) is float


@pytest.mark.parametrize("route", [of_a_family, of_a_function])
def test_it_holds_for_all_that_train_in_python(route: Told) -> None:
    given = {name: value for name, (value, _) in VALUES.items()}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = route(given)
    expected = {name: number for name, (_, number) in VALUES.items() if number is not None}
    assert found.keys() == expected.keys()
    assert all(_same(found[name], expected[name]) for name in expected)
    texts = [str(each.message) for each in said]
    assert len(texts) == len(VALUES) - len(expected)
    assert "true is left out of the metrics: it is no number but a bool" in texts
    assert "tensor of several is left out of the metrics: it is no number but a Tensor of shape (2,)" in texts


@pytest.mark.parametrize("route", [of_a_family, of_a_function])
@pytest.mark.parametrize("name", ["true", "text", "none", "tensor of several"])
def test_the_objective_has_to_be_a_number(name: str, route: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="the metric loss is not a number but a"):
        route({"loss": VALUES[name][0]}, needed="loss")


def test_it_holds_for_programs_which_print_text() -> None:
    plain = {name: value for name, (value, _) in VALUES.items() if isinstance(value, int | float | str | list | None)}
    found = read_line(json.dumps(plain), MetricSource(stdout="json"))
    assert found is not None
    expected = {name: VALUES[name][1] for name in plain if VALUES[name][1] is not None}
    assert found.metrics.keys() == expected.keys()
    assert all(_same(found.metrics[name], expected[name]) for name in expected)


def test_what_cannot_even_be_shown_is_said_too() -> None:
    class Mute:
        def __repr__(self) -> str:
            raise KeyError

    with pytest.raises(TypeError, match="the metric loss is not a number but a Mute"):
        of_a_function({"loss": Mute()}, needed="loss")
