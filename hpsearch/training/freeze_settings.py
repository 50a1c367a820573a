"""The freezing plans of `train.freeze`: which parts of the model train in which epochs. Free of torch.

A part is named by the beginning of its parameters' names, up to a dot: `embedding`, `blocks.0`, `head.weight`.
"""

from typing import Annotated, Literal

from pydantic import Field

from hpsearch.settings import UNFOLD, Option


class NoFreeze(Option):
    """Everything trains from the start."""

    kind: Literal["none"] = "none"


class _Plan(Option):
    rate_after: float = Field(default=1.0, gt=0)
    """Factor on the learning rate from the epoch on in which the last part joins in."""
    eval_mode: bool = False
    """Whether frozen parts are in eval mode: no dropout, and batch normalisation by its running statistics."""


class FreezeParts(_Plan):
    """The named parts do not train in the first `epochs` epochs; without a number never."""

    kind: Literal["parts"] = "parts"
    names: tuple[str, ...] = Field(min_length=1)
    epochs: int | None = Field(default=None, ge=1)


class FreezeAllBut(_Plan):
    """Only the named parts, such as a new head, train in the first `epochs` epochs; without a number always."""

    kind: Literal["all_but"] = "all_but"
    names: tuple[str, ...] = Field(min_length=1)
    epochs: int | None = Field(default=None, ge=1)


class Gradual(_Plan):
    """The first named part trains from the start, another joins in every `every` epochs (ULMFiT, 2018).

    The names go from the top of the model to its bottom; what none of them names joins in after the last.
    """

    kind: Literal["gradual"] = "gradual"
    names: tuple[str, ...] = Field(min_length=1)
    every: int = Field(default=1, ge=1)


Freeze = Annotated[NoFreeze | FreezeParts | FreezeAllBut | Gradual, Field(discriminator="kind"), UNFOLD]
