"""An arm with factors: a factorial design. Every combination of their levels is an arm of its own, named for them."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from hpsearch.space.nodes import Node
from hpsearch.space.range_syntax import show

FACTORS = "factors"
_WORD = re.compile(r"[\w.+-]+")

Refuse = Callable[[Node, str], None]


def with_cells(arms: Mapping[str, Node], refuse: Refuse) -> dict[str, Node]:
    """Return the arms with the one that has factors replaced by its cells; what is wrong with factors is refused.

    A cell's node keeps `factors`, each with its one level.
    """
    expanded: dict[str, Node] = {}
    factorial = [name for name, node in arms.items() if FACTORS in node.mapping]
    for name in factorial[1:]:
        refuse(arms[name].mapping[FACTORS], f"arms.{name}.factors: one arm of a study can have factors")
    for name, node in arms.items():
        cells = dict(_cells(name, node, refuse)) if name in factorial[:1] else {name: node}
        for cell in cells.keys() & expanded.keys():
            refuse(node, f"arms.{name}: its cell {cell} has the name of another arm")
        expanded |= cells
    return expanded


def _cells(name: str, node: Node, refuse: Refuse) -> Iterator[tuple[str, Node]]:
    factors = node.mapping[FACTORS]
    if not _are_factors(name, factors, refuse):
        yield name, replace(node, value={key: child for key, child in node.mapping.items() if key != FACTORS})
        return
    for path in factors.mapping.keys() & node.nearest(["set"]).mapping.keys():
        refuse(factors.mapping[path], f"arms.{name}.factors: {path} is set already")
    titles = factor_titles(factors.mapping)
    for levels in itertools.product(*(child.items for child in factors.mapping.values())):
        chosen = dict(zip(factors.mapping, levels, strict=True))
        title = ",".join(f"{titles[path]}={level_text(level.value)}" for path, level in chosen.items())
        yield title, node.with_child(FACTORS, replace(factors, value=chosen))


def _are_factors(name: str, factors: Node, refuse: Refuse) -> bool:
    title = f"arms.{name}.factors"
    if not factors.mapping:
        refuse(factors, f"{title}: write them as {{model.width: [64, 128], train.learning_rate: [1e-3, 1e-2]}}")
        return False
    wrong = False
    for path, levels in factors.mapping.items():
        if len(levels.items) < 2 or any(isinstance(item.value, dict | list) for item in levels.items):
            refuse(levels, f"{title}: {path} needs a list of two or more numbers or words, not {show(levels.plain())}")
            wrong = True
            continue
        seen: set[str] = set()
        for item in levels.items:
            text = level_text(item.value)
            if text in seen or not _WORD.fullmatch(text):
                why = "stands there twice" if text in seen else "cannot be part of a folder's name"
                refuse(item, f"{title}: the level {text} of {path} {why}")
                wrong = True
            seen.add(text)
    return not wrong


def factor_titles(paths: Mapping[str, Any]) -> dict[str, str]:
    """Return a short name for each dotted path: its last word, or the whole where two end alike."""
    words = {path: path.rpartition(".")[2] for path in paths}
    taken = list(words.values())
    return {path: word if taken.count(word) == 1 else path for path, word in words.items()}


def level_text(level: Any) -> str:
    """Return a level as it stands in an arm's name: `0.003`, `64`, `true`, `null`."""
    if level is None or isinstance(level, bool):
        return "null" if level is None else str(level).lower()
    return str(level)
