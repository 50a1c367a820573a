"""The optimizers of `train.optimizer`, and Lookahead around any of them. Free of torch.

Weight decay is decoupled from the gradient (Loshchilov and Hutter 2019), except where an optimizer says L2 penalty.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hpsearch.settings import UNFOLD, Option, Settings


class _Moments(Option):
    """An optimizer with Adam's running means of the gradient and of its square."""

    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0)


class AdamW(_Moments):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    kind: Literal["adamw"] = "adamw"


class Adam(_Moments):
    """Adam (Kingma and Ba 2015); its weight decay is an L2 penalty on the gradient."""

    kind: Literal["adam"] = "adam"


class RAdam(_Moments):
    """Adam whose first steps do without the second moment until it can be trusted (Liu et al. 2020)."""

    kind: Literal["radam"] = "radam"


class NAdam(_Moments):
    """Adam with Nesterov's look ahead along the momentum (Dozat 2016)."""

    kind: Literal["nadam"] = "nadam"


class AdaBelief(_Moments):
    """Adam that divides by the spread of the gradient around its mean (Zhuang et al. 2020)."""

    kind: Literal["adabelief"] = "adabelief"
    epsilon: float = Field(default=1e-16, gt=0)


class Adan(Option):
    """Adam with Nesterov momentum from differences of gradients (Xie et al. 2022).

    Its decays are those of the means, as elsewhere; the paper writes 1 - beta.
    """

    kind: Literal["adan"] = "adan"
    beta1: float = Field(default=0.98, ge=0, lt=1)
    beta2: float = Field(default=0.92, ge=0, lt=1)
    beta3: float = Field(default=0.99, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0)


class Lion(Option):
    """The sign of a momentum (Chen et al. 2023); wants 3 to 10 times less rate than AdamW, and as much more decay."""

    kind: Literal["lion"] = "lion"
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.99, ge=0, lt=1)


class SGD(Option):
    """Stochastic gradient descent with momentum; its weight decay is an L2 penalty on the gradient."""

    kind: Literal["sgd"] = "sgd"
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = False

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> "SGD":
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self


class RMSprop(Option):
    """Steps divided by a running root mean square of the gradient (Hinton 2012); its weight decay is an L2 penalty."""

    kind: Literal["rmsprop"] = "rmsprop"
    smoothing: float = Field(default=0.99, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0)
    momentum: float = Field(default=0.0, ge=0, lt=1)


class Adadelta(Option):
    """Steps in the scale of earlier steps (Zeiler 2012): a learning rate of 1 is the paper's; L2 weight decay."""

    kind: Literal["adadelta"] = "adadelta"
    rho: float = Field(default=0.9, ge=0, lt=1)
    epsilon: float = Field(default=1e-6, gt=0)


class Adagrad(Option):
    """Steps divided by the root of all squared gradients so far (Duchi et al. 2011); L2 weight decay."""

    kind: Literal["adagrad"] = "adagrad"
    epsilon: float = Field(default=1e-10, gt=0)


class Adafactor(Option):
    """Adam without momentum whose second moments are kept as rows and columns (Shazeer and Stern 2018)."""

    kind: Literal["adafactor"] = "adafactor"
    beta2_decay: float = Field(default=-0.8, le=0)
    clip_threshold: float = Field(default=1.0, gt=0)


Optimizer = Annotated[
    AdamW | Adam | RAdam | NAdam | AdaBelief | Adan | Lion | SGD | RMSprop | Adadelta | Adagrad | Adafactor,
    Field(discriminator="kind"),
    UNFOLD,
]


class Lookahead(Settings):
    """Every `steps` steps the weights go back to `alpha` of the way since the last time (Zhang et al. 2019)."""

    steps: int = Field(default=5, ge=1)
    alpha: float = Field(default=0.5, gt=0, le=1)
