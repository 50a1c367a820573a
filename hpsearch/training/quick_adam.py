"""A step of torch's fused Adam without what `step()` does around its kernel.

For a small model that is most of the step: lists of parameters and memories are gathered anew, hooks are looked for, a
profiler is told. Here the lists are gathered once, groups for which all is equal are one call, and the kernel gets the
same tensors and numbers, so that the weights are bit for bit the same.
"""

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor

_MEMORIES = ("exp_avg", "exp_avg_sq", "step")
_EQUAL = ("scale", "weight_decay", "betas", "eps")
"""What has to be equal in groups that are one call; the rate is, where the scale is."""


class QuickAdam:
    """Takes steps for an Adam or AdamW, whose groups and memory stay the optimizer's."""

    def __init__(self, optimizer: torch.optim.Adam) -> None:
        self._optimizer = optimizer
        self._kernel: Any = torch._fused_adamw_ if isinstance(optimizer, torch.optim.AdamW) else torch._fused_adam_
        self._state: Any = None
        """The optimizer's memory for which the lists are; a resume gives it another."""
        self._own: dict[str, Tensor] = {}
        """That of one parameter, as it was in the lists."""
        self._calls: list[tuple[dict[str, Any], list[Tensor], list[list[Tensor]]]] = []
        self._steps: list[Tensor] = []
        self._one: Tensor | None = None

    def step(self) -> bool:
        """Take a step, unless the optimizer has to do so itself: at first, and while a parameter has no gradient."""
        if not (self._is_current() or self._gather()):
            return False
        gradients = [[parameter.grad for parameter in parameters] for _, parameters, _ in self._calls]
        for some in gradients:
            for gradient in some:
                if gradient is None:
                    return False
        with torch.no_grad():
            if self._one is None:
                torch._foreach_add_(self._steps, 1)
            else:
                torch._foreach_add_(self._steps, self._one, alpha=1.0)
            for (group, parameters, memories), own in zip(self._calls, gradients, strict=True):
                first, second, steps = memories
                beta1, beta2 = group["betas"]
                self._kernel(
                    parameters,
                    own,
                    first,
                    second,
                    [],
                    steps,
                    amsgrad=False,
                    lr=group["lr"],
                    beta1=beta1,
                    beta2=beta2,
                    weight_decay=group["weight_decay"],
                    eps=group["eps"],
                    maximize=False,
                    grad_scale=None,
                    found_inf=None,
                )
        return True

    def _is_current(self) -> bool:
        """Check whether the optimizer still has the memory that is in the lists."""
        return self._optimizer.state is self._state and all(
            self._state[self._calls[0][1][0]][name] is self._own[name] for name in _MEMORIES
        )

    def _gather(self) -> bool:
        """Gather the lists; say whether every parameter has a memory."""
        optimizer = self._optimizer
        together: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
        for group in optimizer.param_groups:
            together[tuple(group[name] for name in _EQUAL)].append(group)
        calls = []
        for groups in together.values():
            parameters = [parameter for group in groups for parameter in group["params"]]
            states = [optimizer.state.get(parameter, {}) for parameter in parameters]
            if not all(name in state for state in states for name in _MEMORIES):
                return False
            calls.append((groups[0], parameters, [[state[name] for state in states] for name in _MEMORIES]))
        self._calls, self._state = calls, optimizer.state
        self._own = dict(optimizer.state[calls[0][1][0]])
        self._steps = [step for _, _, (_, _, steps) in calls for step in steps]
        on_cpu = all(step.device.type == "cpu" for step in self._steps)
        self._one = torch.ones(()) if on_cpu else None  # a number would become a tensor for each of them
        return True


def quick_adam(optimizer: torch.optim.Optimizer) -> QuickAdam | None:
    """Return quick steps for an optimizer that is torch's Adam in fused form, on one device and in one precision."""
    if type(optimizer) not in (torch.optim.Adam, torch.optim.AdamW):
        return None
    groups = optimizer.param_groups
    kinds = {(each.device, each.dtype) for group in groups for each in group["params"]}
    plain = all(group["fused"] and not (group["amsgrad"] or group["maximize"]) for group in groups)
    return QuickAdam(optimizer) if plain and len(kinds) == 1 else None  # type: ignore[arg-type] # an Adam, as asked above
