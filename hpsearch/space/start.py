"""The configurations that a search tries first, as the space file lists them."""

from collections.abc import Mapping, Sequence
from typing import Any

from hpsearch.errors import Problem
from hpsearch.space.fields import spelled
from hpsearch.space.nodes import Node
from hpsearch.space.range_syntax import show
from hpsearch.space.ranges import Choice
from hpsearch.space.space import Space
from hpsearch.space.template import Parameter


def read_start(
    root: Node, space: Space, replaced: Sequence[str], problems: list[Problem]
) -> tuple[Mapping[str, Any], ...]:
    """Return the start entries: parts of configurations, each with the options that its settings hang on.

    What quick or --set have replaced (the paths in `replaced`) is left out of an entry where it no longer fits.
    """
    node = root.child("start")
    if node is None or node.value is None:
        return ()
    if not isinstance(node.value, list):
        problems.append(node.place.problem("start is a list of mappings such as [{train.learning_rate: 1e-3}]"))
        return ()
    entries = (read_entry(entry, space, problems, title="start", replaced=replaced) for entry in node.items)
    return tuple(entry for entry in entries if entry)


def read_entry(
    entry: Node, space: Space, problems: list[Problem], *, title: str, replaced: Sequence[str] = ()
) -> dict[str, Any]:
    """Return a part of a configuration from a mapping of dotted names; `title` says in messages what it is."""
    if not isinstance(entry.value, dict):
        problems.append(
            entry.place.problem(f"{title}: {show(entry.plain())} is not a mapping of dotted names to values")
        )
        return {}
    known = {parameter.path: parameter for parameter in space.parameters}
    given = {path: _spelled(known, path, child.plain()) for path, child in entry.mapping.items()}
    implied = {branch: name for path in given if path in known for branch, name in known[path].when}
    params = {**implied, **given}
    wrong = space.wrong_params(params)
    kept = {path: value for path, value in params.items() if path not in wrong}
    told = {path: why for path, why in wrong.items() if not _touched(path, replaced)}
    for path, why in told.items():
        child = entry.nearest([path])
        problems.append((child.key if path not in known else child.place).problem(f"{title}: {path} {why}"))
    entered = space.canonical(kept)
    if not wrong:
        problems.extend(entry.key.problem(f"{title}: {why}") for why in space.check_params(entered, partial=True))
    return entered


def _spelled(known: Mapping[str, Parameter], path: str, value: Any) -> Any:
    """Return an option's name as the space has it, whatever case it is written in."""
    values = known[path].range if path in known else None
    return spelled(value, map(str, values.options)) if isinstance(values, Choice) else value


def _touched(path: str, replaced: Sequence[str]) -> bool:
    return any(path == other or path.startswith(f"{other}.") or other.startswith(f"{path}.") for other in replaced)
