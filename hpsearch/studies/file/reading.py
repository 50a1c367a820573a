"""Reading a study file: its settings, and each arm's space with the study's budget laid over it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from hpsearch.errors import HpsearchError, SpaceError, suggestion
from hpsearch.records import Goal
from hpsearch.space.checks import Families, fold_refusal
from hpsearch.space.fields import section_of
from hpsearch.space.located_yaml import read_file
from hpsearch.space.nodes import Node, Problems
from hpsearch.space.overlay import Overrides
from hpsearch.space.range_syntax import show
from hpsearch.space.reading import read_space
from hpsearch.space.template import Template
from hpsearch.space.template_reading import TemplateReader
from hpsearch.space.validation import check_section
from hpsearch.studies.file.factors import FACTORS, with_cells
from hpsearch.studies.file.layers import SET, budget_of, set_for_all, with_quick
from hpsearch.studies.file.settings import StudySettings
from hpsearch.studies.file.study import BaselineArm, SpaceArm, StudiedFamily, Study

_ARM = ("space", SET, FACTORS, "baseline")
_FOLDER_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")

Resolve = Callable[[str, Path], StudiedFamily]


def is_study(path: Path) -> bool:
    """Say whether a file is a study by what it holds. Errors: SpaceError for a file that cannot be read."""
    _, root = read_file(path, Problems())
    return "arms" in root.mapping and "family" not in root.mapping


def read_study(
    path: Path, resolve: Resolve, *, quick: bool = False, with_folds: Families = list, look: bool = False
) -> Study:
    """Read and check a study file and the spaces of its arms; with `look`, the files that they name too.

    `quick` lays the study's quick section over it, and each space's over that. The quick section is checked even when
    it is not asked for. `with_folds` is for the message where folds are asked of a family that has none.
    Errors: SpaceError with every mistake of the file, and of the spaces as they are laid out.
    """
    problems = Problems()
    _, root = read_file(path, problems)
    if not isinstance(root.value, dict):
        found = "is empty" if root.value is None else f"holds {show(root.plain())}"
        raise SpaceError([root.place.problem(f"a study is a mapping with question and arms; this file {found}")])
    if "family" in root.mapping and "arms" not in root.mapping:
        raise SpaceError([root.mapping["family"].key.problem("this is a space: `hpsearch run` searches it")])
    reading = _Reading(path, resolve, problems, with_folds, look=look and not quick)
    study = reading.read(root, quick=False)
    reading.look = look and quick
    if "quick" in root.mapping:
        hurried = reading.read(with_quick(root, problems), quick=True)
        study = hurried if quick else study
    elif quick:
        study = reading.read(root, quick=True)
    return problems.checked(study)


@dataclass
class _Reading:
    path: Path
    resolve: Resolve
    problems: Problems = field(default_factory=Problems)
    with_folds: Families = list
    laid: Overrides = ()
    """What is laid over the space of every arm."""
    look: bool = False
    """Whether the files that the spaces name must be there."""

    def refuse(self, node: Node, message: str, *, at_key: bool = False) -> None:
        self.problems.add(node.key if at_key else node.place, message)

    def read(self, root: Node, *, quick: bool) -> Study | None:
        before = len(self.problems)
        settings = self.settings(root)
        common = set_for_all(root, self.refuse)
        self.laid = [*(budget_of(root, settings) if settings else ()), *common.items()]
        arms = [arm for name, node in self.arms(root).items() if (arm := self.arm(name, node, root, settings, quick))]
        searched = {arm.name: arm for arm in arms if isinstance(arm, SpaceArm)}
        goal = self.goal(root, settings, searched) if settings and searched else None
        arms = [self.beside(arm, root, searched) if isinstance(arm, BaselineArm) else arm for arm in arms]
        if len(self.problems) > before or settings is None or goal is None:
            return None
        plain = {path: node.plain() for path, node in common.items()}
        return Study(self.path, settings, goal, tuple(arms), quick, plain)

    def settings(self, root: Node) -> StudySettings | None:
        """Return everything but the arms; names that nobody knows are problems."""
        section = section_of(StudySettings)
        known = (*section.fields, "arms", SET, "quick")
        for name, node in root.mapping.items():
            if name not in known:
                hint = suggestion(name, known)
                self.refuse(node, f"unknown section {name!r}{hint}; known: {', '.join(known)}", at_key=True)
        own = replace(root, value={name: node for name, node in root.mapping.items() if name in section.fields})
        read = TemplateReader(self.problems, ranges=False).section(own, section, "")
        return check_section(StudySettings, Template(read), own, "", self.problems)

    def arms(self, root: Node) -> Mapping[str, Node]:
        """Return the arms as they are written, with the study's own rules about their number and names."""
        node = root.child("arms")
        factorial = node is not None and any(FACTORS in arm.mapping for arm in node.mapping.values())
        if node is None or not isinstance(node.value, dict) or (len(node.mapping) < 2 and not factorial):
            place = root if node is None else node
            self.refuse(place, "arms: a study has two or more arms, such as arms: {mine: {space: ../spaces/mine.yaml}}")
        arms = node.mapping if node is not None else {}
        for name, arm in arms.items():
            if not _FOLDER_NAME.fullmatch(name):
                self.refuse(
                    arm, f"arms: {name!r} cannot be the name of a folder; use letters, digits, _ . + -", at_key=True
                )
        if arms and not any("space" in arm.mapping for arm in arms.values()):
            self.refuse(root.mapping["arms"], "arms: at least one arm has a space to search", at_key=True)
        return with_cells(arms, self.refuse)

    def arm(
        self, name: str, node: Node, root: Node, settings: StudySettings | None, quick: bool
    ) -> SpaceArm | BaselineArm | None:
        title = f"arms.{name}"
        if not isinstance(node.value, dict):
            self.refuse(node, f"{title}: write {{space: FILE, set: {{...}}}} or {{baseline: METHOD}}")
            return None
        for key, child in node.mapping.items():
            if key not in _ARM:
                hint = suggestion(key, _ARM)
                self.refuse(child, f"unknown setting {key!r} in {title}{hint}; known: {', '.join(_ARM)}", at_key=True)
        space, baseline = node.child("space"), node.child("baseline")
        if (space is None) == (baseline is None):
            self.refuse(node, f"{title}: an arm has either a space or a baseline", at_key=True)
            return None
        if baseline is not None:
            if not isinstance(baseline.value, str) or node.mapping.keys() & {"set", FACTORS}:
                self.refuse(baseline, f"{title}: a baseline is the name of a method, and takes no settings")
                return None
            return BaselineArm(name, baseline.value, "")
        return self.space_arm(title, node, space, root, settings, quick) if space is not None else None

    def space_arm(
        self, title: str, node: Node, space: Node, root: Node, settings: StudySettings | None, quick: bool
    ) -> SpaceArm | None:
        file = self.path.parent / str(space.value)
        if not isinstance(space.value, str) or not file.is_file():
            self.refuse(space, f"{title}.space: there is no file {file}")
            return None
        given = node.child("set")
        if given is not None and not isinstance(given.value, dict):
            self.refuse(given, f"{title}.set: {show(given.plain())} is not a mapping of dotted names to values")
            return None
        levels = node.nearest([FACTORS]).mapping if FACTORS in node.mapping else {}
        fixed = {**(given.mapping if given is not None else {}), **levels}
        for path, child in fixed.items():
            if path.split(".")[0] in ("search", "confirm"):
                why = "the search is the same for every arm: see budget, replicates and the study's own set"
                self.refuse(child, f"{title}.set: {path} cannot be set for one arm; {why}", at_key=True)
        try:
            read = read_space(file, self.resolve, quick=quick, fixed=[*self.laid, *fixed.items()], look=self.look)
        except SpaceError as error:
            self.problems.extend(error.problems)
            return None
        except HpsearchError as error:
            self.refuse(space, f"{title}.space: {error}")
            return None
        if settings is not None:
            read = replace(read, confirm=settings.confirm)
        if refusal := fold_refusal(read, self.with_folds):
            folds = root.nearest(["replicates", "folds"])
            self.refuse(folds, f"replicates.folds: {title}: {refusal}; or write {{seeds: 10}}")
        plain = {path: child.plain() for path, child in fixed.items()}
        return SpaceArm(title.removeprefix("arms."), read, plain, {path: plain[path] for path in levels})

    def goal(self, root: Node, settings: StudySettings, searched: Mapping[str, SpaceArm]) -> Goal | None:
        """Return the metric's direction; every arm's family must have the metric, and agree."""
        metric, node = settings.metric, root.nearest(["metric", "name"])
        split, _, name = metric.name.partition("/")
        goals: dict[Goal, str] = {}
        for arm in searched.values():
            metrics = arm.space.face.metrics
            if split != "test" or (metrics and name not in metrics):
                known = [f"test/{each}" for each in sorted(metrics)]
                told = (
                    f"{suggestion(metric.name, known)}; known: {', '.join(known)}" if known else "; write test/<name>"
                )
                self.refuse(node, f"metric.name: {arm.space.family} has no {metric.name!r}{told}")
                return None
            if found := metrics.get(name, metric.goal):
                goals[found] = arm.name
        if len(goals) > 1:
            told = " and ".join(f"{each} in {arm}" for each, arm in goals.items())
            self.refuse(node, f"metric.name: the families disagree on {metric.name}: {told}")
        goal = next(iter(goals), None)
        if goal is None:
            self.refuse(node, f"metric.name: no family knows the goal of {metric.name}; add goal: minimize or maximize")
        elif metric.goal not in (None, goal):
            written = root.nearest(["metric", "goal"])
            self.refuse(written, f"metric.goal: {metric.name} is to {goal}, not to {metric.goal}")
        return goal

    def beside(self, arm: BaselineArm, root: Node, searched: Mapping[str, SpaceArm]) -> BaselineArm:
        """Return the baseline with the first arm whose family has the method."""
        node = root.nearest(["arms", arm.name, "baseline"])
        offered: dict[str, str] = {}
        for each in searched.values():
            for method in self.resolve(each.space.family, each.space.path).methods:
                offered.setdefault(method, each.name)
        if searched and arm.method not in offered:
            listed = ", ".join(offered) or "none"
            hint = suggestion(arm.method, offered)
            self.refuse(node, f"arms.{arm.name}.baseline: unknown method {arm.method!r}{hint}; known: {listed}")
        return replace(arm, beside=offered.get(arm.method, ""))
