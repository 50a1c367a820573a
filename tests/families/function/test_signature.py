"""A function's signature says which settings it has, of which types; its arguments are made from checked values."""

import dataclasses
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ValidationError

from hpsearch.errors import HpsearchError
from hpsearch.families.function.signature import Configuration, signature_of


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Net:
    """A network.

    Attributes:
        width: How wide it is.
    """

    width: int
    depth: int = 2
    rates: list[float] = dataclasses.field(default_factory=lambda: [0.1])


class Optimizer(BaseModel):
    lr: float = 0.1
    nesterov: bool = False


def called(function: Callable[..., Any], values: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments that a function gets for values, which travel as JSON to the worker."""
    signature = signature_of(function, "f")
    travelled = signature.Config.model_validate(values).model_dump(mode="json")
    return signature.arguments(signature.Config.model_validate(travelled), "REPORT")


def test_annotations_and_defaults_give_types() -> None:
    def train(
        lr: float,
        report: Any,
        width=8,
        *,
        act: Literal["relu", "gelu"] = "relu",
        colour: Colour = Colour.RED,
        path: Path | None = None,
        steps: list[int] = [1],  # noqa: B006
    ) -> None: ...

    places, named = called(train, {"lr": 1, "colour": "blue", "path": "x", "steps": [2, 3]})
    wanted = {"lr": 1.0, "width": 8, "act": "relu", "colour": Colour.BLUE, "path": Path("x"), "steps": [2, 3]}
    assert places == []
    assert named == {**wanted, "report": "REPORT"}
    for wrong in (
        {"lr": "fast"},
        {"lr": 1, "width": 8.5},
        {"lr": 1, "act": "tanh"},
        {"lr": True},
        {"lr": 1, "x": 1},
        {},
    ):
        with pytest.raises(ValidationError):
            called(train, wrong)


def test_a_default_of_0_or_1_may_be_either_kind_of_number() -> None:
    def train(momentum=0, layers=1, width=8, *, report) -> None: ...

    found = called(train, {"momentum": 0.9, "layers": 2})[1]
    assert (found["momentum"], found["layers"], type(found["layers"])) == (0.9, 2, int)
    assert type(called(train, {})[1]["momentum"]) is int
    for wrong in ({"momentum": "x"}, {"momentum": True}, {"width": 8.5}):
        with pytest.raises(ValidationError):
            called(train, wrong)


def test_sections_become_what_the_annotation_says() -> None:
    def train(net: Net, opt: Optimizer, plain: dict[str, int], free, maybe: Net | None = None, *, report) -> None: ...

    _, named = called(
        train,
        {"net": {"width": 3}, "opt": {"lr": 1}, "plain": {"a": 1}, "free": {"b": {"c": 2}}, "maybe": {"width": 4}},
    )
    assert named["net"] == Net(3, 2, [0.1])
    assert named["maybe"] == Net(4)
    assert named["opt"] == Optimizer(lr=1)
    assert type(named["plain"]) is dict
    assert (named["free"].b.c, named["free"]["b"]["c"]) == (2, 2)


@pytest.mark.parametrize("kind", [Net, Optimizer])
def test_a_config_may_be_a_class_of_the_users(kind: type) -> None:
    def train(config, report) -> None: ...

    train.__annotations__["config"] = kind
    values = {"width": 7} if kind is Net else {"lr": 0.5}
    _, named = called(train, values)
    assert isinstance(named["config"], kind)
    assert {name: getattr(named["config"], name) for name in values} == values
    with pytest.raises(ValidationError):
        called(train, {"width": "wide", "lr": "fast"})


def test_a_config_without_a_class_holds_what_the_space_has() -> None:
    def train(config, report) -> None: ...

    _, named = called(train, {"lr": 0.1, "model": {"width": 3}})
    config = named["config"]
    assert (config.lr, config["model"].width, {**config.model}) == (0.1, 3, {"width": 3})
    assert config.to_dict() == {"lr": 0.1, "model": {"width": 3}}
    assert isinstance(config, Configuration)
    with pytest.raises(AttributeError, match="the configuration has no rate; it has lr, model"):
        _ = config.rate


def test_a_default_that_no_file_can_hold_stays_the_functions_own() -> None:
    def train(lr: float, layer=print, *, report, **more) -> None: ...

    _, named = called(train, {"lr": 1, "other": {"a": 1}})
    assert named.keys() == {"lr", "report", "other"}


async def later(config: Any, report: Any) -> None: ...


def yielding(config: Any, report: Any) -> Any:
    yield 1


def without_report(lr: float) -> None: ...


def listed(*values: Any, report: Any) -> None: ...


def live(lr: float, loader: Callable[[], int] | Net, stream: "Missing", report: Any) -> None: ...  # type: ignore[name-defined] # noqa: F821


class Loader:
    """Nothing that a file can hold."""


def with_loader(loader: Loader, report: Any) -> None: ...


def with_text(config: str, report: Any) -> None: ...


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (without_report, r"takes no report: write def without_report\(config, report\)"),
        (later, "is async; write a plain function"),
        (yielding, "is a generator: it would not run"),
        (listed, r"takes \*arguments"),
        (live, "annotations cannot be read: NameError"),
        (with_loader, "no space can give the parameter loader a .*Loader.*; make it inside the function"),
        (with_text, "config is a .*str.*; it may be a dataclass or a pydantic model"),
    ],
)
def test_what_cannot_be_called_is_refused(function: Callable[..., Any], words: str) -> None:
    with pytest.raises(HpsearchError, match=words):
        signature_of(function, "./train.py:train")
