"""Parameters that a user gives: to be tried first, or for one training; and a space narrowed to one configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError, SpaceError
from hpsearch.space.fields import spelled
from hpsearch.space.located_yaml import Node, Place, Problems, read_file
from hpsearch.space.overlay import parse_override
from hpsearch.space.pruner_options import NoPruner
from hpsearch.space.ranges import Choice, show
from hpsearch.space.search_settings import RandomSampler
from hpsearch.space.space import Space
from hpsearch.space.template import Parameter


def read_start(root: Node, space: Space, replaced: Sequence[str], problems: Problems) -> tuple[Mapping[str, Any], ...]:
    """Return the start entries: parts of configurations, each with the options that its settings depend on.

    What quick or --set have replaced (the paths in `replaced`) is left out of an entry where it no longer fits.
    """
    node = root.child("start")
    if node is None or node.value is None:
        return ()
    if not isinstance(node.value, list):
        problems.add(node.place, "start is a list of mappings such as [{train.learning_rate: 1e-3}]")
        return ()
    entries = (read_entry(entry, space, problems, title="start", replaced=replaced) for entry in node.items)
    return tuple(entry for entry in entries if entry)


def read_entry(
    entry: Node, space: Space, problems: Problems, *, title: str, replaced: Sequence[str] = ()
) -> dict[str, Any]:
    """Return a part of a configuration from a mapping of dotted names; `title` says in messages what it is."""
    if not isinstance(entry.value, dict):
        problems.add(entry.place, f"{title}: {show(entry.plain())} is not a mapping of dotted names to values")
        return {}
    known = {parameter.path: parameter for parameter in space.parameters}
    given = {path: _spelled(known, path, child.plain()) for path, child in entry.mapping.items()}
    implied = {branch: name for path in given if path in known for branch, name in known[path].when}
    params = {**implied, **given}
    wrong = space.wrong_params(params)
    kept = {path: value for path, value in params.items() if path not in wrong}
    reported = {path: why for path, why in wrong.items() if not _touched(path, replaced)}
    for path, why in reported.items():
        child = entry.nearest([path])
        problems.add((child.key if path not in known else child.place), f"{title}: {path} {why}")
    entered = space.canonical(kept)
    if not wrong:
        for why in space.check_params(entered, partial=True):
            problems.add(entry.key, f"{title}: {why}")
    return entered


def read_given(overrides: Sequence[str], space: Space) -> dict[str, Any]:
    """Return a part of a configuration from `a.b=VALUE`, as `--set` has it; the last part of a name will do.

    Raises:
        SpaceError: An unknown name or a value out of range, or what is given breaks a requirement; all of them.
    """
    problems, given = Problems(), {}
    for override in overrides:
        try:
            path, value = parse_override(override)
        except SpaceError as error:
            problems.extend(error.problems)
        else:
            given[_whole_path(path, space)] = value
    if given and not problems:
        first = next(iter(given.values()))
        return problems.checked(read_entry(Node(given, first.place, first.key), space, problems, title="set"))
    if not problems:
        problems.add(Place("--set"), "expected at least one a.b.c=VALUE")
    return problems.checked({})


def _whole_path(name: str, space: Space) -> str:
    """Return the parameter whose path ends with a name, if there is just one; else the name."""
    found = [each.path for each in space.parameters if f".{each.path}".endswith(f".{name}")]
    return found[0] if len(found) == 1 else name


def _spelled(known: Mapping[str, Parameter], path: str, value: Any) -> Any:
    """Return an option's name as the space has it, whatever case it is written in."""
    values = known[path].range if path in known else None
    return spelled(value, map(str, values.options)) if isinstance(values, Choice) else value


def _touched(path: str, replaced: Sequence[str]) -> bool:
    return any(path == other or path.startswith(f"{other}.") or other.startswith(f"{path}.") for other in replaced)


def read_params(path: Path, space: Space) -> dict[str, Any]:
    """Return the values of all ranges of a space from a YAML or JSON file of dotted names.

    Raises:
        SpaceError: An unknown name, a value out of range, or a missing value; all of them with their places.
    """
    problems = Problems()
    _, root = read_file(path, problems)
    params = read_entry(root, space, problems, title="params")
    if not problems:
        missing = [parameter.path for parameter in space.active(params) if parameter.path not in params]
        for name in missing:
            problems.add(root.place, f"params: {name} has no value")
    return problems.checked(params)


def only(space: Space, params: Mapping[str, Any]) -> Space:
    """Return the space as a search of one trial, which has these values; nothing prunes it or cuts it short.

    Raises:
        HpsearchError: The values are not a configuration of the space.
    """
    wrong = space.check_params(params)
    if wrong:
        raise HpsearchError(f"the configuration does not fit {space.path}: {'; '.join(wrong)}")
    alone = {"trials": 1, "workers": 1, "time": None, "trial_time": None}
    search = space.search.model_copy(update={**alone, "sampler": RandomSampler(), "pruner": NoPruner()})
    return replace(space, search=search, confirm=None, start=(space.canonical(params),))
