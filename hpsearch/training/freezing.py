"""Carries out a freezing plan: what trains in an epoch follows from the epoch alone, so a resume needs no state.

A frozen parameter has no gradient, so that the optimizer leaves it and its memory of it as they are, decay included. It
is in the optimizer all the same, and trains from the moment on at which the plan lets it.
"""

from collections.abc import Sequence

from torch import nn

from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.training.settings import Freeze, FreezeAllBut, FreezeParts, Gradual, NoFreeze


class Freezing:
    """The plan for a model.

    What the task itself froze or put into eval mode stays so. A parameter of several modules has its first name.

    Raises:
        UnknownNameError: The model has no such part.
        HpsearchError: Nothing would train at first.
    """

    def __init__(self, plan: Freeze, model: nn.Module) -> None:
        self._plan = plan
        self._parameters = {name: each for name, each in model.named_parameters() if each.requires_grad}
        self._training_modules = {name: each for name, each in model.named_modules() if each.training}
        if not isinstance(plan, NoFreeze):
            _check_names(plan.names, model)
            if not self._trained(0):
                raise HpsearchError("train.freeze: nothing is left to train in the first epoch")

    def begin_epoch(self, epoch: int) -> None:
        """Freeze and release what the plan says for an epoch, counted from 0."""
        if isinstance(self._plan, NoFreeze):
            return
        trained = self._trained(epoch)
        for name, parameter in self._parameters.items():
            parameter.requires_grad_(name in trained)
        if self._plan.eval_mode:
            for name, module in self._training_modules.items():
                module.training = not self._is_frozen(name, epoch)

    def _trained(self, epoch: int) -> set[str]:
        return {name for name in self._parameters if not self._is_frozen(name, epoch)}

    def _is_frozen(self, name: str, epoch: int) -> bool:
        """Check whether a parameter, or a module as a whole, is frozen in an epoch."""
        plan = self._plan
        if isinstance(plan, NoFreeze) or epoch >= (last_stage(plan) or epoch + 1):
            return False
        if isinstance(plan, FreezeParts):
            return _is_within(name, plan.names)
        if isinstance(plan, FreezeAllBut):
            return not _is_within(name, plan.names) and not _holds(name, plan.names)
        joined = plan.names[: 1 + epoch // plan.every]
        return not _is_within(name, joined) and not _holds(name, joined)


def last_stage(plan: Freeze) -> int | None:
    """Return the epoch from which on everything trains; None when that never comes."""
    if isinstance(plan, NoFreeze):
        return 0
    return len(plan.names) * plan.every if isinstance(plan, Gradual) else plan.epochs


def rate_factor(plan: Freeze, epoch: int) -> float:
    """Return the plan's factor on the learning rate in an epoch."""
    last = last_stage(plan)
    if isinstance(plan, NoFreeze) or last is None or epoch < last:
        return 1.0
    return plan.rate_after


def _is_within(name: str, parts: Sequence[str]) -> bool:
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def _holds(name: str, parts: Sequence[str]) -> bool:
    """Check whether one of the parts lies below a module; below the model itself (no name) all of them do."""
    return not name or any(part.startswith(f"{name}.") for part in parts)


def _check_names(parts: Sequence[str], model: nn.Module) -> None:
    names = [name for name, _ in model.named_parameters()]
    known = sorted({".".join(name.split(".")[:length]) for name in names for length in range(1, name.count(".") + 2)})
    for part in parts:
        if part not in known:
            raise UnknownNameError(
                "part of the model in train.freeze", part, [name for name in known if name.count(".") < 2]
            )
