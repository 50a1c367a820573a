"""What is laid over a study before its arms are read, and over their spaces.

Over the study: its quick section, and the cells of a factorial design in place of the arm with factors: every
combination of the factors' levels is an arm of its own, named for them. Over every space: budget, seed and the study's
own `set`.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from hpsearch.space.fields import section_of
from hpsearch.space.nodes import Node, Problems
from hpsearch.space.overlay import Overrides, lay_over
from hpsearch.space.range_syntax import show
from hpsearch.studies.file.study import StudySettings, factor_titles, level_text

SET, FACTORS = "set", "factors"
_BUDGET = ("search.trials", "search.time", "search.seed")
_WORD = re.compile(r"[\w.+-]+")


def with_quick(root: Node, problems: Problems) -> Node:
    """Return a study with its quick section laid over it; `set`s and `factors` are replaced as a whole."""
    quick = root.mapping["quick"]
    if not isinstance(quick.value, dict) and quick.value is not None:
        problems.add(quick.place, "quick is a mapping such as {budget.trials: 4}")
    for path, value in quick.mapping.items():
        if path == SET:
            root = root.with_child(SET, value)
        elif path.startswith("arms."):
            root = _with_quick_arm(root, path, value, problems)
        else:
            root = lay_over(root, path, value, section_of(StudySettings), problems)
    return root


def _with_quick_arm(root: Node, path: str, value: Node, problems: Problems) -> Node:
    arms = root.nearest(["arms"])
    name, _, key = path.removeprefix("arms.").rpartition(".")
    if name not in arms.mapping or key not in (SET, FACTORS) or not arms.mapping[name].mapping:
        message = f"quick: {path} is not arms.NAME.set or arms.NAME.factors of one of {', '.join(arms.mapping)}"
        problems.add(value.key, message)
        return root
    return root.with_child("arms", arms.with_child(name, arms.mapping[name].with_child(key, value)))


def with_cells(arms: Mapping[str, Node], problems: Problems) -> dict[str, Node]:
    """Return the arms with the one that has factors replaced by its cells; mistakes are added to `problems`.

    A cell's node keeps `factors`, each with its one level.
    """
    expanded: dict[str, Node] = {}
    factorial = [name for name, node in arms.items() if FACTORS in node.mapping]
    for name in factorial[1:]:
        problems.add(arms[name].mapping[FACTORS].place, f"arms.{name}.factors: one arm of a study can have factors")
    for name, node in arms.items():
        cells = dict(_cells(name, node, problems)) if name in factorial[:1] else {name: node}
        for cell in cells.keys() & expanded.keys():
            problems.add(node.place, f"arms.{name}: its cell {cell} has the name of another arm")
        expanded |= cells
    return expanded


def _cells(name: str, node: Node, problems: Problems) -> Iterator[tuple[str, Node]]:
    factors = node.mapping[FACTORS]
    if not _are_factors(name, factors, problems):
        yield name, replace(node, value={key: child for key, child in node.mapping.items() if key != FACTORS})
        return
    for path in factors.mapping.keys() & node.nearest(["set"]).mapping.keys():
        problems.add(factors.mapping[path].place, f"arms.{name}.factors: {path} is set already")
    titles = factor_titles(factors.mapping)
    for levels in itertools.product(*(child.items for child in factors.mapping.values())):
        chosen = dict(zip(factors.mapping, levels, strict=True))
        title = ",".join(f"{titles[path]}={level_text(level.value)}" for path, level in chosen.items())
        yield title, node.with_child(FACTORS, replace(factors, value=chosen))


def _are_factors(name: str, factors: Node, problems: Problems) -> bool:
    title = f"arms.{name}.factors"
    if not factors.mapping:
        problems.add(
            factors.place, f"{title}: write them as {{model.width: [64, 128], train.learning_rate: [1e-3, 1e-2]}}"
        )
        return False
    wrong = False
    for path, levels in factors.mapping.items():
        if len(levels.items) < 2 or any(isinstance(item.value, dict | list) for item in levels.items):
            problems.add(
                levels.place,
                f"{title}: {path} needs a list of two or more numbers or words, not {show(levels.plain())}",
            )
            wrong = True
            continue
        seen: set[str] = set()
        for item in levels.items:
            text = level_text(item.value)
            if text in seen or not _WORD.fullmatch(text):
                why = "stands there twice" if text in seen else "cannot be part of a folder's name"
                problems.add(item.place, f"{title}: the level {text} of {path} {why}")
                wrong = True
            seen.add(text)
    return not wrong


def set_for_all(root: Node, problems: Problems) -> dict[str, Node]:
    """Return the settings that the study applies to every arm, except budget and replicates."""
    given = root.child(SET)
    if given is not None and not isinstance(given.value, dict):
        problems.add(given.place, f"set: {show(given.plain())} is not a mapping of dotted names to values")
    found = dict(given.mapping) if given is not None else {}
    for path, node in found.items():
        if path in _BUDGET or path.split(".")[0] == "confirm":
            problems.add(node.place, f"set: {path} is said by budget, seed and replicates")
    return found


def budget_of(root: Node, settings: StudySettings) -> Overrides:
    """Return the budget and the seed of every arm, at the places where the study file says them."""

    def at(value: Any, *steps: str) -> Node:
        node = root.nearest(steps)
        return Node(value, node.place, node.key)

    return [
        ("search.trials", at(settings.budget.trials, "budget", "trials")),
        ("search.time", at(settings.budget.time, "budget", "time")),
        ("search.seed", at(settings.seed, "seed")),
    ]
