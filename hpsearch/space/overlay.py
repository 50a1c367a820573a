"""Laying `quick` and `--set` over a space: replacing single values, ranges and sections by their dotted path."""

from collections.abc import Sequence
from dataclasses import replace

from hpsearch.errors import SpaceError, nearest, suggestion
from hpsearch.space.fields import Branch, Items, SettingsSection, Shape, field_shape, section_of, walk
from hpsearch.space.located_yaml import Node, Place, Problems, parse

_FIXED = ("family", "quick")

Overrides = Sequence[tuple[str, Node]]
"""Dotted paths and the values that replace what a file says there."""


class OverlayError(Exception):
    """A path that leads nowhere; the message says where it ended."""


def parse_override(text: str) -> tuple[str, Node]:
    """Return the path and the value of `a.b.c=VALUE`.

    Raises:
        SpaceError: It is not of this form, or VALUE is not YAML.
    """
    path, equals, value = text.partition("=")
    place = Place(f"--set {text}")
    if not equals or not path.strip():
        raise SpaceError([place.problem("expected a.b.c=VALUE")])
    return path.strip(), parse(value, place)


def lay_over(root: Node, path: str, value: Node, settings: SettingsSection, problems: Problems) -> Node:
    """Return the space with the value at `path` replaced; `settings` are the space's sections."""
    steps = path.split(".")
    if steps[0] in _FIXED:
        problems.add(value.key, f"{steps[0]!r} cannot be replaced")
        return root
    try:
        return _replaced(root, settings, steps, "", value)
    except OverlayError as error:
        problems.add(value.key, str(error))
        return root


def whole_path(path: str, settings: SettingsSection) -> str:
    """Return the path of a setting that only its own name was given of, as `lr` for `train.lr`; another path as it is.

    A name that two sections have, or that a section has itself, stays as it is.
    """
    if "." in path or path in settings.fields:
        return path
    shapes = {section: field_shape(field) for section, field in settings.fields.items()}
    holding = [name for name, shape in shapes.items() if isinstance(shape, SettingsSection) and path in shape.fields]
    return f"{holding[0]}.{path}" if len(holding) == 1 else path


def _meant_below(name: str, sections: SettingsSection) -> str:
    """Return `, did you mean 'train.learning_rate'?` for a name that is near to one that a single section has."""
    shapes = [field_shape(field) for field in sections.fields.values()]
    below = [each for shape in shapes if isinstance(shape, SettingsSection) for each in shape.fields]
    path = whole_path(nearest(name, below) or "", sections)
    return f", did you mean '{path}'?" if "." in path else ""


def narrowed(root: Node, path: str, value: Node, settings: SettingsSection) -> Node:
    """Return the value that fixes a branch to the option that `value` names, with what is written below that option."""
    steps = path.split(".")
    reached = list(walk(settings, steps))
    shape = reached[-1][1] if len(reached) == len(steps) else None
    node = _written(root, steps)
    if not isinstance(shape, Branch) or not isinstance(value.value, str) or node is None:
        return value
    choice = node.child("choice") if "choice" not in shape.options else None
    below = _settings_of(node, value.value) if choice is None else choice.mapping.get(value.value)
    return value if below is None else Node({value.value: below}, value.place, value.key)


def _written(root: Node, steps: Sequence[str]) -> Node | None:
    """Return the node at a path, looking through the `choice` of branches, or None if it is not set."""
    node: Node | None = root
    for step in steps:
        offered = node.child("choice") if node else None
        node = (node.child(step) if node else None) or (offered.child(step) if offered else None)
    return node


def _replaced(node: Node | None, shape: Shape, steps: Sequence[str], done: str, value: Node) -> Node:
    """Return `node` with the value at `steps` replaced; `done` is the path of `node` itself."""
    if not steps:
        return value if node is None else replace(value, key=node.key if value.place.line == 0 else value.key)
    if isinstance(shape, SettingsSection):
        return _in_section(node, shape, steps, done, value)
    if isinstance(shape, Branch):
        return _in_branch(node, shape, steps, done, value)
    if node is not None and (node.mapping or node.items):
        return _in_value(node, shape, steps, done, value)
    raise OverlayError(f"{done} is a single value, it holds no {steps[0]!r}")


def _in_section(node: Node | None, shape: SettingsSection, steps: Sequence[str], done: str, value: Node) -> Node:
    name = steps[0]
    if name not in shape.fields:
        inside = f" in {done}" if done else ""
        known = ", ".join(shape.fields)
        meant = suggestion(name, shape.fields) or ("" if done or len(steps) > 1 else _meant_below(name, shape))
        raise OverlayError(f"unknown setting {name!r}{inside}{meant}; known: {known}")
    # what is not yet a section, or a choice between whole sections, gives way to one
    section = node if node is not None and any(key in shape.fields for key in node.mapping) else _empty(value, node)
    shape_below = field_shape(shape.fields[name])
    if name in shape.one_of:
        kept = {key: child for key, child in section.mapping.items() if key == name or key not in shape.one_of}
        section = replace(section, value=kept)
    return section.with_child(name, _replaced(section.child(name), shape_below, steps[1:], _join(done, name), value))


def _in_branch(node: Node | None, shape: Branch, steps: Sequence[str], done: str, value: Node) -> Node:
    name = steps[0]
    if name not in shape.options:
        known = ", ".join(shape.options)
        raise OverlayError(f"unknown option {name!r} of {done}{suggestion(name, shape.options)}; known: {known}")
    below = section_of(shape.options[name])
    choice = node.child("choice") if node is not None and "choice" not in shape.options else None
    if node is None or choice is None:
        settings = _settings_of(node, name)
        return _empty(value, node).with_child(name, _replaced(settings, below, steps[1:], _join(done, name), value))
    offered = {str(item.value): _empty(value, item) for item in choice.items} or choice.mapping
    if name not in offered:
        raise OverlayError(f"{name!r} is not among the choices of {done}: {', '.join(offered)}")
    changed = _replaced(offered[name], below, steps[1:], _join(done, name), value)
    return node.with_child("choice", replace(choice, value={**offered, name: changed}))


def _settings_of(node: Node | None, name: str) -> Node | None:
    """Return the settings of the option `name` if the branch is fixed to it, in whichever form it is written."""
    if node is None:
        return None
    kind = node.child("kind")
    if kind is not None and kind.value == name:
        return replace(node, value={key: child for key, child in node.mapping.items() if key != "kind"})
    return node.child(name)


def _in_value(node: Node, shape: Shape, steps: Sequence[str], done: str, value: Node) -> Node:
    """Replace an item of a list, or a part of a range as it is written (`train.learning_rate.log`)."""
    name = steps[0]
    below = shape.item if isinstance(shape, Items) else shape
    child = node.child(name)
    if isinstance(node.value, dict):
        return node.with_child(name, _replaced(child, below, steps[1:], _join(done, name), value))
    if child is None:
        raise OverlayError(f"{done} has no item {name!r}; it has {len(node.items)}, counted from 0")
    changed = _replaced(child, below, steps[1:], _join(done, name), value)
    items = [changed if item is child else item for item in node.items]
    return replace(node, value=[*items])


def _empty(value: Node, node: Node | None) -> Node:
    place = node or value
    return Node({}, place.place, place.key)


def _join(done: str, name: str) -> str:
    return f"{done}.{name}" if done else name
