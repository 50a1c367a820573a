"""How a member of a population gets new values for its `mutable` ranges: pure functions of what is known and a seed."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.extras import Extra, require
from hpsearch.records import Params
from hpsearch.space import Choice, Float, Int, Parameter, Range, Space
from hpsearch.space.pruner_options import PB2, PBT
from hpsearch.space.ranges import same

FACTORS = (0.8, 1.2)
"""What a number is multiplied with (Jaderberg et al. 2017)."""
ATTEMPTS = 20
"""How often new values may break a requirement, or be taken, before the old ones are kept."""
RESAMPLE = 0.25
"""The probability of a fresh draw where pb2 has no data yet."""


@dataclass(frozen=True)
class Observed:
    """A member seen at an evaluation: what it was trained with until then, or goes on with, and its metric there."""

    number: int
    evaluation: int
    params: Params
    metric: float


@dataclass(frozen=True)
class ExploreContext:
    """A donor's parameters that are to be varied: all that was seen so far, and what others got at this barrier."""

    donor: int
    params: Params
    seen: Sequence[Observed]
    chosen: Sequence[Params]
    seed: int


Explore = Callable[[ExploreContext], dict[str, Any]]


def explorer(space: Space) -> Explore:
    """Return the space's explore function for parameters.

    Raises:
        MissingExtraError: What it needs is not installed.

    """
    pruner = space.search.pruner
    if isinstance(pruner, PB2):
        propose = _propose()
        return lambda context: _by_model(space, context, propose)
    if isinstance(pruner, PBT):
        return lambda context: _by_chance(space, context, pruner.resample)
    raise AssertionError(f"the pruner {pruner.kind} trains no population")


def _propose() -> Callable[..., dict[str, float] | None]:
    require("the pruner pb2", Extra.RAY)
    from hpsearch.search.pb2 import propose

    return propose


def _by_chance(space: Space, context: ExploreContext, resample: float) -> dict[str, Any]:
    """Return the donor's parameters perturbed; not as they are, and not as another copy got them, if it can be helped.

    Two copies with the same parameters would be the same training twice: all that is random is copied with them.
    """
    taken = (context.params, *context.chosen)
    rng = random.Random(context.seed)  # noqa: S311 -- not a secret
    for _ in range(ATTEMPTS):
        params = dict(context.params)
        for each in _mutable(space, context):
            params[each.path] = perturbed(each.range, params[each.path], resample, rng)
        if params not in taken and space.violation(params) is None:
            return params
    return dict(context.params)


def _mutable(space: Space, context: ExploreContext) -> list[Parameter]:
    return [parameter for parameter in space.active(context.params) if parameter.range.mutable]


def perturbed(values: Range, value: Any, resample: float, rng: random.Random) -> Any:
    """Return another value of a range, near `value` unless it is drawn afresh. What lies at a bound may stay there."""
    if rng.random() < resample:
        return values.sample(rng)
    if isinstance(values, Choice):
        return _neighbour(values, value, rng)
    factor = rng.choice(FACTORS)
    if isinstance(values, Float) and values.step is None:
        return min(max(value * factor, values.low), values.high)
    return _stepped(values, value, factor)


def _neighbour(values: Choice, value: Any, rng: random.Random) -> Any:
    index = next(place for place, option in enumerate(values.options) if same(option, value))
    beside = values.options[max(index - 1, 0) : index] + values.options[index + 1 : index + 2]
    return rng.choice(beside) if beside else value


def _stepped(values: Float | Int, value: float, factor: float) -> float:
    """Return the value of the range that is nearest to the product, but at least one step away from `value`."""
    old, new = _index(values, value), _index(values, value * factor)
    if new == old:
        new += 1 if (factor > 1) == (value >= 0) else -1
    return _within(values, new)


def _index(values: Float | Int, value: float) -> int:
    """Return the number of steps from the lower bound to a value."""
    return round((value - values.low) / (values.step or 1))


def _within(values: Float | Int, index: int) -> float:
    return values.nth(min(max(index, 0), (values.count or 1) - 1))


def _by_model(space: Space, context: ExploreContext, propose: Callable[..., dict[str, float] | None]) -> dict[str, Any]:
    """Return the values from which the model expects the most; by chance, while there is no data for a model."""
    ranges = {each.path: each.range for each in _mutable(space, context) if not isinstance(each.range, Choice)}
    if not ranges:  # they hang on options that the donor has not taken
        return dict(context.params)
    sign = space.objective.goal.sign
    known = [each for each in context.seen if math.isfinite(each.metric) and ranges.keys() <= each.params.keys()]
    proposed = propose(
        [(str(each.number), each.evaluation, _scaled(ranges, each.params), sign * each.metric) for each in known],
        bounds={path: (_scale(values, values.low), _scale(values, values.high)) for path, values in ranges.items()},
        chosen=[_scaled(ranges, params) for params in context.chosen if ranges.keys() <= params.keys()],
        donor=str(context.donor),
        values=_scaled(ranges, context.params),
        seed=context.seed,
    )
    if proposed is not None:
        params = {**context.params, **{path: _unscaled(ranges[path], value) for path, value in proposed.items()}}
        if params not in context.chosen and space.violation(params) is None:
            return params
    return _by_chance(space, context, RESAMPLE)


def _scaled(ranges: dict[str, Float | Int], params: Params) -> dict[str, float]:
    return {path: _scale(values, params[path]) for path, values in ranges.items()}


def _scale(values: Float | Int, value: float) -> float:
    """Return the value as the model sees it: a range on a log scale by its logarithm."""
    return math.log(value) if values.log else float(value)


def _unscaled(values: Float | Int, value: float) -> float:
    """Return the value of the range that is nearest."""
    value = math.exp(value) if values.log else value
    if isinstance(values, Float) and values.step is None:
        return min(max(value, values.low), values.high)
    return _within(values, _index(values, value))
