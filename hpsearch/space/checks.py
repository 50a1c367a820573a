"""The checks of a whole space: what grid and pruner ask of its ranges, feasibility, folds, the files that it names."""

import random
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from hpsearch.experiment.addresses import without_secrets
from hpsearch.places import NamedPlace, located, named_places, obstacle, texts_in
from hpsearch.settings import Settings
from hpsearch.space.elsewhere import meant_as_range
from hpsearch.space.fields import SettingsSection, Shape, walk
from hpsearch.space.located_yaml import Node, Place, Problems
from hpsearch.space.mistakes import mistakes_of
from hpsearch.space.pruner_options import PB2, PBT, Pausing
from hpsearch.space.ranges import Choice, show
from hpsearch.space.search_settings import Grid
from hpsearch.space.space import Space
from hpsearch.space.validation import part_of, place_of, probes, usual_params, written_at

_ATTEMPTS = 10_000
_Rule = tuple[int | str, ...]
"""The number of a requirement, or the place of what the family refuses."""

Families = Callable[[], Sequence[str]]
"""Finds the names of the families that divide their data into folds; only asked where one does not."""


def check_grid(space: Space, root: Node, problems: Problems) -> None:
    """Report every continuous range that the grid sampler would have to try whole."""
    if isinstance(space.search.sampler, Grid):
        for parameter in space.parameters:
            if parameter.range.grid() is None:
                message = f"{parameter.path}: the grid sampler needs finite ranges; give it a step, or use choice"
                problems.add(written_at(root, parameter.path).place, message)


def check_mutable(space: Space, root: Node, settings: SettingsSection, problems: Problems) -> None:
    """Report every mutable range over a setting that is fixed, and a pruner that lacks the ranges it needs."""
    mutable = [parameter for parameter in space.parameters if parameter.range.mutable]
    for parameter in mutable:
        fixed = _fixed_part(settings, parameter.path)
        if fixed:
            message = f"{parameter.path}: {fixed} cannot change while a training runs, so it cannot be mutable"
            problems.add(_flag_of(root, parameter.path).key, message)
    pruner = space.search.pruner
    if isinstance(pruner, PBT | PB2) and not mutable:
        message = f"search.pruner: {pruner.kind} needs a range to change; add mutable: true to one"
        problems.add(written_at(root, "search.pruner").place, message)
    if isinstance(pruner, PB2):
        for parameter in mutable:
            if isinstance(parameter.range, Choice):
                message = f"{parameter.path}: pb2 changes numbers only; a mutable choice needs the pruner pbt"
                problems.add(_flag_of(root, parameter.path).key, message)


def check_race(space: Space, root: Node, problems: Problems) -> None:
    """Report a race over seeds where trials have no configuration and no seed of their own."""
    pruner = space.search.pruner
    if space.search.seeds is not None and isinstance(pruner, PBT | PB2):
        message = (
            f"search.seeds: under the pruner {pruner.kind} a trial goes on as a copy of another, settings and weights, "
            "so that there is no configuration to train on a further seed; expected another pruner, or no seeds"
        )
        problems.add(written_at(root, "search.seeds").place, message)
    if space.search.seeds is not None and isinstance(pruner, Pausing) and pruner.waits_for_all:
        message = (
            f"search.seeds: under the pruner {pruner.kind} with synchronous: true no trial is complete before all have "
            "begun, and then the budget is spent; expected synchronous: false, another pruner, or no seeds"
        )
        problems.add(written_at(root, "search.seeds").place, message)


def _fixed_part(settings: SettingsSection, path: str) -> str | None:
    """Return the setting on the way to `path` that is marked FIXED, or None."""
    shape: Shape = settings
    passed: list[str] = []
    for step, below, _ in walk(settings, path.split(".")):
        passed.append(str(step))
        if isinstance(shape, SettingsSection) and step in shape.fixed:
            return ".".join(passed)
        shape = below
    return None


def _flag_of(root: Node, path: str) -> Node:
    """Return the `mutable` setting next to the range at `path`."""
    return written_at(root, path).nearest(["mutable"])


def check_feasible(space: Space, root: Node, required_at: Sequence[Place], problems: Problems) -> None:
    """Look for one feasible configuration; if there is none, blame the rule that was broken most often."""
    whole = space.size is not None and space.size <= _ATTEMPTS
    rng = random.Random(0)  # noqa: S311 # no secret
    tried = space.grid() if whole else (space.sample(rng) for _ in range(_ATTEMPTS))
    broken: Counter[_Rule] = Counter()
    example: dict[_Rule, ValidationError | None] = {}
    for params in tried:
        rule, error = _first_broken(space, params)
        if rule is None:
            return
        broken[rule] += 1
        example.setdefault(rule, error)
    (rule, times), total = broken.most_common(1)[0], broken.total()
    refusal = example[rule]
    if refusal is not None:
        mistake = mistakes_of(space.interface.Config, refusal)[0]
        place, words = place_of(root, mistake), mistake.message
    else:
        place, words = required_at[int(rule[0])], space.requirements[int(rule[0])].text
    which = f"none of the {total} configurations" if whole else f"none of {total} random configurations"
    problems.add(place, f"{which} is feasible; {times} break this: {words}")


def _first_broken(space: Space, params: Mapping[str, Any]) -> tuple[_Rule | None, ValidationError | None]:
    """Return the number of the requirement that is broken, or the place of what the family refuses with its words."""
    try:
        config = space.interface.Config.model_validate(space.configuration(params))
    except ValidationError as error:
        return error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"], error
    numbers = (number for number, requirement in enumerate(space.requirements) if requirement.broken(config))
    number = next(numbers, None)
    return (None if number is None else (number,)), None


def divides(config: type[BaseModel]) -> bool:
    """Check whether configurations of this class have `data.folds`, see `data/folds.py`."""
    data = config.model_fields.get("data")
    kind = None if data is None else data.annotation
    return isinstance(kind, type) and issubclass(kind, BaseModel) and "folds" in kind.model_fields


def on_fold(configuration: Mapping[str, Any], *, fold: int, folds: int, seed: int) -> dict[str, Any]:
    """Return the configuration with one fold of a division as its test part."""
    division = {"count": folds, "index": fold, "seed": seed}
    return {**configuration, "data": {**configuration.get("data", {}), "folds": division}}


def fold_refusal(space: Space, families: Families) -> str | None:
    """Explain why the winners cannot be confirmed on folds, or None if they can or need not be.

    What the family's settings refuse is such a reason: data with a test part of their own, folds that leave nothing.
    """
    if space.confirm is None or space.confirm.folds is None:
        return None
    config = space.interface.Config
    if not divides(config):
        known = ", ".join(families()) or "none"
        return f"the family {space.family} does not divide its data into folds (no data.folds); those that do: {known}"
    try:
        config.model_validate(on_fold(space.configuration(space.example), fold=0, folds=space.confirm.folds, seed=0))
    except ValidationError as error:
        return mistakes_of(config, error)[0].message
    return None


def no_test_split(space: Space) -> str | None:
    """Explain why winners cannot be scored on a test split, or None if the data have one.

    Validation does not take its place: it is what winners were chosen by.
    """
    ask = getattr(space.interface, "lacks_test", None)  # programs have none
    data = getattr(space.config(space.example), "data", None)
    reason = None
    if ask is not None and isinstance(data, Settings):
        reason = ask(located(data, space.path.parent, by_name=True))
    if reason is None:
        return None
    return (
        f"the data have no test split ({reason}), so that winners are not confirmed: validation scores, by which they "
        "are chosen, are no test. Give data.test or a data.test_fraction above 0 to a search with another --name"
    )


def data_notes(space: Space) -> list[str]:
    """Return what the user should know of the files of a space; each note once."""
    ask = getattr(space.interface, "data_notes", None)  # programs have none
    sections = {data.model_dump_json(): data for config, _ in configurations(space)
                if isinstance(data := getattr(config, "data", None), Settings)}  # fmt: skip
    found = [] if ask is None else [note for data in sections.values()
                                    for note in ask(located(data, space.path.parent, by_name=True))]  # fmt: skip
    return list(dict.fromkeys(found))


def foreign_notes(space: Space) -> list[str]:
    """Return which free settings, as those of a program, are fixed values that look like another tool's range."""
    written = space.configuration(space.example)
    return [
        f"{path}: {show(value)} is read as it stands, not as a range; if a range is meant, {right}"
        for path, value, right in meant_as_range(written)
    ]


def secret_notes(space: Space) -> list[str]:
    """Return what to write in place of secrets that stand in a space, and so in every copy of it; no note has one."""
    found = [
        f"{setting}: this looks like a secret, and stands in the space and every copy of it; {_INSTEAD}"
        for config, _ in configurations(space)
        for setting, text in texts_in(config.model_dump(mode="json"))
        if _looks_secret(setting, text)
    ]
    storage = space.search.storage or ""
    if without_secrets(storage) != storage:
        found.append(
            "search.storage: the login in this address is not written into the experiment; `confirm` takes it from the "
            "environment, as do the storage's own tools (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for S3)"
        )
    return list(dict.fromkeys(found))


_INSTEAD = (
    "a program takes it from the environment with `environment: {NAME: {from: env}}`, code of yours from os.environ"
)
_SECRET_NAME = re.compile(
    r"(^|_|-)(api_?key|access_?key|private_?key|secret(_?key)?|(auth_?|access_?)?token|password|passwd|pwd|credentials?)$",
    re.IGNORECASE,
)
_SECRET_VARIABLE = re.compile("TOKEN|KEY|PASSW|SECRET|CREDENTIAL", re.IGNORECASE)
_SHORTEST_SECRET = 8
"""Characters; words such as `token: cls` are settings."""


def _looks_secret(setting: str, text: str) -> bool:
    name = setting.rpartition(".")[2]
    if without_secrets(text) != text:
        return True
    if setting.startswith("environment."):
        return bool(text) and _SECRET_VARIABLE.search(name) is not None and "{" not in text
    return len(text) >= _SHORTEST_SECRET and _SECRET_NAME.search(name) is not None


def check_places(space: Space, root: Node, problems: Problems) -> None:
    """Report each file and folder that the space names, but that is not there or cannot be read.

    Where all are there, the family looks into them.
    """
    before = len(problems)
    seen: set[tuple[str, str]] = set()
    for config, params in configurations(space):
        for place in named_places(config) if isinstance(config, Settings) else ():
            if (place.setting, place.path) in seen:
                continue
            seen.add((place.setting, place.path))
            written = _written(space, root, place, params)
            if written is None:
                continue  # a default of the family's
            if trouble := obstacle(place, space.path.parent):
                problems.add(written, f"{place.setting}: {trouble}")
        ask = getattr(space.interface, "environment_objections", None)  # programs have some
        for path, message in (ask(config) if ask else {}).items():
            problems.add(written_at(root, path).place, message)
    if len(problems) == before:
        _look_inside(space, root, problems)


def _look_inside(space: Space, root: Node, problems: Problems) -> None:
    """Report what the family finds wrong with its files: each section of data once."""
    seen: set[str] = set()
    look = getattr(space.interface, "data_objections", None)  # programs have none
    for config, _ in configurations(space):
        data = getattr(config, "data", None)
        if look is None or not isinstance(data, Settings) or data.model_dump_json() in seen:
            continue
        seen.add(data.model_dump_json())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is worth a word is in the family's data_notes
            found = look(located(data, space.path.parent, by_name=True))
        for path, message in found.items():
            place = written_at(root, path).place
            if place.problem(message) not in problems:
                problems.add(place, message)


def configurations(space: Space) -> Iterator[tuple[BaseModel, Mapping[str, Any]]]:
    """Yield a configuration for every option of every choice, the rest being as usual, and its values."""
    usual = usual_params(space.template)
    tried = [usual]
    for parameter in space.parameters:
        if isinstance(parameter.range, Choice):
            tried += [
                {**usual, **dict(parameter.when), parameter.path: option} for option, _ in probes(parameter.range)
            ]
    for params in tried:
        try:
            yield space.interface.Config.model_validate(space.template.fill(params)), params
        except ValidationError:
            continue  # these values do not go together


def _written(space: Space, root: Node, place: NamedPlace, params: Mapping[str, Any]) -> Place | None:
    """Return the place of the value, or None if it is a default of the family."""
    for parameter in space.parameters:
        if isinstance(parameter.range, Choice) and params.get(parameter.path) == place.path:
            for option, part in probes(parameter.range):
                if option == place.path and place.setting.endswith(parameter.path.rpartition(".")[2]):
                    return part_of(root, parameter.path, part)
    node = written_at(root, place.setting)
    return node.place if node.value == place.path else None
