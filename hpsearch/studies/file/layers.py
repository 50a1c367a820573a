"""What is laid over: the quick section over a study, and budget, seed and what is set for all over the arms' spaces."""

from collections.abc import Callable
from typing import Any

from hpsearch.space.fields import section_of
from hpsearch.space.nodes import Node, Problems
from hpsearch.space.overlay import Overrides, lay_over
from hpsearch.space.range_syntax import show
from hpsearch.studies.file.factors import FACTORS
from hpsearch.studies.file.settings import StudySettings

SET = "set"
_BUDGET = ("search.trials", "search.time", "search.seed")

Refuse = Callable[[Node, str], None]


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


def set_for_all(root: Node, refuse: Refuse) -> dict[str, Node]:
    """Return what the study sets in the space of every arm; budget and replicates are refused there."""
    given = root.child(SET)
    if given is not None and not isinstance(given.value, dict):
        refuse(given, f"set: {show(given.plain())} is not a mapping of dotted names to values")
    found = dict(given.mapping) if given is not None else {}
    for path, node in found.items():
        if path in _BUDGET or path.split(".")[0] == "confirm":
            refuse(node, f"set: {path} is said by budget, seed and replicates")
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
