"""The only translation of a space to a search library; it speaks Optuna's ask interface without importing Optuna."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from hpsearch.records import label
from hpsearch.space.ranges import Choice, Float, Int, Range, canonical
from hpsearch.space.space import Space


class Trial(Protocol):
    """What a search library offers to ask for values: the signatures of `optuna.Trial`."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return a number of the range."""
        ...

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Return a whole number of the range."""
        ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return one of the choices."""
        ...


def suggest(space: Space, trial: Trial) -> dict[str, Any]:
    """Ask `trial` for a value of every parameter that exists, branches before what depends on them."""
    params: dict[str, Any] = {}
    for parameter in space.parameters:
        if parameter.exists(params):
            params[parameter.path] = _suggest_one(trial, parameter.path, parameter.range)
    return params


def suggested(space: Space, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return `params` as `suggest` would have got them from the library: options that need one become their label."""
    known = {parameter.path: parameter.range for parameter in space.parameters}
    return {path: _to_library(known[path], value) for path, value in params.items()}


def _suggest_one(trial: Trial, name: str, values: Range) -> Any:
    if isinstance(values, Float):  # libraries count steps in floats: 0.1 + 2 * 0.1 is 0.30000000000000004
        return values.nearest(trial.suggest_float(name, values.low, values.high, step=values.step, log=values.log))
    if isinstance(values, Int):
        return trial.suggest_int(name, values.low, values.high, step=values.step, log=values.log)
    if not _labelled(values):
        return trial.suggest_categorical(name, values.options)
    by_label = {label(option): option for option in values.options}
    return by_label[trial.suggest_categorical(name, tuple(by_label))]


def _to_library(values: Range, value: Any) -> Any:
    value = canonical(values, value)
    return label(value) if isinstance(values, Choice) and _labelled(values) else value


def _labelled(values: Choice) -> bool:
    """Libraries compare options with ==, so lists cannot be options, and true and 1 cannot both be options."""
    kinds = {type(option) for option in values.options}
    return not kinds <= {str, int, float, bool, type(None)} or (bool in kinds and bool(kinds & {int, float}))
