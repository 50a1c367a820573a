"""Which ranges may be `mutable`, and which pruners need some that are."""

from hpsearch.errors import Problem
from hpsearch.space.fields import Section, Shape, walk
from hpsearch.space.nodes import Node
from hpsearch.space.pruner_options import PB2, PBT
from hpsearch.space.ranges import Choice
from hpsearch.space.space import Space
from hpsearch.space.validation import written_at


def check_mutable(space: Space, root: Node, settings: Section, problems: list[Problem]) -> None:
    """Report every mutable range over a setting that is fixed, and a pruner that lacks the ranges it needs."""
    mutable = [parameter for parameter in space.parameters if parameter.range.mutable]
    for parameter in mutable:
        fixed = _fixed_part(settings, parameter.path)
        if fixed:
            message = f"{parameter.path}: {fixed} cannot change while a training runs, so it cannot be mutable"
            problems.append(_flag_of(root, parameter.path).key.problem(message))
    pruner = space.search.pruner
    if isinstance(pruner, PBT | PB2) and not mutable:
        message = f"search.pruner: {pruner.kind} needs a range to change; write mutable: true beside one"
        problems.append(written_at(root, "search.pruner").place.problem(message))
    if isinstance(pruner, PB2):
        for parameter in mutable:
            if isinstance(parameter.range, Choice):
                message = f"{parameter.path}: pb2 changes numbers only; a mutable choice needs the pruner pbt"
                problems.append(_flag_of(root, parameter.path).key.problem(message))


def _fixed_part(settings: Section, path: str) -> str | None:
    """Return the setting on the way to `path` that is marked FIXED, or None."""
    shape: Shape = settings
    passed: list[str] = []
    for step, below, _ in walk(settings, path.split(".")):
        passed.append(str(step))
        if isinstance(shape, Section) and step in shape.fixed:
            return ".".join(passed)
        shape = below
    return None


def _flag_of(root: Node, path: str) -> Node:
    """Return what was written as `mutable` beside the range at `path`."""
    return written_at(root, path).nearest(["mutable"])
