"""From YAML nodes to a template: what the family expects at a path decides between setting, branch and range."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from hpsearch.errors import nearest, suggestion
from hpsearch.space.elsewhere import help_for
from hpsearch.space.fields import Branch, Items, Leaf, SettingsSection, Shape, field_shape, section_of, spelled
from hpsearch.space.located_yaml import Node, Problems
from hpsearch.space.ranges import INFINITE, Choice, RangeSyntaxError, is_infinite, looks_like_range, read_range, show
from hpsearch.space.template import BranchRange, Chosen, Missing, join
from hpsearch.user_code import is_reference


class TemplateReader:
    """Reads one section after another and collects what is wrong; what is wrong is left out of the template."""

    def __init__(self, problems: Problems, *, ranges: bool) -> None:
        self.problems = problems
        self.ranges = ranges

    def read(self, node: Node, shape: Shape, path: str) -> Any:
        """Return the template of a node."""
        if isinstance(shape, Branch):
            return self._branch(node, shape, path)
        settings = shape.fields if isinstance(shape, SettingsSection) else {}
        if looks_like_range(node, settings=settings):
            return self._range(node, path, shape)
        if isinstance(shape, SettingsSection) and isinstance(node.value, dict):
            return self.section(node, shape, path)
        if isinstance(node.value, dict):
            return {name: self.read(child, shape, join(path, name)) for name, child in node.mapping.items()}
        if isinstance(node.value, list):
            item = shape.item if isinstance(shape, Items) else shape
            return [self.read(child, item, join(path, index)) for index, child in enumerate(node.items)]
        if is_infinite(node):
            self.problems.add(node.place, f"{path}: {INFINITE.format(show(node.value))}")
            return Missing()
        return spelled(node.value, shape.words) if isinstance(shape, Leaf) else node.value

    def section(self, node: Node, shape: SettingsSection, path: str) -> dict[str, Any]:
        """Return the template of the settings in a section; unknown names are problems."""
        template: dict[str, Any] = {}
        for name, child in node.mapping.items():
            if name in shape.fields:
                template[name] = self.read(child, field_shape(shape.fields[name]), join(path, name))
            else:
                self._unknown(child, name, shape.fields, path)
        return template

    def _unknown(self, node: Node, name: str, known: Collection[str], path: str) -> None:
        inside, near = f" in {path}" if path else "", nearest(name, known)
        meant = f", did you mean '{near}'?" if near is not None else ""
        right = help_for(node.plain()).removeprefix("write ") or show(node.plain())
        self.problems.add(
            node.key,
            f"unknown setting {name!r}{inside}{meant}; known: {', '.join(known) or 'none'}",
            f"write {near}: {right}" if near is not None else "",
        )

    def _refuse(self, node: Node, message: str) -> None:
        self.problems.add(node.key, message)

    def _range(self, node: Node, path: str, shape: Shape) -> Any:
        if not self.ranges:
            self._refuse(node, f"{path}: a range is not possible here; only the family's settings are searched")
            return Missing()
        try:
            values = read_range(node)
        except RangeSyntaxError as error:
            self.problems.add(error.place, f"{path}: {error}", error.right or help_for(node.plain()))
            return Missing()
        if isinstance(shape, SettingsSection | Items) and not isinstance(values, Choice):
            kind = "a section" if isinstance(shape, SettingsSection) else "a list"
            self._refuse(node, f"{path}: a range of numbers cannot take the place of {kind}; write {{choice: [...]}}")
            return Missing()
        if isinstance(shape, Leaf) and isinstance(values, Choice):
            return replace(values, options=tuple(spelled(option, shape.words) for option in values.options))
        return values

    def _branch(self, node: Node, shape: Branch, path: str) -> Any:
        if isinstance(node.value, str):
            return self._option(node, shape, node.value, None, path)
        kind, choice = node.child("kind"), node.child("choice")
        if kind is not None and isinstance(kind.value, str):
            settings = {name: child for name, child in node.mapping.items() if name != "kind"}
            return self._option(kind, shape, kind.value, Node(settings, node.place, node.key), path)
        if choice is not None and "choice" not in shape.options:
            return self._options(node, choice, shape, path)
        if node.mapping.keys().isdisjoint(shape.options) and (right := help_for(node.plain())):
            self.problems.add(node.key, f"{path}: {show(node.plain())} is no option; known: {shape.known}", right)
            return Missing()
        if len(node.mapping) == 1:
            name, child = next(iter(node.mapping.items()))
            return self._option(child, shape, name, child, path)
        if len(node.mapping) > 1:
            self._refuse(node, f"{path}: one option is expected; to search over several write {{choice: {{...}}}}")
            return Missing()
        return node.plain()

    def _option(self, named: Node, shape: Branch, written: str, settings: Node | None, path: str) -> Any:
        name = spelled(written, shape.options)
        if shape.own and is_reference(name):
            return Chosen(name, self._own_options(settings, name, path))
        if name not in shape.options:
            place = named.key if settings is named else named.place
            hint = suggestion(name, shape.options)
            self.problems.add(place, f"unknown option {name!r} of {path}{hint}; known: {shape.known}")
            return Missing()
        return Chosen(name, self._settings(settings, shape.options[name], join(path, name)))

    def _settings(self, node: Node | None, option: type[BaseModel], path: str) -> dict[str, Any]:
        if node is None or node.value is None:
            return {}
        if not isinstance(node.value, dict):
            self.problems.add(node.place, f"{path}: {show(node.plain())} is not a section of settings")
            return {}
        return self.section(node, section_of(option), path)

    def _own_options(self, node: Node | None, name: str, path: str) -> dict[str, Any]:
        """Return the options for code of the user's own; only its constructor knows their names and values."""
        if node is None or node.value is None:
            return {}
        if not isinstance(node.value, dict):
            self.problems.add(node.place, f"{path}: {name}: {show(node.plain())} is not a mapping of options")
            return {}
        if "kind" in node.mapping:
            self._refuse(node.mapping["kind"], f"{path}: {name}: an option cannot be called 'kind'")
        given = {option: child for option, child in node.mapping.items() if option != "kind"}
        return {option: self.read(child, Leaf(), join(path, option)) for option, child in given.items()}

    def _options(self, node: Node, choice: Node, shape: Branch, path: str) -> Any:
        if not self.ranges:
            return self._range(node, path, shape)
        if len(node.mapping) > 1:
            extra = next(child for name, child in node.mapping.items() if name != "choice")
            why = "'choice' allows no other settings next to it; settings belong inside an option"
            if "mutable" in node.mapping:
                extra, why = node.mapping["mutable"], "the option of a branch cannot be mutable; its settings can"
            self._refuse(extra, f"{path}: {why}")
            return Missing()
        offered: Sequence[tuple[str, Node, Node | None]]
        if isinstance(choice.value, dict):
            offered = [(name, child, child) for name, child in choice.mapping.items()]
        else:
            offered = [(str(item.value), item, None) for item in choice.items]
        if not offered:
            self.problems.add(choice.place, f"{path}: 'choice' needs at least one option")
            return Missing()
        options: dict[str, Any] = {}
        for name, named, settings in offered:
            chosen = self._option(named, shape, name, settings, path)
            if not isinstance(chosen, Chosen):
                continue
            if chosen.name in options:
                self._refuse(named, f"{path}: the option {chosen.name!r} is given twice")
            options[chosen.name] = chosen.settings
        return BranchRange(options) if options else Missing()
