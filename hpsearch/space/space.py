"""A space: a configuration of a family in which values are ranges, and what the search asks of it."""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError

from hpsearch.errors import HpsearchError, suggestion
from hpsearch.records import Goal
from hpsearch.space.mistakes import mistakes_of
from hpsearch.space.ranges import HEADS, KEYS, canonical, flow, show
from hpsearch.space.requirements import Requirement
from hpsearch.space.search_settings import Confirm, MeanOfLast, Objective, Search
from hpsearch.space.template import Parameter, Template, join

BRANCHES = ("sampler", "pruner")
"""The settings of a search that are a name with options of its own."""


class FamilyInterface(Protocol):
    """What a space needs to know of a family."""

    @property
    def Config(self) -> type[BaseModel]:  # noqa: N802 # it is a class
        """The settings class of a complete configuration."""
        ...

    @property
    def metrics(self) -> Mapping[str, Goal]:
        """Every score of the family with its direction; empty when any name may come."""
        ...

    def objections(self, configuration: Mapping[str, Any]) -> Mapping[str, str]:
        """Return what is wrong with a configuration beyond its settings by themselves, by dotted path."""
        ...


@dataclass(frozen=True)
class Space:
    """A space that has been checked. `text` is the file as given; everything else is after quick and --set."""

    path: Path
    text: str
    family: str
    interface: FamilyInterface
    objective: Objective
    search: Search
    confirm: Confirm | None
    template: Template
    requirements: tuple[Requirement, ...] = ()
    start: tuple[Mapping[str, Any], ...] = ()

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every range, in the order of the file, branches before what depends on them."""
        return self.template.parameters

    @property
    def size(self) -> int | None:
        """How many configurations there are, requirements aside; None when a range is continuous."""
        return self.template.size

    @property
    def continuous(self) -> int:
        """How many of the ranges are continuous."""
        return sum(parameter.range.count is None for parameter in self.parameters)

    @property
    def combinations(self) -> int:
        """How many configurations there are, requirements and continuous ranges aside."""
        return self.template.combinations

    def active(self, params: Mapping[str, Any]) -> tuple[Parameter, ...]:
        """Return the parameters that exist under the options that `params` has taken."""
        return self.template.active(params)

    def configuration(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the plain nested configuration; what the space does not mention is left to the family's defaults.

        Raises:
            HpsearchError: A parameter that exists has no value.
        """
        return self.template.fill(params)

    def config(self, params: Mapping[str, Any]) -> BaseModel:
        """Return the validated configuration.

        Raises:
            HpsearchError: The family refuses it.
        """
        try:
            return self.interface.Config.model_validate(self.configuration(params))
        except ValidationError as error:
            found = mistakes_of(self.interface.Config, error)
            raise HpsearchError("; ".join(mistake.message for mistake in found)) from error

    def violation(self, params: Mapping[str, Any]) -> str | None:
        """Return the first requirement that the values break, or what the family says against them; else None."""
        try:
            return self.broken(self.config(params))
        except HpsearchError as error:
            return str(error)

    def broken(self, config: BaseModel) -> str | None:
        """Return the first requirement that a configuration breaks, if any."""
        return next((requirement.text for requirement in self.requirements if requirement.broken(config)), None)

    def canonical(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values in the form that their ranges give them, so that equal configurations are equal."""
        known = {parameter.path: parameter.range for parameter in self.parameters}
        return {path: canonical(known[path], value) if path in known else value for path, value in params.items()}

    def params_of(self, config: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters of a complete configuration: their `known` values, or else those of the configuration.

        Raises:
            HpsearchError: A parameter has no value. Whether values lie in their ranges is not checked.
        """
        params: dict[str, Any] = {}
        for each in self.parameters:
            if each.exists(params):
                params[each.path] = known[each.path] if each.path in known else each.found_in(config)
        return params

    def check_params(self, params: Mapping[str, Any], *, partial: bool = False) -> list[str]:
        """List why the values are no configuration of this space; `partial` allows missing ones."""
        found = self.check_values(params, partial=partial)
        if not found and all(parameter.path in params for parameter in self.active(params)):
            violation = self.violation(params)
            found += [f"breaks {violation}"] if violation else []
        return found

    def check_values(self, params: Mapping[str, Any], *, partial: bool = False) -> list[str]:
        """List which values are wrong or missing, each by itself; see `check_params` for all of them together."""
        found = [f"{path}: {message}" for path, message in self.wrong_params(params).items()]
        if not partial:
            active = self.active(params)
            found += [f"{parameter.path}: no value" for parameter in active if parameter.path not in params]
        return found

    def wrong_params(self, params: Mapping[str, Any]) -> dict[str, str]:
        """Return, by name, which values name no parameter, lie outside its range or belong to an option not taken."""
        known = {parameter.path: parameter for parameter in self.parameters}
        wrong: dict[str, str] = {}
        for path, value in params.items():
            parameter = known.get(path)
            if parameter is None:
                wrong[path] = (
                    f"is not a range of this space{suggestion(path, known)}; known: {', '.join(known) or 'none'}"
                )
            elif not parameter.range.contains(value):
                wrong[path] = f"{show(value)} is not in {show(parameter.range.written())}"
            else:
                taken = [
                    f"{branch} is {params[branch]!r}"
                    for branch, name in parameter.when
                    if params.get(branch, name) != name
                ]
                if taken:
                    wrong[path] = f"does not exist when {taken[0]}"
        return wrong

    def sample(self, rng: random.Random, given: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
        """Draw a value for every parameter that exists and is not given; requirements are not looked at."""
        return self.template.sample(rng, given)

    def sample_feasible(
        self,
        rng: random.Random,
        given: Mapping[str, Any] = MappingProxyType({}),
        *,
        attempts: int = 10_000,
    ) -> dict[str, Any] | None:
        """Draw until nothing is violated, or None after this number of attempts."""
        for _ in range(attempts):
            params = self.sample(rng, given)
            if self.violation(params) is None:
                return params
        return None

    @cached_property
    def example(self) -> Mapping[str, Any]:
        """The parameters of any feasible configuration, for what all of them have in common; empty if none is found."""
        return self.sample_feasible(random.Random(0)) or {}  # noqa: S311 -- nothing depends on the choice

    def grid(self) -> Iterator[dict[str, Any]]:
        """Return every combination, requirements not looked at.

        Raises:
            HpsearchError: A range is continuous.
        """
        return self.template.grid()

    def going_on_from(self, earlier: Mapping[str, Any]) -> "Space":
        """Return the space with the sampler and pruner that it was searched with `earlier`, where it names none.

        A search keeps what it began with when the defaults change. `earlier` is what `resolved` returned then.
        """
        search = earlier.get("search", {})
        names = [name for name in BRANCHES if name in search and name not in self.search.model_fields_set]
        try:
            kept = Search.model_validate({name: search[name] for name in names})
        except ValidationError:
            return self
        return replace(self, search=self.search.model_copy(update={name: getattr(kept, name) for name in names}))

    def resolved(self) -> dict[str, Any]:
        """Return the whole space as plain data, a valid space file again; see `space_from_resolved`."""
        search = self.search.model_dump(mode="json")
        for name in ("split_seed", "seeds"):
            if search[name] is None:
                del search[name]  # spaces of earlier versions have none
        for branch in BRANCHES:
            kind = search[branch].pop("kind")
            search[branch] = {kind: search[branch]}
        return {
            "family": self.family,
            "objective": self.objective.model_dump(mode="json"),
            "search": search,
            "confirm": self.confirm.model_dump(mode="json") if self.confirm else None,
            "require": [requirement.text for requirement in self.requirements],
            "start": [dict(entry) for entry in self.start],
            **self.template.written(),
        }


def objective_value(history: Sequence[tuple[int, float]], objective: Objective) -> tuple[float, int]:
    """Return the value of a history of (step, value) and the step at which it was taken.

    `best` passes over values that are not finite and takes the earliest of equals; it is NaN at the last step when none
    is finite. `mean_of_last` takes what there is when fewer steps were reported.

    Raises:
        HpsearchError: The history is empty.
    """
    if not history:
        raise HpsearchError(f"the trial reported no {objective.metric}, so it has no value")
    last_step, last_value = history[-1]
    if isinstance(objective.at, MeanOfLast):
        values = [value for _, value in history[-objective.at.mean_of_last :]]
        return sum(values) / len(values), last_step
    if objective.at == "last":
        return last_value, last_step
    best: tuple[float, int] = (math.nan, last_step)
    for step, value in history:
        if math.isfinite(value) and (math.isnan(best[0]) or objective.goal.better(value, best[0])):
            best = (value, step)
    return best


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return lines such as `train.epochs: 20 -> 30`, in the order of the new space, removed settings last."""
    before, after = dict(_flat(old, "")), dict(_flat(new, ""))
    paths = [*after, *(path for path in before if path not in after)]
    return [
        f"{path}: {before.get(path, '(not set)')} -> {after.get(path, '(not set)')}"
        for path in paths
        if before.get(path) != after.get(path)
    ]


def overrides_between(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return what `--set` needs to make one resolved space of another, as `train.epochs=30`; nothing is taken away."""
    before = dict(_flat(old, ""))
    return [f"{path}={text}" for path, text in _flat(new, "") if before.get(path) != text]


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, Mapping) or not value:
        yield path, flow(value)
    elif not _is_range(value):
        for name, child in value.items():
            yield from _flat(child, join(path, name))
    elif isinstance(value.get("choice"), Mapping):
        yield path, flow({"choice": list(value["choice"])})
        for name, settings in value["choice"].items():
            yield from (pair for pair in _flat(settings, join(path, name)) if settings)
    else:
        yield path, flow(value)


def _is_range(value: Mapping[str, Any]) -> bool:
    return any(head in value for head in HEADS) and all(name in KEYS for name in value)
