"""Trainings without torch's compiler, whose import takes as long as that of all the rest of torch.

torch imports `torch._dynamo` when an optimizer is made, at its first step, and when deterministic algorithms are
switched on, only to tell the compiler what it must not touch. Nobody has to be told as long as nothing is compiled;
from then on all is done as torch does it. Where torch has other names in another version, it imports its compiler.
"""

import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.optim import Optimizer

_COMPILER = "torch._dynamo"
_MARK = "__dynamo_disable"
"""Under this name torch keeps the form of a function that the compiler leaves alone (torch/_compile.py)."""
_METHODS = ("add_param_group", "state_dict", "load_state_dict", "zero_grad")


def is_there() -> bool:
    """Check whether anybody has imported torch's compiler."""
    return _COMPILER in sys.modules


def leave_optimizers_alone() -> None:
    """Let optimizers be made and saved without the compiler; undone once it is there."""
    for function in _left_alone():
        if is_there() and _is_marked(function):
            delattr(function, _MARK)
        elif not is_there() and not hasattr(function, _MARK):
            setattr(function, _MARK, function)


def _left_alone() -> Iterator[Callable[..., Any]]:
    """Yield the functions for whose sake torch would import its compiler when they are called."""
    for name in _METHODS:
        function = getattr(vars(Optimizer).get(name), "__wrapped__", None)
        if function is not None:
            yield function


def _is_marked(function: Callable[..., Any]) -> bool:
    """Check whether the form of a function that the compiler leaves alone is the function itself, as made here."""
    return getattr(function, _MARK, None) is function


def step(optimizer: Optimizer) -> None:
    """Take an optimizer's step; without the compiler that is its `step` without what is wrapped around it."""
    if is_there():
        optimizer.step()
        return
    with torch.no_grad():
        inspect.unwrap(type(optimizer).step)(optimizer)


def use_deterministic_algorithms(enabled: bool, *, warn_only: bool) -> None:
    """Do as torch's function of this name, which besides sets an option of the compiler."""
    if is_there():
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
    else:
        torch._C._set_deterministic_algorithms(enabled, warn_only=warn_only)


def settle() -> None:
    """Tell the compiler what it missed, if something was compiled in the meantime."""
    if is_there():
        leave_optimizers_alone()
        only_warned = torch.is_deterministic_algorithms_warn_only_enabled()
        use_deterministic_algorithms(torch.are_deterministic_algorithms_enabled(), warn_only=only_warned)
