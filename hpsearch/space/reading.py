"""Reading a space file: the whole of it is checked, and all its mistakes are raised at once."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hpsearch.errors import HpsearchError, Problem, SpaceError, UnknownNameError, suggestion
from hpsearch.space.checks import (
    Families,
    check_feasible,
    check_grid,
    check_mutable,
    check_places,
    check_race,
    fold_refusal,
)
from hpsearch.space.fields import SettingsSection, section_of, settings_of
from hpsearch.space.located_yaml import Node, Place, Problems, node_from_plain, read_file
from hpsearch.space.named_code import code_named
from hpsearch.space.overlay import Overrides, lay_over, narrowed, parse_override, whole_path
from hpsearch.space.params import read_start
from hpsearch.space.ranges import show
from hpsearch.space.requirements import Requirement, RequirementError, parse_requirement
from hpsearch.space.search_settings import Confirm, Objective, Search, check_objective
from hpsearch.space.space import FamilyInterface, Space
from hpsearch.space.template import Template
from hpsearch.space.template_reading import TemplateReader
from hpsearch.space.validation import check_section, check_template
from hpsearch.trust import NamedCode, require_trust

Resolve = Callable[[str, Path], FamilyInterface]
OwnCode = Callable[[Search, Path], Iterable[tuple[str, str | None, str]]]
"""Looks at the user's own sampler and pruner of a space in a folder: setting, option or None, and what is wrong."""
ModelT = TypeVar("ModelT", bound=BaseModel)

_OWN = ("family", "objective", "search", "require", "start", "confirm", "quick")


def read_space(
    path: Path,
    resolve: Resolve,
    *,
    overrides: Sequence[str] = (),
    quick: bool = False,
    fixed: Overrides = (),
    with_folds: Families = list,
    own_code: OwnCode | None = None,
    engines: Collection[str] = (),
    look: bool = False,
    content: tuple[str, Node] | None = None,
    programs: bool = True,
) -> Space:
    """Read and check a space file. The quick section is checked even if it is not asked for.

    Code that it names is imported only if it is the project's own or trusted, see `trust.py`.

    Args:
        path: The file.
        resolve: Finds the family that the file names; it may raise HpsearchError.
        overrides: `a.b.c=VALUE`, VALUE being YAML; they replace what the file and its quick section say.
        quick: Whether the file's quick section replaces what the file says.
        fixed: Such values from another file, which come last; one that names the option of a branch keeps the
            ranges below that option.
        with_folds: Finds the families to name in the message if folds are asked of a family that has none.
        own_code: Looks at a sampler and a pruner of the user's own.
        engines: The engines that there are; without any, the engine's name is not checked.
        look: Whether the files and folders that the space names are checked too.
        content: The text and the root of a space that comes from elsewhere; nothing is read from the file then.
        programs: Whether a program that it names will be started, so that it has to be trusted, too.

    Raises:
        SpaceError: With every mistake of the file.
        UntrustedCodeError: It names code from elsewhere, which is not trusted.
    """
    problems = Problems()
    text, root = content or read_file(path, problems)
    require_trust(code_of(root, path, overrides, fixed, programs=programs))
    family, interface = _resolve_family(root, path, resolve, problems)
    settings = _settings(interface, root)
    reading = _SpaceReader(path, text, family, interface, settings, problems, with_folds, own_code, engines)
    given = reading.parse_overrides(overrides)
    has_quick = interface is not None and "quick" in root.mapping
    space = reading.read(root, [given], fixed, look=look and not (quick and has_quick))
    if has_quick:
        quick_space = reading.read(root, [reading.quick(root), given], fixed, look=look and quick)
        space = quick_space if quick else space
    return problems.checked(space)


def code_of(
    root: Node,
    path: Path,
    overrides: Sequence[str] = (),
    fixed: Overrides = (),
    *,
    file: Path | None = None,
    programs: bool = True,
) -> list[NamedCode]:
    """Return the code that a space and what is laid over it name.

    `path` is the space file's place, and `file` where the space was read, if that is not there.
    """
    laid = list(fixed)
    for override in overrides:
        with suppress(SpaceError):  # told when they are read
            laid.append(parse_override(override))
    contents = [("", root.plain()), *((at, node.plain()) for at, node in laid)]
    return code_named(contents, home=path.parent, file=file or path, programs=programs)


def check_known(
    path: Path,
    resolve: Resolve,
    *,
    left_out: Collection[str],
    overrides: Sequence[str] = (),
    quick: bool = False,
    engines: Collection[str] = (),
) -> None:
    """Check of a space file what can be checked while nothing that it names is imported.

    Args:
        path: The file.
        resolve: Finds its family, unless that is `left_out`.
        left_out: The settings whose code is not imported; samplers and pruners of one's own never are.
        overrides: As for `read_space`.
        quick: As for `read_space`.
        engines: As for `read_space`.

    Raises:
        SpaceError: With every mistake that was found.
    """
    problems = Problems()
    text, root = read_file(path, problems)
    family, interface = ("", None) if "family" in left_out else _resolve_family(root, path, resolve, problems)
    reading = _SpaceReader(path, text, family, interface, _settings(interface, root), problems, engines=engines)
    given = reading.parse_overrides(overrides)
    reading.read(root, [reading.quick(root), given] if quick and "quick" in root.mapping else [given])
    problems.checked(root)


def space_from_resolved(
    resolved: Mapping[str, Any],
    interface: FamilyInterface,
    *,
    path: Path = Path("resolved.json"),
    text: str = "",
    overrides: Sequence[str] = (),
) -> Space:
    """Return the space that `Space.resolved` described, with overrides as in `read_space`.

    Raises:
        SpaceError: An override is wrong, or the family has changed since.
    """
    root = node_from_plain(resolved, Place(str(path)))
    family = str(resolved.get("family", ""))
    problems = Problems()
    reading = _SpaceReader(path, text, family, interface, _settings(interface, root), problems)
    return problems.checked(reading.read(root, [reading.parse_overrides(overrides)]))


def _sweep(root: Node) -> Problem:
    """Say of a sweep of W&B how its program is searched here."""
    program = root.child("program")
    named = program.value if program is not None and isinstance(program.value, str) else "train.py"
    right = f"`hpsearch init {named}` drafts a space of its program; `parameters` then are ranges of it"
    return root.mapping["parameters"].key.problem("this is a sweep of W&B, not a space", right)


def _resolve_family(root: Node, path: Path, resolve: Resolve, problems: Problems) -> tuple[str, FamilyInterface | None]:
    if not isinstance(root.value, dict):
        found = "is empty" if root.value is None else f"holds {show(root.plain())}"
        problems.add(root.place, f"a space is a mapping with family and objective; this file {found}")
        raise SpaceError(problems)
    node = root.child("family")
    if node is None and "arms" in root.mapping:
        raise SpaceError([root.mapping["arms"].key.problem("this is a study: `hpsearch study` runs it")])
    if node is None and {"parameters", "metric"} <= root.mapping.keys():
        raise SpaceError([_sweep(root)])
    if node is None:
        problems.add(root.place, "missing section 'family' (expected the name of a family)")
        return "", None
    if not isinstance(node.value, str):
        problems.add(node.place, f"family: {show(node.plain())} is not the name of a family")
        return "", None
    try:
        interface = resolve(node.value, path)
    except HpsearchError as error:
        problems.add(node.place, str(error))
        return node.value, None
    clash = [name for name in _OWN if name in interface.Config.model_fields]
    if clash:
        problems.add(node.place, f"the family's configuration has a reserved section: {', '.join(clash)}")
    return node.value, interface


def _settings(interface: FamilyInterface | None, root: Node) -> SettingsSection:
    return settings_of(interface.Config, root, reserved=_OWN) if interface else SettingsSection({})


@dataclass(frozen=True)
class _SpaceReader:
    """Reads the sections of one file, once as it is and once with its quick section."""

    path: Path
    text: str
    family: str
    interface: FamilyInterface | None
    settings: SettingsSection
    """The settings that belong to the family."""
    problems: Problems
    with_folds: Families = list
    own_code: OwnCode | None = None
    engines: Collection[str] = ()

    def parse_overrides(self, overrides: Sequence[str]) -> Overrides:
        parsed = []
        for override in overrides:
            try:
                parsed.append(parse_override(override))
            except SpaceError as error:
                self.problems.extend(error.problems)
        return parsed

    def quick(self, root: Node) -> Overrides:
        node = root.mapping["quick"]
        if not isinstance(node.value, dict) and node.value is not None:
            self.problems.add(node.place, "quick is a mapping such as {search.trials: 8}")
        return list(node.mapping.items())

    def read(
        self, root: Node, layers: Sequence[Overrides], fixed: Overrides = (), *, look: bool = False
    ) -> Space | None:
        """Return the space with the layers over it, or None if something is wrong with its sections."""
        before = len(self.problems)
        root, replaced = self.overlaid(root, layers, fixed) if self.interface else (root, [])
        self.check_names(root)
        self.check_engine(root)
        objective = self.objective(root)
        search = self.section(root, "search", Search)
        confirm = self.section(root, "confirm", Confirm) if _given(root, "confirm") else None
        if self.interface is None:
            return None
        template = self.template(root)
        requirements = self.requirements(root)
        if len(self.problems) > before or objective is None or search is None:
            return None
        asked = objective, search, confirm
        checked = tuple(requirement for _, requirement in requirements)
        space = Space(self.path, self.text, self.family, self.interface, *asked, template, requirements=checked)
        space = replace(space, start=read_start(root, space, replaced, self.problems))
        check_grid(space, root, self.problems)
        self.check_own_code(root, space)
        check_mutable(space, root, self.settings, self.problems)
        check_race(space, root, self.problems)
        check_feasible(space, root, [node.place for node, _ in requirements], self.problems)
        if look:
            check_places(space, root, self.problems)
        if refusal := fold_refusal(space, self.with_folds):
            self.problems.add(root.nearest(["confirm", "folds"]).place, f"confirm.folds: {refusal}")
        return space

    def overlaid(self, root: Node, layers: Sequence[Overrides], fixed: Overrides) -> tuple[Node, list[str]]:
        """Return the file with the layers over it, and the paths that were replaced since `start` was written."""
        replaced: list[str] = []
        for layer in layers:
            paths = [whole_path(path, self.everything()) for path, _ in layer]
            for path, (_, value) in zip(paths, layer, strict=True):
                root = lay_over(root, path, value, self.everything(), self.problems)
            replaced = [] if "start" in paths else [*replaced, *paths]
        for path, value in fixed:
            kept = narrowed(root, path, value, self.everything())
            root = lay_over(root, path, kept, self.everything(), self.problems)
            replaced.append(path)
        return root, replaced

    def check_own_code(self, root: Node, space: Space) -> None:
        """Check the user's own sampler and pruner; a mistake is reported at its option, or at the name."""
        for setting, option, message in self.own_code(space.search, self.path.parent) if self.own_code else ():
            branch = root.nearest(["search", setting])
            named = next(iter(branch.mapping.values()), branch)
            settings = branch if "kind" in branch.mapping else named
            at = settings.mapping.get(option or "")
            place = at.key if at else named.key if named is not branch else branch.place
            self.problems.add(place, f"search.{setting}: {message}")

    def everything(self) -> SettingsSection:
        """Return every section that quick and --set may change."""
        own: dict[str, Any] = {"objective": Objective, "search": Search, "confirm": Confirm | None}
        own |= {"require": list[str], "start": list[Any]}
        fields = {name: FieldInfo.from_annotation(annotation) for name, annotation in own.items()}
        return SettingsSection({**fields, **self.settings.fields}, self.settings.fixed)

    def check_names(self, root: Node) -> None:
        known = (*_OWN, *self.settings.fields)
        for name, node in root.mapping.items():
            if self.interface is not None and name not in known:
                message = f"unknown section {name!r}{suggestion(name, known)}; known: {', '.join(known)}"
                self.problems.add(node.key, message)

    def check_engine(self, root: Node) -> None:
        """Check the engine's name as it is written, even if other settings of the search are wrong."""
        search = root.child("search")
        node = search.child("engine") if search else None
        if node is None or not self.engines or not isinstance(node.value, str):
            return
        if Search(engine=node.value).engine not in self.engines:
            unknown = UnknownNameError("engine", node.value, self.engines)
            self.problems.add(node.place, f"search.engine: {unknown}")

    def section(
        self, root: Node, name: str, model: type[ModelT], given: Mapping[str, Any] | None = None
    ) -> ModelT | None:
        """Return a section that holds no ranges; `given` are settings that the file may leave out."""
        node = root.child(name) or Node({}, root.place, root.key)
        read = TemplateReader(self.problems, ranges=False).read(node, section_of(model), name)
        if not isinstance(read, dict):
            self.problems.add(node.place, f"{name}: {show(node.plain())} is not a section of settings")
            return None
        return check_section(model, Template({**(given or {}), **read}), root, name, self.problems)

    def objective(self, root: Node) -> Objective | None:
        node = root.child("objective")
        if node is None:
            message = "missing section 'objective' (expected objective: {metric: val/<name>})"
            self.problems.add(root.place, message)
            return None
        metrics = self.interface.metrics if self.interface else {}
        metric, goal = ((child.value if child else None) for child in (node.child("metric"), node.child("goal")))
        wrong = check_objective(metric, goal, metrics)
        for name, message in wrong:
            self.problems.add(node.nearest([name]).place, f"objective.{name}: {message}")
        known = metrics.get(str(metric).partition("/")[2], "minimize" if wrong or self.interface is None else None)
        return self.section(root, "objective", Objective, {"goal": known} if known else {})

    def template(self, root: Node) -> Template:
        """Return the family's part of the file, checked."""
        sections = {name: child for name, child in root.mapping.items() if name in self.settings.fields}
        reader = TemplateReader(self.problems, ranges=True)
        template = Template(reader.section(replace(root, value=sections), self.settings, ""))
        if self.interface is not None:
            check_template(self.interface, template, root, self.problems)
        return template

    def requirements(self, root: Node) -> list[tuple[Node, Requirement]]:
        node = root.child("require")
        found = []
        if node is None or node.value is None:
            return []
        for item in node.items if isinstance(node.value, list) else [node]:
            try:
                found.append((item, parse_requirement(item.plain(), self.settings)))
            except RequirementError as error:
                self.problems.add(item.place, f"require: {error}")
        return found


def _given(root: Node, name: str) -> bool:
    node = root.child(name)
    return node is not None and node.value is not None
