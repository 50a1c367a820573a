"""Holding a template against the family's settings: every fixed value, every bound and every option of every range.

A value that breaks its field's rule is a mistake of the file. A validator may look at several settings and
refuse some combinations only; it is a mistake of the file when no other choice of values mends it.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel

from hpsearch.space.elsewhere import meant_as_range
from hpsearch.space.located_yaml import Node, Place, Problems
from hpsearch.space.mistakes import Mistake, mistakes
from hpsearch.space.ranges import Choice, Float, Int, Range, show
from hpsearch.space.space import FamilyInterface
from hpsearch.space.template import Parameter, Template

Part = tuple[str | int, ...]
ModelT = TypeVar("ModelT", bound=BaseModel)

_ATTEMPTS = 100
_GOLDEN = 0.381966


def check_section(model: type[ModelT], template: Template, root: Node, name: str, problems: Problems) -> ModelT | None:
    """Return a section without ranges, or None when it is wrong."""
    configuration = template.fill({})
    found = mistakes(model, configuration, name)
    for mistake in found:
        problems.add(place_of(root, mistake), mistake.message, mistake.help)
    return None if found or template.broken else model.model_validate(configuration)


def check_template(interface: FamilyInterface, template: Template, root: Node, problems: Problems) -> None:
    """Check a family's whole configuration with all its ranges, and what the family says against its usual values."""
    before = len(problems)
    _TemplateCheck(interface.Config, template, root, problems).run()
    if len(problems) == before and not template.broken:
        usual = template.fill(usual_params(template))
        objections = interface.objections(usual)
        foreign = [*meant_as_range(usual)] if objections else []
        follow = [f"unknown placeholder {{{name}}}" for path, _, _ in foreign for name in {path, path.split(".")[-1]}]
        for path, message in objections.items():
            if not any(said in message for said in follow):  # else it is one as soon as the range is right
                problems.add(written_at(root, path).place, message)
        for path, value, right in foreign:
            problems.add(written_at(root, path).key, f"{path}: {show(value)} is no range here", right)


def usual_params(template: Template) -> dict[str, Any]:
    """Return a value for each range that is likely to be fine."""
    return {parameter.path: probes(parameter.range)[-1][0] for parameter in template.parameters}


class _TemplateCheck:
    def __init__(self, model: type[BaseModel], template: Template, root: Node, problems: Problems) -> None:
        self.model, self.template, self.root, self.problems = model, template, root, problems
        self.leaves = [parameter for parameter in template.parameters if not parameter.branch]
        self.reported: set[str] = set()

    def run(self) -> None:
        usual = usual_params(self.template)
        self.judge(mistakes(self.model, self.template.fill(usual)), usual, None, ())
        for parameter in self.template.parameters:
            for value, part in probes(parameter.range):
                params = {**usual, **dict(parameter.when), parameter.path: value}
                self.judge(mistakes(self.model, self.template.fill(params)), params, parameter, part)

    def judge(self, found: Sequence[Mistake], params: Mapping[str, Any], probed: Parameter | None, part: Part) -> None:
        """Report those mistakes that are the file's: of the probed range, or of what is fixed."""
        for mistake in found:
            own = probed is not None and not probed.branch and mistake.concerns(probed.path)
            if not own and (mistake.path in self.reported or any(mistake.concerns(leaf.path) for leaf in self.leaves)):
                continue  # another range's value is judged when that range is probed
            if own and not part and mistake.path in self.reported:
                continue  # a bound was refused already
            if mistake.rule and not self.always(mistake, params, probed.path if own and probed else None):
                continue
            self.reported.add(mistake.path)
            place = part_of(self.root, probed.path, part) if own and probed else place_of(self.root, mistake)
            hint = _whole_numbers(probed.range) if own and probed and not part else ""
            self.problems.add(place, mistake.message, hint or mistake.help)

    def always(self, mistake: Mistake, params: Mapping[str, Any], kept: str | None) -> bool:
        """Check whether a validator always refuses the setting, whatever the ranges give; branches and `kept` aside."""
        within = f"{mistake.path}." if mistake.path else ""
        if kept is None and not mistake.path and self.template.parameters:
            return False
        if kept is None and any(leaf.path.startswith(within) for leaf in self.template.parameters):
            return False  # a section with ranges in it: whether any combination is feasible is asked later
        rng = random.Random(0)  # noqa: S311 # no secret
        fixed = {p.path: params[p.path] for p in self.template.parameters if p.branch or p.path == kept}
        for _ in range(_ATTEMPTS if self.leaves else 1):
            drawn = {leaf.path: leaf.range.sample(rng) for leaf in self.leaves} | fixed
            if not any(other.path == mistake.path for other in mistakes(self.model, self.template.fill(drawn))):
                return False
        return True


def _whole_numbers(values: Range) -> str:
    """Suggest a fix if the default value of a range is refused but its bounds may be fine."""
    if not isinstance(values, Float) or not (values.low.is_integer() and values.high.is_integer()):
        return ""
    log = ", log: true" if values.log else ""
    return f"for whole numbers write {{int: [{values.low:g}, {values.high:g}]{log}}}"


def probes(values: Range) -> list[tuple[Any, Part]]:
    """Return the values of a range to try, a usual one last, and which written part of the range each one is."""
    if isinstance(values, Choice):
        return [(option, ("choice", index)) for index, option in enumerate(values.options)]
    if isinstance(values, Int):
        return [(values.low, ("int", 0)), (values.high, ("int", 1)), (values.low + values.step, ())]
    grid = values.grid()
    inner = grid[1] if grid else values.low + (values.high - values.low) * _GOLDEN
    head = "log" if values.log else "float"
    return [(values.low, (head, 0)), (values.high, (head, 1)), (inner, ())]


def written_at(root: Node, path: str) -> Node:
    """Return the node of a setting, or its nearest ancestor, looking through the `choice` of branches."""
    node = root
    for step in path.split(".") if path else ():
        offered = node.child("choice")
        node = node.child(step) or (offered.child(step) if offered is not None else None) or node
    return node


def part_of(root: Node, path: str, part: Part) -> Place:
    """Return the place of a bound or an option of a range."""
    return written_at(root, path).nearest(part).place


def place_of(root: Node, mistake: Mistake) -> Place:
    """Return the place of a mistake: the value, or the key of a section."""
    node = written_at(root, mistake.path)
    return node.key if mistake.missing or isinstance(node.value, dict) else node.place
