"""Short trainings that answer a question before a search: which rates make sense, can the model learn, what fits.

Nothing is written: there is no experiment. The test split stays sealed.
"""

import random
from collections.abc import Callable, Mapping
from typing import Any

from hpsearch.errors import HpsearchError
from hpsearch.families.loading import load_family
from hpsearch.places import located
from hpsearch.seeds import Seeds
from hpsearch.space import Space
from hpsearch.training.batch_sizes import BatchSizes, try_batch_sizes
from hpsearch.training.overfitting import Overfit, overfit_batch
from hpsearch.training.range_test import RangeTest, range_test
from hpsearch.training.task import Splits, Task

_SWITCHED_OFF = ("dropout", "drop_connect", "weight_decay", "noise_std", "max_shift")
"""Settings that keep a model from learning a batch by heart, by the end of their names; 0 takes them away."""


def first_params(space: Space) -> dict[str, Any]:
    """Return the values to try when none are given: the first start entry, what it leaves open drawn by the seed.

    Errors: HpsearchError when the space has no configuration that keeps its requirements.
    """
    drawn = space.sample_feasible(random.Random(space.search.seed))  # noqa: S311 -- not a secret
    if drawn is None:
        raise HpsearchError(f"{space.path} has no configuration that keeps its requirements")
    given = dict(next(iter(space.start), {}))
    filled = {**drawn, **given}
    active = {parameter.path for parameter in space.active(filled)}
    kept = {path: value for path, value in filled.items() if path in active}
    return kept if not space.check_params(kept) else drawn


def find_rate(space: Space, params: Mapping[str, Any], *, start: float, end: float, steps: int) -> RangeTest:
    """Do a learning rate range test with a configuration of the space. Errors: HpsearchError."""
    config = space.config(params)
    task, splits, seeds = _opened(space, config)
    return range_test(task, splits, config.train, seeds=seeds, start=start, end=end, steps=steps)  # type: ignore[attr-defined]


def overfit(
    space: Space, params: Mapping[str, Any], *, steps: int, target: float, tell: Callable[[int, float], None]
) -> Overfit:
    """Let a configuration learn one batch by heart, without dropout, decay and noise. Errors: HpsearchError."""
    plain = _switched_off(space.config(params).model_dump(mode="json"))
    config = space.face.Config.model_validate(plain)
    task, splits, seeds = _opened(space, config)
    return overfit_batch(task, splits, config.train, seeds=seeds, steps=steps, target=target, tell=tell)  # type: ignore[attr-defined]


def batch_sizes(
    space: Space, params: Mapping[str, Any], *, most: int | None, tell: Callable[[int, float, int | None], None]
) -> BatchSizes:
    """Try which batch sizes of a configuration fit into the memory. Errors: HpsearchError.

    `tell` hears of each that fits: its size, the examples in a second, the bytes in use at most if anybody counts them.
    """
    config = space.config(params)
    task, splits, seeds = _opened(space, config)
    return try_batch_sizes(task, splits, config.train, seeds=seeds, most=most, tell=tell)  # type: ignore[attr-defined]


def _switched_off(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration in which every number that hinders learning by heart is 0; data are left alone."""
    changed: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            changed[name] = dict(value) if name == "data" else _switched_off(value)
        else:
            numeric = isinstance(value, int | float) and not isinstance(value, bool)
            changed[name] = type(value)(0) if numeric and name.endswith(_SWITCHED_OFF) else value
    return changed


def _opened(space: Space, config: Any) -> tuple[Task, Splits, Seeds]:
    family = load_family(space.family, space.path.parent)
    if getattr(config, "train", None) is None:
        raise HpsearchError(f"the family {space.family} is not trained by hpsearch's own loop")
    config = located(config, space.path.parent)
    seeds = Seeds.for_trial(space.search.seed, 0)
    splits = Splits(lambda split: family.load(config.data, split, seeds.split), sealed=True)
    return family.task(config, splits), splits, seeds
