"""The forward pass of simple networks for all lanes by hand: batched matrix products cost less than a mapped call.

A network is simple if its graph, as torch.fx traces it, has nothing but the layers below, each called with one tensor.
"""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

Forward = Callable[[Mapping[str, Tensor], Sequence[Tensor], Tensor], Tensor]
"""From stacked weights by name, masks of dropout and inputs (lanes, examples, ...) to outputs."""

_ELEMENTWISE = (
    nn.ReLU,
    nn.GELU,
    nn.Tanh,
    nn.Sigmoid,
    nn.SiLU,
    nn.ELU,
    nn.LeakyReLU,
    nn.Softplus,
    nn.Identity,
)
_FUNCTIONS = (torch.relu, functional.relu, functional.gelu, torch.tanh, functional.silu, torch.sigmoid, operator.add)


def forward_by_hand(model: nn.Module) -> Forward | None:
    """Return the forward pass of all lanes; None for a network that is not simple."""
    try:
        graph = fx.Tracer().trace(model)
    except Exception:  # noqa: BLE001 - whatever cannot be traced is not simple
        return None
    nodes, modules = list(graph.nodes), dict(model.named_modules())
    if any(module._forward_hooks or module._forward_pre_hooks for module in modules.values()):
        return None
    if sum(node.op == "placeholder" for node in nodes) != 1 or not all(_is_simple(node, modules) for node in nodes):
        return None
    return lambda weights, masks, inputs: _run(nodes, modules, weights, iter(masks), inputs)


def _is_simple(node: fx.Node, modules: Mapping[str, nn.Module]) -> bool:
    if node.op == "call_module":
        module = modules[str(node.target)]
        known = (*_ELEMENTWISE, nn.Linear, nn.LayerNorm, nn.Dropout)
        return type(module) in known and len(node.args) == 1 and not node.kwargs
    if node.op == "call_function":
        return node.target in _FUNCTIONS and all(isinstance(each, fx.Node) for each in node.args)
    return node.op in ("placeholder", "output")


def _run(
    nodes: Sequence[fx.Node],
    modules: Mapping[str, nn.Module],
    weights: Mapping[str, Tensor],
    masks: Iterator[Tensor],
    inputs: Tensor,
) -> Tensor:
    values: dict[Any, Any] = {}
    for node in nodes:
        if node.op == "placeholder":
            values[node] = inputs
        elif node.op == "output":
            result: Tensor = values[node.args[0]]
            return result
        elif node.op == "call_module":
            name = str(node.target)
            values[node] = _layer(name, modules[name], weights, masks, values[node.args[0]])
        else:
            function: Any = node.target
            values[node] = function(*(values[each] for each in node.args), **node.kwargs)
    raise AssertionError("a graph without an output")


def _layer(
    name: str, module: nn.Module, weights: Mapping[str, Tensor], masks: Iterator[Tensor], inputs: Tensor
) -> Tensor:
    if isinstance(module, nn.Linear):
        return _linear(inputs, weights[f"{name}.weight"], weights.get(f"{name}.bias"))
    if isinstance(module, nn.LayerNorm):
        normal = functional.layer_norm(inputs, module.normalized_shape, eps=module.eps)
        if module.weight is None:
            return normal
        shape = (len(inputs), *(1,) * (inputs.ndim - 1 - len(module.normalized_shape)), *module.normalized_shape)
        scaled = normal * weights[f"{name}.weight"].view(shape)
        return scaled if module.bias is None else scaled + weights[f"{name}.bias"].view(shape)
    if isinstance(module, nn.Dropout):
        mask = next_mask(masks)
        return inputs if mask is None else inputs * mask
    output: Tensor = module(inputs)
    return output


def next_mask(masks: Iterator[Tensor]) -> Tensor | None:
    """Return the mask of the next call of dropout; None if there is none, or an empty one: nothing is dropped."""
    mask = next(masks, None)
    return mask if mask is not None and mask.numel() else None


def _linear(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return (lanes, ..., outputs) of inputs (lanes, ..., inputs) and weights (lanes, outputs, inputs)."""
    flat, turned = inputs.flatten(1, -2), weight.transpose(1, 2)
    output = torch.bmm(flat, turned) if bias is None else torch.baddbmm(bias[:, None], flat, turned)
    return output.view(*inputs.shape[:-1], weight.shape[1])
