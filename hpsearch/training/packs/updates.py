"""The optimizers of packs: one update of a matrix that has a lane's whole training in each row.

They are torch's own formulas, each factor a column with a number for each lane. An optimizer's memory is what torch
keeps for each parameter, by the same names, so that a lane's checkpoint is that of a training alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """What an update works on: (lanes, columns) matrices on the device, and (lanes, 1) columns of doubles on the CPU.

    It changes `weights` and `memory` in place.
    """

    weights: Tensor
    gradients: Tensor
    memory: Mapping[str, Tensor]
    steps: Tensor
    """A column: updates of each lane, this one counted."""
    rates: Tensor
    """A column."""
    scales: Tensor | None
    """A matrix: factors on the rates; None where they are all 1."""
    decays: Tensor | None
    """A matrix: weight decay; None where no lane has any."""

    def scaled(self, column: Tensor) -> Tensor:
        """Return a column that has the rate in it, times the factors of each parameter."""
        return column if self.scales is None else column * self.scales


class Update(Protocol):
    """An optimizer's update of all lanes, whose settings are those of each lane's own optimizer."""

    @property
    def memory(self) -> Sequence[str]:
        """The names under which torch keeps what the optimizer remembers of a parameter."""
        ...

    def set(self, row: int, options: Mapping[str, Any]) -> None:
        """Take a lane's settings from a parameter group of torch's optimizer."""
        ...

    def move(self, origin: int, row: int) -> None:
        """Give the settings of one row to another."""
        ...

    def __call__(self, rows: Rows) -> None:
        """Update the weights of the first rows."""
        ...


class _Columns:
    """Numbers of each lane by name, on the CPU, from where they go to the device together with what is made of them."""

    def __init__(self, names: Sequence[str], lanes: int) -> None:
        self._values = {name: torch.zeros(lanes, 1, dtype=torch.float64) for name in names}

    def put(self, row: int, **values: float) -> None:
        for name, value in values.items():
            self._values[name][row] = value

    def move(self, origin: int, row: int) -> None:
        for column in self._values.values():
            column[row] = column[origin]

    def get(self, lanes: int) -> list[Tensor]:
        return [column[:lanes] for column in self._values.values()]


def _sent(columns: Sequence[Tensor], like: Tensor) -> Sequence[Tensor]:
    """Return columns in the type and on the device of a matrix; all in one transfer."""
    return torch.cat(list(columns), dim=1).to(like.device, like.dtype)[:, :, None].unbind(1)


class StackedAdam:
    """Adam, or with `decoupled` decay AdamW (Loshchilov and Hutter 2019, algorithm 2)."""

    memory = ("exp_avg", "exp_avg_sq")

    def __init__(self, lanes: int, *, decoupled: bool) -> None:
        self._columns = _Columns(("beta1", "beta2", "eps"), lanes)
        self._decoupled = decoupled

    def set(self, row: int, options: Mapping[str, Any]) -> None:
        """Take a lane's betas and epsilon."""
        beta1, beta2 = options["betas"]
        self._columns.put(row, beta1=beta1, beta2=beta2, eps=options["eps"])

    def move(self, origin: int, row: int) -> None:
        """Give the settings of one row to another."""
        self._columns.move(origin, row)

    def __call__(self, rows: Rows) -> None:
        """Update the weights of the first rows."""
        weights, gradients = rows.weights, rows.gradients
        beta1, beta2, eps = self._columns.get(len(weights))
        first, second = 1 - beta1**rows.steps, (1 - beta2**rows.steps).sqrt()
        columns = (-rows.rates, -rows.rates / first * second, 1 - beta1, beta2, 1 - beta2, eps * second)
        rates, reach, new, old_square, new_square, eps = _sent(columns, weights)
        if rows.decays is not None and self._decoupled:
            weights.addcmul_(weights * rows.decays, rows.scaled(rates))
        elif rows.decays is not None:
            gradients = gradients + weights * rows.decays
        mean, square = rows.memory["exp_avg"], rows.memory["exp_avg_sq"]
        mean.lerp_(gradients, new)
        square.mul_(old_square).addcmul_(gradients * new_square, gradients)
        # as in the paper's note on efficiency: sqrt(1 - beta2^t) / (1 - beta1^t) in the rate, epsilon scaled to match
        weights.addcdiv_(mean * rows.scaled(reach), square.sqrt().add_(eps))


class StackedSGD:
    """Stochastic gradient descent with momentum, Nesterov's or not; weight decay is an L2 penalty."""

    memory = ("momentum_buffer",)

    def __init__(self, lanes: int, *, nesterov: bool) -> None:
        self._columns = _Columns(("momentum",), lanes)
        self._nesterov = nesterov

    def set(self, row: int, options: Mapping[str, Any]) -> None:
        """Take a lane's momentum."""
        self._columns.put(row, momentum=options["momentum"])

    def move(self, origin: int, row: int) -> None:
        """Give the settings of one row to another."""
        self._columns.move(origin, row)

    def __call__(self, rows: Rows) -> None:
        """Update the weights of the first rows."""
        weights, gradients = rows.weights, rows.gradients
        momentum, rates = _sent((*self._columns.get(len(weights)), rows.rates), weights)
        if rows.decays is not None:
            gradients = gradients + weights * rows.decays
        buffer = rows.memory["momentum_buffer"].mul_(momentum).add_(gradients)
        step = gradients + momentum * buffer if self._nesterov else buffer
        weights.addcmul_(step, rows.scaled(-rates))


def stacked_update(optimizer: torch.optim.Optimizer, lanes: int) -> Update | None:
    """Return the update of packs that is this optimizer's; None if there is none."""
    kind, options = type(optimizer), optimizer.param_groups[0]
    if kind in (torch.optim.AdamW, torch.optim.Adam):
        return StackedAdam(lanes, decoupled=kind is torch.optim.AdamW)
    if kind is torch.optim.SGD:
        return StackedSGD(lanes, nesterov=options["nesterov"])
    return None
