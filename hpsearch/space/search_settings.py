"""The sections of a space file that do not belong to the family: objective, search and confirm."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, field_validator, model_validator

from hpsearch.errors import HpsearchError, suggestion
from hpsearch.records import Goal
from hpsearch.settings import NAMED, OWN, UNFOLD, Option, OwnOption, Settings
from hpsearch.space.pruner_options import AutoPruner, NamedPruner, OwnPruner
from hpsearch.user_code import is_reference

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd]\s*)+")


def parse_duration(value: Any) -> Any:
    """Turn `90s`, `15m`, `2h`, `1d` or `1h30m` into seconds; a number is seconds already."""
    if isinstance(value, bool):
        raise ValueError(f"a duration is expected here, not {str(value).lower()}")  # noqa: TRY004 # pydantic wants it
    if not isinstance(value, str):
        return value
    if not _DURATION.fullmatch(value.strip()):
        raise ValueError(f"{value!r} is not a duration; write 90s, 15m, 2h, 1d, 1h30m or a number of seconds")
    return sum(float(amount) * _UNITS[unit] for amount, unit in re.findall(r"(\d+(?:\.\d+)?)([smhd])", value))


_WRITTEN: list[dict[str, Any]] = [
    {"type": "number", "exclusiveMinimum": 0},
    {"type": "string", "pattern": f"^{_DURATION.pattern}$"},
]
Duration = Annotated[float, Field(gt=0), BeforeValidator(parse_duration), WithJsonSchema({"anyOf": [*_WRITTEN]})]


class MeanOfLast(Settings):
    """The mean of the last k reported values."""

    mean_of_last: int = Field(ge=1)


class Objective(Settings):
    """What the search improves: a validation metric, its direction, and the step at which it is taken."""

    metric: str
    goal: Goal
    at: Literal["best", "last"] | MeanOfLast = "best"

    @field_validator("at", mode="before")
    @classmethod
    def _one_rule(cls, value: Any) -> Any:
        known = isinstance(value, MeanOfLast) or value in ("best", "last")
        if not known and not (isinstance(value, dict) and list(value) == ["mean_of_last"]):
            raise ValueError("expected best, last or {mean_of_last: k}")
        return value


class TPE(Option):
    """Tree-structured Parzen estimator (Bergstra et al. 2011), after `startup` random trials."""

    kind: Literal["tpe"] = "tpe"
    startup: int = Field(default=10, ge=0)


class AutoSampler(Option):
    """A Gaussian process after `startup` quasi-random trials, and TPE once there are many."""

    kind: Literal["auto"] = "auto"
    startup: int = Field(default=10, ge=3)


class RandomSampler(Option):
    """Independent random configurations."""

    kind: Literal["random"] = "random"


class Grid(Option):
    """Every configuration once; each range must be finite."""

    kind: Literal["grid"] = "grid"


class GaussianProcess(Option):
    """Bayesian optimization with a Gaussian process, after `startup` random trials."""

    kind: Literal["gp"] = "gp"
    startup: int = Field(default=10, ge=0)


class CMAES(Option):
    """Covariance matrix adaptation (Hansen 2016), after `startup` random trials; numbers only."""

    kind: Literal["cmaes"] = "cmaes"
    startup: int = Field(default=1, ge=0)


class QuasiMonteCarlo(Option):
    """A low-discrepancy sequence, more even than random."""

    kind: Literal["qmc"] = "qmc"


class NSGA2(Option):
    """The genetic algorithm of Deb et al. 2002."""

    kind: Literal["nsga2"] = "nsga2"
    population: int = Field(default=50, ge=2)


class OwnSampler(OwnOption):
    """A sampler of the user's: a class derived from optuna.samplers.BaseSampler, or a function that makes one."""


NamedSampler = AutoSampler | TPE | RandomSampler | Grid | GaussianProcess | CMAES | QuasiMonteCarlo | NSGA2
Sampler = NamedSampler | OwnSampler


def _whose(value: Any) -> str:
    """Say which kind of option a sampler or pruner is, for pydantic."""
    kind = value.get("kind", "") if isinstance(value, Mapping) else getattr(value, "kind", "")
    return OWN if isinstance(kind, str) and is_reference(kind) else NAMED


WHOSE = Discriminator(_whose)


class Resources(Settings):
    """What each process of a trial occupies; only engines that run on a cluster reserve all of it."""

    cpus: float = Field(default=1.0, ge=0)
    gpus: float | None = Field(default=None, ge=0)
    """GPUs, or a fraction of one; by default one where there are GPUs."""
    trials_per_gpu: int | None = Field(default=None, ge=1)
    """The same as gpus: 1/trials_per_gpu."""
    custom: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """Resources that nodes of the cluster offer by name."""
    processes: int = Field(default=1, ge=1)
    """Processes of one trial, placed together."""

    @model_validator(mode="after")
    def _one_way(self) -> "Resources":
        if self.gpus is not None and self.trials_per_gpu is not None:
            raise ValueError("give gpus or trials_per_gpu, not both")
        if self.gpus is not None and self.gpus > 1 and self.gpus % 1:
            raise ValueError(f"{self.gpus:g} GPUs cannot be had: above one, whole numbers only")
        return self

    def gpu_share(self, *, present: bool) -> float:
        """Return the GPUs of a process, where GPUs are present or not."""
        if self.trials_per_gpu is not None:
            return 1 / self.trials_per_gpu
        return float(present) if self.gpus is None else self.gpus


class Race(Settings):
    """The configurations that may be the best are trained on further seeds, until each has `most` or is beaten."""

    most: int = Field(default=5, ge=2)
    """On how many seeds a configuration is trained at most."""


class SearchSeeds(Settings):
    """On which seeds the search trains its configurations, where one for each is not enough."""

    race: Race


class Search(Settings):
    """How the search is run; durations are in seconds.

    Pruners count evaluations, the reports of a trial: epochs, unless `train.evaluate` says otherwise.
    """

    engine: str = "local"
    sampler: Annotated[
        Annotated[NamedSampler, Field(discriminator="kind"), Tag(NAMED)] | Annotated[OwnSampler, Tag(OWN)],
        WHOSE,
        UNFOLD,
    ] = AutoSampler()
    pruner: Annotated[
        Annotated[NamedPruner, Field(discriminator="kind"), Tag(NAMED)] | Annotated[OwnPruner, Tag(OWN)],
        WHOSE,
        UNFOLD,
    ] = AutoPruner()
    trials: int = Field(default=50, ge=1)
    """How many trainings; with `seeds`, those on further seeds count, too."""
    time: Duration | None = None
    """When the whole search stops asking for trials."""
    trial_time: Duration | None = None
    """When a single trial is stopped as timed out."""
    seed: int = 0
    seeds: SearchSeeds | None = None
    """By default each configuration is trained on one seed of its own."""
    split_seed: int | None = None
    """The seed that divides or simulates the data; by default `seed`. With it searches of several seeds share them."""
    workers: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    retries: int = Field(default=2, ge=0)
    resources: Resources = Resources()
    pack: Literal["auto", "off"] | Annotated[int, Field(ge=1)] = "off"
    """How many trials of one shape a worker of this machine trains as one; `auto`: what a probe finds fastest."""
    storage: str | None = None
    """Where workers keep their files when they do not share the experiment's folder: a folder's path or a URI."""

    @field_validator("engine")
    @classmethod
    def _engine(cls, name: str) -> str:
        return "local" if name == "optuna" else name  # its name in earlier versions

    @field_validator("pack", mode="before")
    @classmethod
    def _pack(cls, value: Any) -> Any:
        if value is False:
            return "off"  # what YAML reads where `off` is written
        if value not in ("auto", "off") and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError("expected auto, off or a whole number of at least 1")
        return value

    @field_validator("workers", mode="before")
    @classmethod
    def _workers(cls, value: Any) -> Any:
        if value != "auto" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError("expected auto or a whole number of at least 1")
        return value


class Replicates(Settings):
    """How often a configuration is trained again: on fresh seeds, or on folds of the data, the division repeated."""

    seeds: int | None = Field(default=None, ge=1)
    folds: int | None = Field(default=None, ge=2)
    repeats: int = Field(default=1, ge=1)
    """How often the data are divided into folds anew."""

    @model_validator(mode="after")
    def _one_way(self) -> "Replicates":
        if (self.seeds is None) == (self.folds is None):
            raise ValueError("give either {seeds: k} or {folds: k, repeats: r}")
        if self.repeats > 1 and self.folds is None:
            raise ValueError("repeats are of folds: write {folds: k, repeats: r}")
        return self

    @property
    def count(self) -> int:
        """How many trainings of a configuration these are."""
        return (self.seeds or 0) if self.folds is None else self.folds * self.repeats


class Confirm(Replicates):
    """Which winners are trained again, and how often: on 5 fresh seeds unless told otherwise."""

    top: int = Field(default=1, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _seeds_unless_folds(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and given.get("seeds") is None and given.get("folds") is None:
            return {**given, "seeds": 5}
        return given


def confirmation(*, top: int, seeds: int | None, folds: int | None, repeats: int | None) -> Confirm:
    """Return what a command asks for.

    Raises:
        HpsearchError: if a number is too small, or if they do not fit together.
    """
    if seeds is not None and folds is not None:
        raise HpsearchError("seeds and folds exclude each other: replicates are on fresh seeds or on folds of the data")
    if repeats is not None and folds is None:
        raise HpsearchError("repeats are of folds: give the number of folds, too")
    for name, number, least in (("top", top, 1), ("seeds", seeds, 1), ("folds", folds, 2), ("repeats", repeats, 1)):
        if number is not None and number < least:
            raise HpsearchError(f"{name} is {number}: at least {least} is needed")
    return Confirm(top=top, seeds=seeds, folds=folds, repeats=repeats or 1)


def check_objective(metric: Any, goal: Any, metrics: Mapping[str, Goal]) -> list[tuple[str, str]]:
    """Return what is wrong with a metric and goal, given the metrics of the family, as (setting, message)."""
    if not isinstance(metric, str):
        return []
    split, slash, name = metric.partition("/")
    if split == "test" and slash:
        return [
            ("metric", "the test split is read only by confirm: a search on it would leave nothing to confirm with")
        ]
    if not metrics:
        return []  # a program's own names
    known = [f"val/{each}" for each in sorted(metrics)]
    if split != "val" or name not in metrics:
        listed = f"; known: {', '.join(known)}"
        return [("metric", f"unknown metric {metric!r}{suggestion(metric, known)}{listed}")]
    direction = metrics.get(name)
    if direction and goal in tuple(Goal) and goal != direction:
        return [("goal", f"{metric} is to {direction}, not to {goal}")]
    return []
