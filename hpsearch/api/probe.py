"""Short trainings that answer a question before a search: `hpsearch.lr_find`, `overfit` and `batch_size`.

Nothing is written: there is no experiment. The test split stays sealed.
"""

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.api.arguments import BEST, Overrides, Params, StrPath, find_experiment, given_params, settings_of
from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import EXPERIMENTS
from hpsearch.families.loading import load_family
from hpsearch.final.selection import find_source
from hpsearch.places import located
from hpsearch.running.loading import load_space
from hpsearch.seeds import Seeds
from hpsearch.space import Space
from hpsearch.space.shelf import Shelf, find_file
from hpsearch.training.batch_sizes import BatchSizes, try_batch_sizes
from hpsearch.training.overfitting import Overfit, overfit_batch
from hpsearch.training.range_test import RangeTest, range_test
from hpsearch.training.task import Splits, Task
from hpsearch.trust import trusting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Announce = Callable[[dict[str, Any]], None]
"""Hears of the configuration that is tried, before its training begins."""
_SWITCHED_OFF = ("dropout", "drop_connect", "weight_decay", "noise_std", "max_shift")
"""Settings that keep a model from learning a batch by heart, by the end of their names; 0 takes them away."""


class FoundRates(RangeTest):
    """Losses by learning rate, and the two rates that they suggest."""

    def __repr__(self) -> str:
        if self.steepest is None or self.tenth is None:
            return f"<no learning rate found: the loss did not fall in {len(self.rates)} steps>"
        return f"<learning rates: {self.steepest:.2g} (steepest descent), {self.tenth:.2g} (a tenth of the minimum's)>"

    def plot(self) -> "Figure":
        """Return the losses over the rates, with both suggestions."""
        from hpsearch.report.charts.training import draw_range

        rates = (("steepest", self.steepest), ("minimum / 10", self.tenth))
        return draw_range(self.rates, self.losses, self.smoothed, rates)


def lr_find(
    space: StrPath,
    *,
    params: Params | None = None,
    from_: StrPath | None = None,
    quick: bool = False,
    set: Overrides | None = None,  # noqa: A002 -- the option's name
    start_lr: float = 1e-7,
    end_lr: float = 1.0,
    num_iter: int = 100,
    trust: bool | None = None,
    announce: Announce | None = None,
) -> FoundRates:
    """Let the learning rate grow from step to step until the loss diverges; `hpsearch lr-find` in Python.

    Example:
        found = hpsearch.lr_find("spaces/char_lm.yaml", quick=True)
        found.steepest, found.tenth
        found.plot()

    Args:
        space: A space file.
        params: The configuration: dotted names and values, a file of them, or "best"; by default the first `start`.
        from_: The experiment whose winner "best" is.
        quick: Lay the space's `quick` section over it.
        set: Values or ranges that replace those of the file, by their dotted names.
        start_lr: The first learning rate.
        end_lr: The last one.
        num_iter: Optimizer steps.
        trust: Whether code from outside this project may run; by default it may, but a command asks (SECURITY.md).
        announce: Hears of the configuration before its training begins.

    Raises:
        SpaceError: The file or the values have mistakes.
        UntrustedCodeError: The space names code from outside this project, which is not trusted.
        HpsearchError: The rates are in no order, or the family is not trained by hpsearch's own loop.
    """
    loaded, config = _prepared(space, params, from_, quick=quick, overrides=set, trust=trust, announce=announce)
    task, splits, seeds = _opened(loaded, config)
    found = range_test(task, splits, config.train, seeds=seeds, start=start_lr, end=end_lr, steps=num_iter)
    return FoundRates(**vars(found))


def overfit(
    space: StrPath,
    *,
    params: Params | None = None,
    from_: StrPath | None = None,
    quick: bool = False,
    set: Overrides | None = None,  # noqa: A002 -- the option's name
    steps: int = 1000,
    target: float = 0.01,
    trust: bool | None = None,
    announce: Announce | None = None,
    tell: Callable[[int, float], None] | None = None,
) -> Overfit:
    """Let a model learn one batch by heart, without dropout, decay and noise; `hpsearch overfit` in Python.

    Example:
        assert hpsearch.overfit("spaces/char_lm.yaml", quick=True).passed

    Args:
        space: A space file.
        params: The configuration: dotted names and values, a file of them, or "best"; by default the first `start`.
        from_: The experiment whose winner "best" is.
        quick: Lay the space's `quick` section over it.
        set: Values or ranges that replace those of the file, by their dotted names.
        steps: Steps at most.
        target: The loss to reach, as a fraction of the first one.
        trust: Whether code from outside this project may run; by default it may, but a command asks (SECURITY.md).
        announce: Hears of the configuration before its training begins.
        tell: Hears of the loss at every hundredth step.

    Raises:
        SpaceError: The file or the values have mistakes.
        UntrustedCodeError: The space names code from outside this project, which is not trusted.
        HpsearchError: The training diverged, or the family is not trained by hpsearch's own loop.
    """
    loaded, config = _prepared(space, params, from_, quick=quick, overrides=set, trust=trust, announce=announce)
    changed: Any = loaded.interface.Config.model_validate(_switched_off(config.model_dump(mode="json")))
    task, splits, seeds = _opened(loaded, changed)
    return overfit_batch(
        task, splits, changed.train, seeds=seeds, steps=steps, target=target, tell=tell or (lambda *_: None)
    )


def batch_size(
    space: StrPath,
    *,
    params: Params | None = None,
    from_: StrPath | None = None,
    quick: bool = False,
    set: Overrides | None = None,  # noqa: A002 -- the option's name
    most: int | None = None,
    trust: bool | None = None,
    announce: Announce | None = None,
    tell: Callable[[int, float, int | None], None] | None = None,
) -> BatchSizes:
    """Double the batch size until the memory is used up; `hpsearch batch-size` in Python.

    Example:
        found = hpsearch.batch_size("spaces/char_lm.yaml", quick=True, most=64)
        found.largest, found.fastest

    Args:
        space: A space file.
        params: The configuration: dotted names and values, a file of them, or "best"; by default the first `start`.
        from_: The experiment whose winner "best" is.
        quick: Lay the space's `quick` section over it.
        set: Values or ranges that replace those of the file, by their dotted names.
        most: The largest size to try; by default all examples.
        trust: Whether code from outside this project may run; by default it may, but a command asks (SECURITY.md).
        announce: Hears of the configuration before its training begins.
        tell: Hears of each size that fits, the examples in a second, and the bytes in use at most if they are known.

    Raises:
        SpaceError: The file or the values have mistakes.
        UntrustedCodeError: The space names code from outside this project, which is not trusted.
        HpsearchError: The family is not trained by hpsearch's own loop.
    """
    loaded, config = _prepared(space, params, from_, quick=quick, overrides=set, trust=trust, announce=announce)
    task, splits, seeds = _opened(loaded, config)
    return try_batch_sizes(task, splits, config.train, seeds=seeds, most=most, tell=tell or (lambda *_: None))


def _prepared(
    space: StrPath,
    params: Params | None,
    source: StrPath | None,
    *,
    quick: bool,
    overrides: Overrides | None,
    trust: bool | None,
    announce: Announce | None,
) -> tuple[Space, Any]:
    """Return the space and the configuration that is tried."""
    with trusting(trust):
        loaded = load_space(find_file(Path(space), Shelf.SPACES), quick=quick, overrides=settings_of(overrides))
    if params is None:
        values = first_params(loaded)
    elif params == BEST:
        values = find_source(find_experiment(source or EXPERIMENTS / loaded.path.stem)).params
    else:
        values = given_params(params, loaded)
    if announce is not None:
        announce(values)
    return loaded, loaded.config(values)


def first_params(space: Space) -> dict[str, Any]:
    """Return the values to try when none are given: the first start entry, what it leaves open drawn by the seed.

    Raises:
        HpsearchError: The space has no configuration that keeps its requirements.
    """
    drawn = space.sample_feasible(random.Random(space.search.seed))  # noqa: S311 -- not a secret
    if drawn is None:
        raise HpsearchError(f"{space.path} has no configuration that keeps its requirements")
    given = dict(next(iter(space.start), {}))
    filled = {**drawn, **given}
    active = {parameter.path for parameter in space.active(filled)}
    kept = {path: value for path, value in filled.items() if path in active}
    return kept if not space.check_params(kept) else drawn


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
    seeds = Seeds.for_trial(space.search.seed, 0, split_seed=space.search.split_seed)
    splits = Splits(lambda split: family.load(config.data, split, seeds.split), sealed=True)
    return family.task(config, splits), splits, seeds
