"""A toy family: every kind of field that a configuration can have, and nothing to train."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, Field, model_validator

from hpsearch.errors import UnknownNameError
from hpsearch.records import Goal
from hpsearch.settings import FIXED, UNFOLD, Option, Settings
from hpsearch.space import Space, read_space


class Learned(Option):
    """A learned table."""

    kind: Literal["learned"] = "learned"


class Rope(Option):
    """Rotations (Su et al. 2021)."""

    kind: Literal["rope"] = "rope"
    base: float = Field(default=1e4, gt=0)
    partial: float = Field(default=1.0, gt=0, le=1)


class Gate(Option):
    kind: Literal["gate"] = "gate"
    bias: float = 0.0


class Mixture(Option):
    kind: Literal["mixture"] = "mixture"
    experts: int = Field(default=4, ge=2)
    router: Annotated[Gate | Learned, Field(discriminator="kind"), UNFOLD] = Gate()


class Dense(Option):
    kind: Literal["dense"] = "dense"


class Stopping(Settings):
    patience: int = Field(default=5, ge=1)


class Layer(Settings):
    width: int = Field(default=8, ge=1)


class Data(Settings):
    corpus: str
    size: int = Field(default=100, ge=1)
    shuffle: bool = True


class Model(Settings):
    """The network."""

    layers: int = Field(default=2, ge=1, le=12)
    width: int = Field(default=128, ge=1)
    heads: int = Field(default=4, ge=1)
    """How many attention heads."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    sizes: list[int] = Field(default_factory=lambda: [3, 3])
    stack: list[Layer] = Field(default_factory=list)
    note: Any = None
    activation: Literal["relu", "gelu"] = "relu"
    position: Annotated[Learned | Rope, Field(discriminator="kind"), UNFOLD] = Learned()
    feed: Annotated[Dense | Mixture, Field(discriminator="kind"), UNFOLD] = Dense()

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "Model":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class Train(Settings):
    epochs: int = Field(default=10, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    clip: float | None = Field(default=None, gt=0)
    stopping: Stopping | None = None


class Config(Settings):
    data: Annotated[Data, FIXED]
    model: Model = Model()
    train: Train = Train()


class Toy:
    Config: ClassVar[type[BaseModel]] = Config
    metrics: ClassVar[Mapping[str, Goal]] = {"loss": Goal.MINIMIZE, "accuracy": Goal.MAXIMIZE}

    def objections(self, configuration: Mapping[str, Any]) -> Mapping[str, str]:
        return {}


HEAD = "family: toy\nobjective: {metric: val/loss}\n"
DATA = "data: {corpus: tiny}\n"


def random_numbers(seed: int = 0) -> random.Random:
    return random.Random(seed)  # no secret


def resolve(name: str, path: Path) -> Toy:
    if name != "toy":
        raise UnknownNameError("family", name, ["toy", "char_lm"])
    return Toy()


def read(folder: Path, text: str, **options: Any) -> Space:
    path = folder / "x.yaml"
    path.write_text(text, encoding="utf-8")
    return read_space(path, resolve, **options)
