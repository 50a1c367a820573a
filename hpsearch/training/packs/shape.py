"""Which trainings fit into one pack, and why one fits into none."""

from collections.abc import Callable, Hashable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from hpsearch.training.packs.updates import stacked_update
from hpsearch.training.settings import NoFreeze
from hpsearch.training.state import TrainingState
from hpsearch.training.task import Task

NOT_HERE = f"dropout is drawn in packs only on the CPU, torch {torch.__version__}"
_DROPPING = ((nn.Dropout, "p"), (nn.MultiheadAttention, "dropout"))
"""The layers that drop, and where their probability is: a lane's own."""
_PLAIN = (bool, int, float, str, type(None), tuple)


def shape_of(training: TrainingState, kind: Hashable) -> Hashable:
    """Return what trainings of one pack have in common: all that decides which operations a step consists of.

    `kind` stands for what the training does not know of itself: equal for tasks that compute one loss, apart from
    their `scalars`.
    """
    order, settings = training.order, training.settings
    optimizer = training.optimizer
    return (
        kind,
        type(training.task),
        str(training.device),
        settings.deterministic,
        (order.examples, order.batch_size, order.accumulate),
        (type(optimizer), optimizer.param_groups[0].get("nesterov")),
        tuple(len(group["params"]) for group in optimizer.param_groups),
        tuple(sorted(training.task.scalars)),
        tuple(_layers(training.model)),
        tuple(_tensors(training.model)),
    )


def _layers(model: nn.Module) -> Iterator[Hashable]:
    """Yield each part of a model with its plain attributes, but for the probability of dropout, a lane's own."""
    for name, module in model.named_modules():
        hidden = next((where for kind, where in _DROPPING if isinstance(module, kind)), None)
        plain = (
            (key, value) for key, value in sorted(vars(module).items()) if isinstance(value, _PLAIN) and key != hidden
        )
        yield name, type(module), tuple(plain)


def _tensors(model: nn.Module) -> Iterator[Hashable]:
    for name, tensor in (*model.named_parameters(remove_duplicate=False), *model.named_buffers()):
        yield name, tuple(tensor.shape), tensor.dtype, tensor.requires_grad


def objection(training: TrainingState) -> str | None:
    """Return why a training can only be trained alone; None if nothing speaks against a pack."""
    return next((reason for holds, reason in _OBJECTIONS if holds(training)), None)


def _own_epochs(training: TrainingState) -> bool:
    """Check whether the task changes the model, or chooses its examples, from epoch to epoch."""
    kind, epochs = type(training.task), training.order.epochs
    if kind.begin_epoch is not Task.begin_epoch:
        before = list(_layers(training.model)), _probabilities(training.model)
        for epoch in (0, epochs - 1):
            training.task.begin_epoch(training.model, epoch, epochs)
            if (list(_layers(training.model)), _probabilities(training.model)) != before:
                return True
    return kind.examples is not Task.examples and training.task.examples(0, epochs) is not None


def _probabilities(model: nn.Module) -> list[float]:
    found = ((module, where) for module in model.modules() for kind, where in _DROPPING if isinstance(module, kind))
    return [getattr(module, where) for module, where in found]


def _has(kind: Any) -> Callable[[TrainingState], bool]:
    return lambda training: any(isinstance(module, kind) and module.training for module in training.model.modules())


def _other_dropout(training: TrainingState) -> bool:
    return any(
        isinstance(module, _DropoutNd) and not isinstance(module, nn.Dropout) and module.training and module.p > 0
        for module in training.model.modules()
    )


def _dropout_elsewhere(training: TrainingState) -> bool:
    """Check whether dropout would be drawn by another generator than the CPU's."""
    return training.device.type != "cpu" and any(each > 0 for each in _probabilities(training.model))


def _types(training: TrainingState) -> int:
    return len({parameter.dtype for parameter in training.model.parameters() if parameter.requires_grad})


_OBJECTIONS: tuple[tuple[Callable[[TrainingState], bool], str], ...] = (
    (lambda training: training.team.size > 1, "it has several processes"),
    (lambda training: training.settings.precision != "fp32", "its precision is not fp32"),
    (lambda training: training.average is not None, "it averages its weights (train.ema)"),
    (lambda training: training.settings.lookahead is not None, "its optimizer looks ahead (train.lookahead)"),
    (lambda training: not isinstance(training.settings.freeze, NoFreeze), "it freezes parts (train.freeze)"),
    (lambda training: training.settings.compile, "it is compiled (train.compile)"),
    (
        lambda training: training.settings.activation_checkpointing,
        "it computes activations twice (train.activation_checkpointing)",
    ),
    (lambda training: training.settings.loading.processes > 0, "processes fetch its batches (train.loading)"),
    (
        lambda training: stacked_update(training.optimizer, 1) is None,
        "only adamw, adam and sgd are optimizers of packs",
    ),
    (lambda training: _types(training) != 1, "its weights have several types"),
    (_has(_BatchNorm), "batch normalisation sees the examples of all its batch"),
    (_has(nn.RNNBase), "recurrent layers cannot be mapped over lanes"),
    (_other_dropout, "it drops whole channels"),
    (_dropout_elsewhere, NOT_HERE),
    (_own_epochs, "its task changes it from epoch to epoch"),
)
