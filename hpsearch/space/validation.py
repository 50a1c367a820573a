"""Checking a template against the family's settings: every fixed value, every bound and every option of every range.

A value that breaks the rule of its own field is a mistake of the file. A validator may look at several settings and
refuse some combinations only; it is a mistake of the file when no other choice of values mends it. What pydantic refuses
is said in the words of the space file.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hpsearch.errors import suggestion
from hpsearch.settings import NAMED
from hpsearch.space.fields import Items, describe, expectation, section_of, walk
from hpsearch.space.located_yaml import Node, Place, Problems
from hpsearch.space.ranges import Choice, Float, Int, Range, show
from hpsearch.space.space import FamilyInterface
from hpsearch.space.template import Missing, Parameter, Template

_RULES = ("value_error", "assertion_error")
_OUT_OF_BOUNDS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number")
_WRONG_KIND = (
    *("float_type", "float_parsing", "int_type", "int_parsing", "int_from_float", "int_parsing_size", "bool_type"),
    *("bool_parsing", "string_type", "list_type", "tuple_type", "dict_type", "literal_error", "enum", "path_type"),
    *("model_type", "model_attributes_type", "is_instance_of", "union_tag_not_found"),
)


@dataclass(frozen=True)
class Mistake:
    """One thing that pydantic refused: the dotted path of the setting, and the message.

    `rule` tells that a validator of the family said it, which may have looked at several settings. `missing` tells that
    the setting has no place of its own.
    """

    path: str
    message: str
    rule: bool = False
    missing: bool = False

    def concerns(self, path: str) -> bool:
        """Check whether it is about the setting at `path` or something inside it."""
        return self.path == path or self.path.startswith(f"{path}.")


def mistakes(model: type[BaseModel], configuration: Mapping[str, Any], section: str = "") -> list[Mistake]:
    """List the mistakes of a configuration, one for each setting; `section` begins every path."""
    try:
        model.model_validate(configuration)
    except ValidationError as error:
        return mistakes_of(model, error, section)
    return []


def mistakes_of(model: type[BaseModel], error: ValidationError, section: str = "") -> list[Mistake]:
    """List the mistakes of a failed validation; those of a union's members count as one."""
    by_path: dict[str, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False, include_context=False):
        by_path.setdefault(_known_path(model, details), []).append(details)
    return [
        _mistake(model, path, details[0], section)
        for path, details in by_path.items()
        if not any(isinstance(each["input"], Missing) for each in details)
    ]


def _known_path(model: type[BaseModel], error: ErrorDetails) -> str:
    """Drop what pydantic adds to the place of an error, such as the name of a union's member."""
    location = [step for step in error["loc"] if step != NAMED]
    steps = [str(step) for step, _, _ in walk(section_of(model), location)]
    following = location[len(steps) : len(steps) + 1]
    if error["type"] in ("missing", "extra_forbidden") or (following and isinstance(following[0], int)):
        steps += [str(step) for step in following]
    return ".".join(steps)


def _mistake(model: type[BaseModel], path: str, error: ErrorDetails, section: str) -> Mistake:
    full = ".".join(part for part in (section, path) if part)
    expected = _expected(model, path)
    if error["type"] == "missing":
        parent, _, name = full.rpartition(".")
        inside = f" in {parent}" if parent else ""
        return Mistake(full, f"missing setting {name!r}{inside} (expected {expected.words})", missing=True)
    reason = _reason(error, expected)
    return Mistake(full, f"{full}: {reason}" if full else reason, rule=error["type"] in _RULES)


@dataclass(frozen=True)
class _Expected:
    """What a setting accepts: in words, its kind without bounds, and the words that are names of values."""

    words: str = "a value"
    kind: str = ""
    names: Sequence[str] = ()


def _expected(model: type[BaseModel], path: str) -> _Expected:
    steps = path.split(".")
    reached = list(walk(section_of(model), steps))
    if len(reached) < len(steps):
        return _Expected()
    field, parent = reached[-1][2], reached[-2][1] if len(reached) > 1 else None
    if field is not None:
        return _Expected(expectation(field), describe(field.annotation), _names(field.annotation))
    if isinstance(parent, Items):
        return _Expected(describe(parent.annotation), describe(parent.annotation), _names(parent.annotation))
    return _Expected()


def _reason(error: ErrorDetails, expected: _Expected) -> str:
    if error["type"] in _RULES:
        return error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    value = show(error["input"])
    reason = error["msg"].removeprefix("Input ")
    if not expected.kind:
        return f"{value} {reason}"
    if error["type"] in _OUT_OF_BOUNDS:
        return f"{value} is out of bounds (expected {expected.words})"
    if error["type"] not in _WRONG_KIND:
        return f"{value} {reason} (expected {expected.words})"
    hint = suggestion(error["input"], expected.names) if isinstance(error["input"], str) else ""
    more = f" (expected {expected.words})" if expected.words != expected.kind else ""
    return f"{value} is not {expected.kind}{hint}{more}"


def _names(annotation: Any) -> Sequence[str]:
    """Return the text values of a Literal, also inside a union."""
    if get_origin(annotation) is Literal:
        return [argument for argument in get_args(annotation) if isinstance(argument, str)]
    return [name for argument in get_args(annotation) for name in _names(argument)]


Part = tuple[str | int, ...]
ModelT = TypeVar("ModelT", bound=BaseModel)

_ATTEMPTS = 100
_GOLDEN = 0.381966


def check_section(model: type[ModelT], template: Template, root: Node, name: str, problems: Problems) -> ModelT | None:
    """Return a section without ranges, or None when it is wrong."""
    configuration = template.fill({})
    found = mistakes(model, configuration, name)
    for mistake in found:
        problems.add(place_of(root, mistake), mistake.message)
    return None if found or template.broken else model.model_validate(configuration)


def check_template(interface: FamilyInterface, template: Template, root: Node, problems: Problems) -> None:
    """Check a family's whole configuration with all its ranges, and what the family says against its usual values."""
    before = len(problems)
    _TemplateCheck(interface.Config, template, root, problems).run()
    if len(problems) == before and not template.broken:
        for path, message in interface.objections(template.fill(usual_params(template))).items():
            problems.add(written_at(root, path).place, message)


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
            self.problems.add(place, mistake.message + hint)

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
    return f"; for whole numbers write {{int: [{values.low:g}, {values.high:g}]{log}}}"


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
