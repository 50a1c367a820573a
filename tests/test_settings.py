"""Settings refuse what is surely a mistake, and branches keep a family's own defaults."""

from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from hpsearch.settings import FIXED, UNFOLD, Option, Settings, fixed_settings


class AdamW(Option):
    kind: Literal["adamw"] = "adamw"
    beta2: float = 0.999
    epsilon: float = 1e-8


class SGD(Option):
    kind: Literal["sgd"] = "sgd"
    momentum: float = 0.9


class Train(Settings):
    epochs: int = 3
    shuffle: bool = True
    optimizer: Annotated[AdamW | SGD, Field(discriminator="kind"), UNFOLD] = AdamW(beta2=0.99)


@pytest.mark.parametrize("written", ["adamw", {"adamw": {}}, {"adamw": None}, {"kind": "adamw"}])
def test_naming_the_default_option_keeps_the_default_settings(written: object) -> None:
    assert Train(optimizer=written).optimizer == AdamW(beta2=0.99)  # type: ignore[arg-type]


def test_an_option_is_written_by_its_name() -> None:
    assert Train(optimizer={"adamw": {"epsilon": 1e-6}}).optimizer == AdamW(beta2=0.99, epsilon=1e-6)  # type: ignore[arg-type]
    assert Train(optimizer={"sgd": {"momentum": 0.5}}).optimizer == SGD(momentum=0.5)  # type: ignore[arg-type]
    assert Train(optimizer="sgd").optimizer == SGD()  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="sdg"):
        Train(optimizer="sdg")  # type: ignore[arg-type]


def test_a_dump_is_read_back_as_it_was() -> None:
    for optimizer in (AdamW(), AdamW(beta2=0.5), SGD()):
        settings = Train(optimizer=optimizer)
        assert Train.model_validate(settings.model_dump(mode="json")) == settings


def test_true_is_no_number_and_unknown_names_are_refused() -> None:
    with pytest.raises(ValidationError, match="epochs"):
        Train(epochs=True)
    assert Train(shuffle=False).shuffle is False
    with pytest.raises(ValidationError, match="epoch"):
        Train(epoch=3)  # type: ignore[call-arg]


def test_a_mark_outlives_a_changed_default() -> None:
    class Base(Settings):
        epochs: Annotated[int, FIXED] = Field(default=3, ge=1)
        rate: float = 0.1
        optimizer: Annotated[AdamW | SGD, Field(discriminator="kind"), UNFOLD, FIXED] = AdamW()

    class Own(Base):
        epochs: int = 20
        dropout: Annotated[float, FIXED] = 0.0

    assert fixed_settings(Base) == {"epochs", "optimizer"}
    assert fixed_settings(Own) == {"epochs", "optimizer", "dropout"}
