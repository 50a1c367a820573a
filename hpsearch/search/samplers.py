"""The samplers, a named row each.

A sampler is made anew for every ask, seeded from (experiment seed, trial number), so that its state follows from the
log and a resumed search goes on as an unbroken one would (design.md 6.3).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import optuna

from hpsearch.errors import UnknownNameError
from hpsearch.search.history import BEST, LATEST, Proposer
from hpsearch.seeds import derive_seed
from hpsearch.space import Space


@dataclass(frozen=True)
class AskSeeds:
    """The seed of this ask, and the one that all asks of the experiment share."""

    ask: int
    experiment: int


@dataclass(frozen=True)
class SamplerRow:
    """How a sampler of the space file is made for Optuna.

    `replayed`: it keeps notes in Optuna's storage, so a resumed search asks it again for every earlier trial.
    `marks`: whose feasibility it wants to be told: that of the infeasible trials, of all, or of none, in which case an
    infeasible trial is only one with an infinitely bad value.
    `enumerates`: it has no form of its own here; the engine walks the space's grid.
    `kept`: it is one object for the whole search, that sees every trial.
    `models`: it models values. So it is shown forecasts of those that were stopped (outlook.py), and until a trial is
    complete it is asked for random configurations, since it would take some of the infeasible trials for good ones.
    """

    make: Callable[[Any, AskSeeds], optuna.samplers.BaseSampler]
    replayed: bool = False
    marks: Literal["infeasible", "all", "none"] = "infeasible"
    enumerates: bool = False
    kept: bool = False
    models: bool = False
    sees: Callable[[Any], tuple[int, int]] = lambda _: (BEST, LATEST)
    """How many of the best and of the latest trials it is shown, by its options, if the search has more."""
    proposes: Callable[[Any, Space], Proposer] | None = None
    """What is asked before the sampler, and may leave the proposal to it."""


def _random(_: Any, seeds: AskSeeds) -> optuna.samplers.BaseSampler:
    return optuna.samplers.RandomSampler(seed=seeds.ask)


def _tpe(options: Any, seeds: AskSeeds) -> optuna.samplers.BaseSampler:
    # group: settings of a branch are modelled together with those they share trials with, instead of one by one
    return optuna.samplers.TPESampler(n_startup_trials=options.startup, group=True, multivariate=True, seed=seeds.ask)


def _auto(options: Any, space: Space) -> Proposer:
    from hpsearch.search.auto import AutoProposer  # SciPy is loaded where it is used

    return AutoProposer(space, startup=options.startup, seed=derive_seed(space.search.seed, "sampler"))


def _gp(options: Any, seeds: AskSeeds) -> optuna.samplers.BaseSampler:
    return optuna.samplers.GPSampler(
        n_startup_trials=options.startup,
        seed=seeds.ask,
        independent_sampler=optuna.samplers.RandomSampler(seed=seeds.ask),
        warn_independent_sampling=False,
    )


def _cmaes(options: Any, seeds: AskSeeds) -> optuna.samplers.BaseSampler:
    return optuna.samplers.CmaEsSampler(
        n_startup_trials=options.startup,
        seed=seeds.ask,
        independent_sampler=optuna.samplers.RandomSampler(seed=seeds.ask),
        warn_independent_sampling=False,
    )


def _qmc(_: Any, seeds: AskSeeds) -> optuna.samplers.BaseSampler:
    return optuna.samplers.QMCSampler(
        scramble=True,
        seed=seeds.experiment,  # one scrambled sequence for the whole experiment
        independent_sampler=optuna.samplers.RandomSampler(seed=seeds.ask),
        warn_independent_sampling=False,
    )


def _nsga2(options: Any, seeds: AskSeeds) -> optuna.samplers.BaseSampler:
    return optuna.samplers.NSGAIISampler(population_size=options.population, seed=seeds.ask)


def _generations(options: Any) -> tuple[int, int]:
    """Return what shows the parents, the best so far, and the generation that they are having."""
    return 2 * options.population, 4 * options.population


SAMPLERS: Mapping[str, SamplerRow] = MappingProxyType(
    {
        "auto": SamplerRow(_tpe, models=True, proposes=_auto),
        "tpe": SamplerRow(_tpe, models=True),
        "random": SamplerRow(_random),
        "grid": SamplerRow(_random, enumerates=True),
        "gp": SamplerRow(_gp, marks="all"),
        "cmaes": SamplerRow(_cmaes, replayed=True, marks="none"),
        "qmc": SamplerRow(_qmc, replayed=True),
        "nsga2": SamplerRow(_nsga2, replayed=True, sees=_generations),
    }
)


def own_row(sampler: optuna.samplers.BaseSampler) -> SamplerRow:
    """Return the row of a sampler of the user's own, whose answers may depend on all that it saw."""
    return SamplerRow(lambda _, __: sampler, replayed=True, marks="all", kept=True)


def sampler_row(name: str) -> SamplerRow:
    """Return the row of a sampler.

    Raises:
        UnknownNameError: the name is not known.
    """
    if name not in SAMPLERS:
        raise UnknownNameError("sampler", name, SAMPLERS)
    return SAMPLERS[name]
