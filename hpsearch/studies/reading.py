"""Reading a study file: its settings, and each arm's space with the study's budget laid over it.

Over the study itself come first: the section of its form (quick or standard), and the cells of a factorial design in
place of the arm with factors: every combination of the factors' levels is an arm, named for them. Over every space:
budget, seed and the study's own `set`.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError, SpaceError, UntrustedCodeError, suggestion
from hpsearch.families import Family
from hpsearch.families.command.family import Command
from hpsearch.families.function.function import Function
from hpsearch.families.loading import load_interface
from hpsearch.records import Goal
from hpsearch.running.loading import check_own_code, families_with_folds
from hpsearch.space import Space, read_space
from hpsearch.space.checks import fold_refusal, no_test_split
from hpsearch.space.fields import section_of
from hpsearch.space.located_yaml import Node, Problems, read_file
from hpsearch.space.overlay import Overrides, lay_over
from hpsearch.space.ranges import show
from hpsearch.space.template import Template
from hpsearch.space.template_reading import TemplateReader
from hpsearch.space.validation import check_section
from hpsearch.studies.study import (
    BaselineArm,
    Form,
    SpaceArm,
    Study,
    StudySettings,
    factor_titles,
    form_of,
    level_text,
)
from hpsearch.workers.engines import ENGINES

_SET, _FACTORS = "set", "factors"
_ARM = ("space", _SET, _FACTORS, "baseline")
_FOLDER_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")


def is_study(path: Path) -> bool:
    """Check whether a file is a study, going by its contents.

    Raises:
        SpaceError: The file cannot be read.

    """
    _, root = read_file(path, Problems())
    return "arms" in root.mapping and "family" not in root.mapping


def load_study(path: Path, *, quick: bool = False, standard: bool = False, programs: bool = True) -> Study:
    """Read and check a study file, the spaces of its arms, and that the files which these name are there.

    The quick and the standard section are checked even if they are not asked for.

    Args:
        path: The study file.
        quick: Lay the study's quick section over it, and each space's over that.
        standard: Lay the study's standard section over it, and each space's quick section over that.
        programs: Whether programs that the spaces name will be started, so that they have to be trusted, too.

    Raises:
        SpaceError: Every mistake of the file, and of the spaces as they are laid out.
        UntrustedCodeError: A space names code from outside the project, which is not trusted.
        HpsearchError: Two forms are asked for.

    """
    form = form_of(quick=quick, standard=standard)
    problems = Problems()
    _, root = read_file(path, problems)
    if not isinstance(root.value, dict):
        found = "is empty" if root.value is None else f"holds {show(root.plain())}"
        raise SpaceError([root.place.problem(f"a study is a mapping with question and arms; this file {found}")])
    if "family" in root.mapping and "arms" not in root.mapping:
        raise SpaceError([root.mapping["family"].key.problem("this is a space: `hpsearch run` searches it")])
    reader = partial(_StudyReader, path, programs=programs)
    study = reader(root, problems, look=form is Form.FULL).read()
    for each in (Form.QUICK, Form.STANDARD):
        if each in root.mapping:
            laid = reader(with_form(root, each, problems), problems, form=each, look=form is each).read()
            study = laid if form is each else study
    if form is Form.QUICK and form not in root.mapping:
        study = reader(root, problems, form=form, look=True).read()
    elif form is Form.STANDARD and form not in root.mapping:
        problems.add(root.place, "this study has no standard form; write standard: {budget.trials: 20}, or use --quick")
    return problems.checked(study)


def _family(name: str, file: Path) -> Family[Any] | Command | Function:
    """Return the family that a space file names."""
    return load_interface(name, file.parent)


class _StudyReader:
    """Reads one form of a study; every mistake is added to `problems`.

    `look`: whether the files that the spaces name must be there; `programs`: whether their programs will be started.
    """

    def __init__(
        self,
        path: Path,
        root: Node,
        problems: Problems,
        *,
        form: Form = Form.FULL,
        look: bool = False,
        programs: bool = True,
    ) -> None:
        self.path, self.root, self.problems, self.form, self.look = path, root, problems, form, look
        self.programs = programs

    def refuse(self, node: Node, message: str, *, at_key: bool = False) -> None:
        self.problems.add(node.key if at_key else node.place, message)

    def read(self) -> Study | None:
        """Return the study, or None if anything is wrong with it."""
        before = len(self.problems)
        self.settings = self._settings()
        common = set_for_all(self.root, self.problems)
        self.laid = [*(budget_of(self.root, self.settings) if self.settings else ()), *common.items()]
        arms = [arm for name, node in self._arms().items() if (arm := self._arm(name, node))]
        searched = [arm for arm in arms if isinstance(arm, SpaceArm)]
        goal = self._goal(self.settings, searched) if self.settings and searched else None
        arms = [self._beside(arm, searched) if isinstance(arm, BaselineArm) else arm for arm in arms]
        if len(self.problems) > before or self.settings is None or goal is None:
            return None
        plain = {path: node.plain() for path, node in common.items()}
        return Study(self.path, self.settings, goal, tuple(arms), self.form, plain)

    def _settings(self) -> StudySettings | None:
        """Return everything but the arms; unknown names are problems."""
        section = section_of(StudySettings)
        known = (*section.fields, "arms", _SET, Form.QUICK, Form.STANDARD)
        for name, node in self.root.mapping.items():
            if name not in known:
                hint = suggestion(name, known)
                self.refuse(node, f"unknown section {name!r}{hint}; known: {', '.join(known)}", at_key=True)
        own = {name: node for name, node in self.root.mapping.items() if name in section.fields}
        root = replace(self.root, value=own)
        read = TemplateReader(self.problems, ranges=False).section(root, section, "")
        return check_section(StudySettings, Template(read), root, "", self.problems)

    def _arms(self) -> Mapping[str, Node]:
        """Return the arms as they are written, with the study's own rules about their number and names."""
        node = self.root.child("arms")
        factorial = node is not None and any(_FACTORS in arm.mapping for arm in node.mapping.values())
        if node is None or not isinstance(node.value, dict) or (len(node.mapping) < 2 and not factorial):
            place = self.root if node is None else node
            self.refuse(place, "arms: a study has two or more arms, such as arms: {mine: {space: ../spaces/mine.yaml}}")
        arms = node.mapping if node is not None else {}
        for name, arm in arms.items():
            if not _FOLDER_NAME.fullmatch(name):
                message = f"arms: {name!r} cannot be the name of a folder; use letters, digits, _ . + -"
                self.refuse(arm, message, at_key=True)
        for name, same in itertools.combinations(arms, 2):
            if name.casefold() == same.casefold():
                self.refuse(arms[same], f"arms: {same!r} differs from {name!r} by case only", at_key=True)
        if arms and not any("space" in arm.mapping for arm in arms.values()):
            self.refuse(self.root.mapping["arms"], "arms: at least one arm has a space to search", at_key=True)
        return with_cells(arms, self.problems)

    def _arm(self, name: str, node: Node) -> SpaceArm | BaselineArm | None:
        title = f"arms.{name}"
        if not isinstance(node.value, dict):
            self.refuse(node, f"{title}: write {{space: FILE, set: {{...}}}} or {{baseline: METHOD}}")
            return None
        for key, child in node.mapping.items():
            if key not in _ARM:
                hint = suggestion(key, _ARM)
                self.refuse(child, f"unknown setting {key!r} in {title}{hint}; known: {', '.join(_ARM)}", at_key=True)
        space, baseline = node.child("space"), node.child("baseline")
        if space is not None and baseline is None:
            return self._space_arm(name, node, space)
        if baseline is None or space is not None:
            self.refuse(node, f"{title}: an arm has either a space or a baseline", at_key=True)
            return None
        if not isinstance(baseline.value, str) or node.mapping.keys() & {_SET, _FACTORS}:
            self.refuse(baseline, f"{title}: a baseline is the name of a method, and takes no settings")
            return None
        return BaselineArm(name, baseline.value, "")

    def _space_arm(self, name: str, node: Node, written: Node) -> SpaceArm | None:
        title = f"arms.{name}"
        given = node.child(_SET)
        file = self.path.parent / str(written.value)
        if not isinstance(written.value, str) or not file.is_file():
            self.refuse(written, f"{title}.space: there is no file {file}")
            return None
        if given is not None and not isinstance(given.value, dict):
            self.refuse(given, f"{title}.set: {show(given.plain())} is not a mapping of dotted names to values")
            return None
        levels = node.nearest([_FACTORS]).mapping if _FACTORS in node.mapping else {}
        fixed = {**(given.mapping if given is not None else {}), **levels}
        for path, child in fixed.items():
            if path.split(".")[0] in ("search", "confirm"):
                why = "the search is the same for every arm: see budget, replicates and the study's own set"
                self.refuse(child, f"{title}.set: {path} cannot be set for one arm; {why}", at_key=True)
        space = self._space(title, file, written, fixed)
        if space is None:
            return None
        if refusal := fold_refusal(space, families_with_folds):
            folds = self.root.nearest(["replicates", "folds"])
            self.refuse(folds, f"replicates.folds: {title}: {refusal}; or write {{seeds: 10}}")
        elif self.look and not (space.confirm and space.confirm.folds) and (refusal := no_test_split(space)):
            self.refuse(written, f"{title}: {refusal}")
        plain = {path: child.plain() for path, child in fixed.items()}
        return SpaceArm(name, space, plain, {path: plain[path] for path in levels})

    def _space(self, title: str, file: Path, written: Node, fixed: Mapping[str, Node]) -> Space | None:
        """Return an arm's space with what the study and the arm set in it, and the study's replicates."""
        try:
            space = read_space(
                file,
                _family,
                quick=self.form is not Form.FULL,
                fixed=[*self.laid, *fixed.items()],
                own_code=check_own_code,
                engines=ENGINES,
                look=self.look,
                programs=self.programs,
            )
        except SpaceError as error:
            self.problems.extend(error.problems)
            return None
        except UntrustedCodeError:
            raise
        except HpsearchError as error:
            self.refuse(written, f"{title}.space: {error}")
            return None
        return space if self.settings is None else replace(space, confirm=self.settings.confirm)

    def _goal(self, settings: StudySettings, searched: list[SpaceArm]) -> Goal | None:
        """Return the metric's direction; every arm's family must have the metric, and agree."""
        metric, node = settings.metric, self.root.nearest(["metric", "name"])
        split, _, name = metric.name.partition("/")
        goals: dict[Goal, str] = {}
        for arm in searched:
            metrics = arm.space.interface.metrics
            if split != "test" or (metrics and name not in metrics):
                known = [f"test/{each}" for each in sorted(metrics)]
                hint = f"{suggestion(metric.name, known)}; known: {', '.join(known)}"
                message = f"metric.name: {arm.space.family} has no {metric.name!r}"
                self.refuse(node, message + (hint if known else "; write test/<name>"))
                return None
            if found := metrics.get(name, metric.goal):
                goals[found] = arm.name
        if len(goals) > 1:
            each = " and ".join(f"{goal} in {arm}" for goal, arm in goals.items())
            self.refuse(node, f"metric.name: the families disagree on {metric.name}: {each}")
        goal = next(iter(goals), None)
        if goal is None:
            self.refuse(node, f"metric.name: no family knows the goal of {metric.name}; add goal: minimize or maximize")
        elif metric.goal not in (None, goal):
            given = self.root.nearest(["metric", "goal"])
            self.refuse(given, f"metric.goal: {metric.name} is to {goal}, not to {metric.goal}")
        return goal

    def _beside(self, arm: BaselineArm, searched: list[SpaceArm]) -> BaselineArm:
        """Return the baseline with the first arm whose family has the method."""
        offered: dict[str, str] = {}
        for each in searched:
            for method in _family(each.space.family, each.space.path).methods:
                offered.setdefault(method, each.name)
        if searched and arm.method not in offered:
            node = self.root.nearest(["arms", arm.name, "baseline"])
            listed = ", ".join(offered) or "none"
            hint = suggestion(arm.method, offered)
            self.refuse(node, f"arms.{arm.name}.baseline: unknown method {arm.method!r}{hint}; known: {listed}")
        return replace(arm, partner=offered.get(arm.method, ""))


_BUDGET = ("search.trials", "search.time", "search.seed", "search.split_seed")
_WORD = re.compile(r"[\w.+-]+")


def with_form(root: Node, form: Form, problems: Problems) -> Node:
    """Return a study with the section of a form laid over it; `set`s and `factors` are replaced as a whole."""
    section = root.mapping[form]
    if not isinstance(section.value, dict) and section.value is not None:
        problems.add(section.place, f"{form} is a mapping such as {{budget.trials: 4}}")
    for path, value in section.mapping.items():
        if path == _SET:
            root = root.with_child(_SET, value)
        elif path.startswith("arms."):
            root = _with_arm(root, path, value, form, problems)
        else:
            root = lay_over(root, path, value, section_of(StudySettings), problems)
    return root


def _with_arm(root: Node, path: str, value: Node, form: Form, problems: Problems) -> Node:
    arms = root.nearest(["arms"])
    name, _, key = path.removeprefix("arms.").rpartition(".")
    if name not in arms.mapping or key not in (_SET, _FACTORS) or not arms.mapping[name].mapping:
        message = f"{form}: {path} is not arms.NAME.set or arms.NAME.factors of one of {', '.join(arms.mapping)}"
        problems.add(value.key, message)
        return root
    return root.with_child("arms", arms.with_child(name, arms.mapping[name].with_child(key, value)))


def with_cells(arms: Mapping[str, Node], problems: Problems) -> dict[str, Node]:
    """Return the arms with the one that has factors replaced by its cells; mistakes are added to `problems`.

    A cell's node keeps `factors`, each with its one level.
    """
    expanded: dict[str, Node] = {}
    factorial = [name for name, node in arms.items() if _FACTORS in node.mapping]
    for name in factorial[1:]:
        problems.add(arms[name].mapping[_FACTORS].place, f"arms.{name}.factors: one arm of a study can have factors")
    for name, node in arms.items():
        cells = dict(_cells(name, node, problems)) if name in factorial[:1] else {name: node}
        for cell in cells.keys() & expanded.keys():
            problems.add(node.place, f"arms.{name}: its cell {cell} has the name of another arm")
        expanded |= cells
    return expanded


def _cells(name: str, node: Node, problems: Problems) -> Iterator[tuple[str, Node]]:
    factors = node.mapping[_FACTORS]
    if not _are_factors(name, factors, problems):
        yield name, replace(node, value={key: child for key, child in node.mapping.items() if key != _FACTORS})
        return
    for path in factors.mapping.keys() & node.nearest(["set"]).mapping.keys():
        problems.add(factors.mapping[path].place, f"arms.{name}.factors: {path} is set already")
    titles = factor_titles(factors.mapping)
    for levels in itertools.product(*(child.items for child in factors.mapping.values())):
        chosen = dict(zip(factors.mapping, levels, strict=True))
        title = ",".join(f"{titles[path]}={level_text(level.value)}" for path, level in chosen.items())
        yield title, node.with_child(_FACTORS, replace(factors, value=chosen))


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
                why = "occurs twice" if text in seen else "cannot be part of a folder's name"
                problems.add(item.place, f"{title}: the level {text} of {path} {why}")
                wrong = True
            seen.add(text)
    return not wrong


def set_for_all(root: Node, problems: Problems) -> dict[str, Node]:
    """Return the settings that the study applies to every arm, except budget and replicates."""
    given = root.child(_SET)
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
