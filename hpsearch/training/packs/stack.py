"""The weights of a pack: one matrix with a lane in each row, and what the optimizer remembers of them beside it.

The layers compute with views of the matrix, the optimizer with the matrix itself: its work costs the same few calls
however many parameters there are. The lanes are always the first rows; when one leaves, the last takes its place.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from hpsearch.training.packs.updates import Rows, stacked_update
from hpsearch.training.state import TrainingState


class Stack:
    """Rows for `lanes` trainings of the shape of one; they are copied in and out, and keep tensors of their own."""

    def __init__(self, shape: TrainingState, lanes: int) -> None:
        update = stacked_update(shape.optimizer, lanes)
        assert update is not None  # noqa: S101 -- ours: `objection` has looked
        self._update = update
        self._names = _names_in_groups(shape)
        parameters = dict(shape.model.named_parameters())
        self._shapes = [parameters[name].shape for name in self._names]
        self._bounds = list(pairwise(accumulate((each.numel() for each in self._shapes), initial=0)))
        first = parameters[self._names[0]].detach()
        width = self._bounds[-1][1]
        self._weights, self._scales, self._decays = (first.new_zeros(lanes, width) for _ in range(3))
        self._memory = {name: first.new_zeros(lanes, width) for name in self._update.memory}
        self._steps = torch.zeros(lanes, 1, dtype=torch.float64)
        self._constants = {
            name: tensor.detach().new_zeros(lanes, *tensor.shape)
            for name, tensor in (*shape.model.named_parameters(), *shape.model.named_buffers())
            if name not in self._names
        }
        self._count = 0
        self._views: list[Tensor] = []
        self._scaled = self._decaying = False

    def __len__(self) -> int:
        return self._count

    def add(self, training: TrainingState) -> None:
        """Copy a training's weights, and what its optimizer remembers, into the next row."""
        row = self._count
        parameters = _parameters(training)
        _copy(self._pieces(self._weights[row]), parameters)
        for name, constant in self._constants.items():
            constant[row].copy_(_tensor(training.model, name))
        column = 0
        for group in training.optimizer.param_groups:
            end = column + sum(parameter.numel() for parameter in group["params"])
            self._scales[row, column:end], self._decays[row, column:end] = group["scale"], group["weight_decay"]
            column = end
        self._update.set(row, training.optimizer.param_groups[0])
        self._steps[row] = training.progress.step
        states = [training.optimizer.state.get(parameter, {}) for parameter in parameters]
        for name, matrix in self._memory.items():
            for piece, state in zip(self._pieces(matrix[row]), states, strict=True):
                remembered = state.get(name)
                piece.zero_() if remembered is None else piece.copy_(remembered)
        self._counted(row + 1)

    def copy_out(self, row: int, training: TrainingState) -> None:
        """Copy a row into its training: weights, and what the optimizer remembers, as if it had trained alone."""
        parameters = _parameters(training)
        _copy(parameters, self._pieces(self._weights[row]))
        for name, matrix in self._memory.items():
            if name == "momentum_buffer" and not training.optimizer.param_groups[0]["momentum"]:
                continue  # torch keeps none
            pieces = self._pieces(matrix[row])
            for parameter, piece in zip(parameters, pieces, strict=True):
                state = training.optimizer.state[parameter]
                if name not in state:
                    state[name] = torch.empty_like(parameter, requires_grad=False)
                state[name].copy_(piece)
        if "exp_avg" in self._memory:
            for parameter in parameters:
                step = torch.tensor(float(self._steps[row]), dtype=torch.float32)
                training.optimizer.state[parameter]["step"] = step.to(parameter.device)

    def gradients_to(self, row: int, gradients: Tensor, training: TrainingState) -> None:
        """Lay a lane's gradients where the backward pass of a training alone leaves them."""
        for parameter, piece in zip(_parameters(training), self._pieces(gradients[row]), strict=True):
            parameter.grad = piece.clone()

    def remove(self, row: int) -> None:
        """Give up a row; the last lane takes it."""
        last = self._count - 1
        if row != last:
            matrices = (self._weights, self._scales, self._decays, self._steps)
            for matrix in (*matrices, *self._memory.values(), *self._constants.values()):
                matrix[row].copy_(matrix[last])
            self._update.move(last, row)
        self._counted(last)

    def _counted(self, count: int) -> None:
        self._count, self._views = count, []
        self._scaled = bool((self._scales[:count] != 1).any())
        self._decaying = bool((self._decays[:count] != 0).any())

    @property
    def leaves(self) -> list[Tensor]:
        """The trainable parameters, each (lanes, *its shape): the leaves of the graph."""
        if not self._views:
            rows = self._weights[: self._count]
            self._views = [
                rows[:, start:end].view(len(rows), *shape).requires_grad_()
                for (start, end), shape in zip(self._bounds, self._shapes, strict=True)
            ]
        return self._views

    @property
    def constants(self) -> dict[str, Tensor]:
        """What does not train, buffers too, each (lanes, *its shape)."""
        return {name: tensor[: self._count] for name, tensor in self._constants.items()}

    def named(self, parts: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return tensors in the order of `leaves` by the names of the parameters."""
        return dict(zip(self._names, parts, strict=True))

    def flat(self, gradients: Sequence[Tensor]) -> Tensor:
        """Return gradients of the leaves as a (lanes, columns) matrix."""
        return torch.cat([gradient.reshape(self._count, -1) for gradient in gradients], dim=1)

    def update(self, gradients: Tensor, rates: Sequence[float]) -> None:
        """Update all lanes by a (lanes, columns) matrix of gradients and each lane's rate."""
        count = self._count
        self._steps[:count] += 1
        scales, decays = self._scales[:count], self._decays[:count]
        self._update(
            Rows(
                weights=self._weights[:count],
                gradients=gradients,
                memory={name: matrix[:count] for name, matrix in self._memory.items()},
                steps=self._steps[:count],
                rates=torch.tensor(rates, dtype=torch.float64)[:, None],
                scales=scales if self._scaled else None,
                decays=decays if self._decaying else None,
            )
        )

    def _pieces(self, row: Tensor) -> list[Tensor]:
        return [row[start:end].view(shape) for (start, end), shape in zip(self._bounds, self._shapes, strict=True)]


def _parameters(training: TrainingState) -> list[nn.Parameter]:
    """Return the trainable parameters in the order of the optimizer's groups."""
    return [parameter for group in training.optimizer.param_groups for parameter in group["params"]]


def _names_in_groups(training: TrainingState) -> list[str]:
    names = {id(parameter): name for name, parameter in training.model.named_parameters()}
    return [names[id(parameter)] for parameter in _parameters(training)]


def _tensor(model: nn.Module, name: str) -> Tensor:
    path, _, own = name.rpartition(".")
    tensor: Tensor = getattr(model.get_submodule(path), own)
    return tensor.detach()


def _copy(targets: Sequence[Tensor], sources: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for target, source in zip(targets, sources, strict=True):
            target.copy_(source)
