"""What is challenged with: a configuration and the code as it now stands, each from wherever the user named it."""

import contextlib
import getpass
import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hpsearch.errors import ExperimentError, HpsearchError
from hpsearch.experiment.layout import is_experiment
from hpsearch.experiment.reading import read_experiment, space_home
from hpsearch.records import Goal
from hpsearch.referee.ledger import Contender, Terms
from hpsearch.referee.project_files import TOO_LARGE, looks_of
from hpsearch.referee.snapshot import take, tree_of
from hpsearch.running.loading import load_space, open_space
from hpsearch.running.same_data import data_digest
from hpsearch.space import Node, Space, code_of, only
from hpsearch.space.located_yaml import Place, parse, read_file
from hpsearch.trust import project_of, trusting

_KEPT = ("engine", "trial_time", "seed", "workers", "retries", "resources", "pack", "storage")
"""The settings of a search that mean something to trainings without one."""


@dataclass(frozen=True)
class Source:
    """Where a configuration comes from: the space file at `path`, or a `text` that would be there.

    `file` is its place within the project, None where the text was made for the title.
    """

    path: Path
    text: str
    home: str
    file: str | None
    quick: bool = False
    overrides: tuple[str, ...] = ()

    def root(self) -> Node:
        """Return the text as it was parsed.

        Raises:
            SpaceError: It is not YAML.
        """
        return parse(self.text, Place(str(self.path), 1, 1) if self.file else Place(self.path.name))

    def load(self) -> Space:
        """Return the space, checked.

        Raises:
            SpaceError: With every mistake.
            UntrustedCodeError: It names code from outside the project, which is not trusted.
        """
        content = (self.text, self.root())
        return load_space(self.path, quick=self.quick, overrides=self.overrides, content=content)


def from_file(path: Path, project: Path, *, quick: bool, overrides: Sequence[str]) -> Source:
    """Return the source that a space file is.

    Raises:
        HpsearchError: It lies outside the project and names code of its own, which no snapshot would have.
    """
    text, root = read_file(path)
    place = path.resolve()
    if place.is_relative_to(project):
        within = place.relative_to(project)
        return Source(path, text, within.parent.as_posix(), within.as_posix(), quick, tuple(overrides))
    if code_of(root, path, overrides):
        raise HpsearchError(
            f"{path} is outside of the project {project} and names code of its own, which a snapshot of the project "
            "would not have: start the command in the project of that file"
        )
    return Source(path, text, ".", None, quick, tuple(overrides))


def from_experiment(folder: Path, project: Path, overrides: Sequence[str]) -> Source:
    """Return the source that the winner of an experiment is.

    Raises:
        ExperimentError: The folder is no experiment, has no winner, or its space file is outside of the project.
    """
    if not is_experiment(folder):
        raise ExperimentError(f"{folder} is neither a space file nor an experiment, whose winner would be the champion")
    best = read_experiment(folder).best
    if best is None:
        raise ExperimentError(f"{folder} has no winner yet: none of its trials is complete")
    home = space_home(folder).resolve()
    if not home.is_relative_to(project):
        raise ExperimentError(f"the space file of {folder} is in {home}, outside of the project {project}")
    space = open_space(folder)
    params = {**only(space, best.params).start[0]}
    resolved = space.resolved()
    content = {
        "family": resolved["family"],
        "objective": resolved["objective"],
        "search": {name: value for name, value in resolved["search"].items() if name in _KEPT},
        **space.configuration(params),
    }
    text = json.dumps(content, indent=2) + "\n"
    return Source(
        home / f"{folder.name}.yaml", text, home.relative_to(project).as_posix(), None, False, tuple(overrides)
    )


def from_program(
    command: str, project: Path, *, metric: str, goal: Goal, pattern: str | None, overrides: Sequence[str]
) -> Source:
    """Return the source that a program is, which is run where the command was called.

    Raises:
        HpsearchError: The command is not given its seed.
    """
    if "{seed}" not in command:
        raise HpsearchError(
            f"--command {command!r}: nothing in it says the seed, so that all trainings would be one and the same; "
            "write {seed} where the program takes it, such as --seed {seed}"
        )
    metrics: dict[str, Any] = {"stdout": "json"} if pattern is None else {"pattern": pattern}
    content = {
        "family": "command",
        "objective": {"metric": metric, "goal": goal.value},
        "search": {"workers": 1},
        "command": command,
        "metrics": metrics,
    }
    text = json.dumps(content, indent=2) + "\n"
    here = Path.cwd().resolve()
    home = here.relative_to(project).as_posix()
    return Source(here / "command.yaml", text, home, None, False, tuple(overrides))


def of_champion(champion: Contender, project: Path, overrides: Sequence[str]) -> Source:
    """Return the champion's source with further overrides; its space file is read as it now stands.

    Raises:
        HpsearchError: The file is gone.
    """
    laid = (*champion.overrides, *overrides)
    if champion.file is None:
        return Source(
            project / champion.home / "champion.yaml", champion.text, champion.home, None, champion.quick, laid
        )
    path = project / champion.file
    if not path.is_file():
        raise HpsearchError(f"the champion's space file {path} is gone: put it back, or name another FILE")
    return from_file(path, project, quick=champion.quick, overrides=laid)


def project() -> Path:
    """Return the project in which the command was called."""
    return project_of(Path.cwd())


@dataclass(frozen=True)
class Candidate:
    """A contender that has no number yet, and its space."""

    contender: Contender
    space: Space


def enter(source: Source, store: Path, within: Path, *, protected: Terms | None = None) -> Candidate:
    """Keep the code of a project as it now stands; return what contends with it.

    Args:
        source: The configuration.
        store: The folder of the title.
        within: The project.
        protected: The title, whose protected files must be as they were.

    Raises:
        SpaceError: The space has mistakes, or leaves a value open.
        HpsearchError: A protected file has changed, or the code is too much for a snapshot.
    """
    space = checked(source, within)
    snapshot = take(within, store)
    if protected is not None:
        _require_unchanged(protected, within)
    config = space.config({}).model_dump(mode="json")
    data = data_digest(space)
    objective = space.objective.model_dump(mode="json")
    left_out = dict(snapshot.left_out)
    looks = looks_of(within, left_out)
    large = {path: looks.pop(path) for path in [*looks] if left_out[path] == TOO_LARGE}
    parts = [
        snapshot.digest,
        space.family,
        config,
        objective,
        space.search.trial_time,
        data,
        *([large] if large else ()),
    ]
    contender = Contender(
        number=0,
        identity=hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16],
        snapshot=snapshot.digest,
        home=source.home,
        file=source.file,
        text=source.text,
        quick=source.quick,
        overrides=source.overrides,
        family=space.family,
        config=config,
        data=data,
        looks=looks,
        revision=snapshot.revision,
        by=_who(),
    )
    return Candidate(contender, space)


def checked(source: Source, within: Path) -> Space:
    """Return the space of a source, which is one configuration, with code of the project.

    Raises:
        SpaceError: The space has mistakes.
        HpsearchError: It leaves a value open, or names code outside of the project.
    """
    with imports_undone(within):
        space = single(source.load(), source)
    _require_within(source, within)
    return space


def _require_within(source: Source, project: Path) -> None:
    """Refuse code that a snapshot would not have.

    Raises:
        HpsearchError: It is outside of the project.
    """
    for code in code_of(source.root(), source.path, source.overrides):
        if not code.path.resolve().is_relative_to(project):
            raise HpsearchError(
                f"{code} is outside of the project {project}: a snapshot of the project would not have it; copy it "
                "into the project"
            )


def single(space: Space, source: Source) -> Space:
    """Return a space of one configuration.

    Raises:
        HpsearchError: It has ranges.
    """
    if space.parameters:
        left = ", ".join(parameter.path for parameter in space.parameters)
        first = space.parameters[0].path
        raise HpsearchError(
            f"{source.path}: a champion is one configuration, and these are ranges: {left}; give each a value, such as "
            f"`--set {first}=VALUE`, or name an experiment, whose winner is taken"
        )
    return space


def hashes_of(files: Sequence[Path], within: Path) -> dict[str, str]:
    """Return the hashes of files by their places within a project.

    Raises:
        HpsearchError: One is not there, or not within the project.
    """
    found: dict[str, str] = {}
    for file in files:
        place = file.resolve()
        if not place.is_file() or not place.is_relative_to(within):
            raise HpsearchError(f"--protect {file}: there is no such file in the project {within}")
        if place != file.parent.resolve() / file.name:
            raise HpsearchError(f"--protect {file}: it is a link, which may be turned; protect {place}")
        found[place.relative_to(within).as_posix()] = _sha256(place)
    return found


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _require_unchanged(terms: Terms, within: Path) -> None:
    """Refuse a project whose protected files are not as they were: gone, changed, or exchanged by a link."""
    changed = []
    for path, digest in terms.protected.items():
        place = within / path
        if place.resolve() != place or not place.is_file() or _sha256(place) != digest:
            changed.append(path)
    if changed:
        raise HpsearchError(
            f"{', '.join(changed)} has changed since the title was opened, and was protected then: scores would not be "
            "comparable; put it back"
        )


def space_of(contender: Contender, store: Path, within: Path, *, trusted: bool) -> Space:
    """Return the space of a contender with its code as it was, see `tree_of`.

    `trusted` says that this code has been asked about just now; else it is asked about if the title lies outside of
    the project.
    """
    tree = tree_of(store, contender.snapshot, within)
    (tree / contender.home).mkdir(parents=True, exist_ok=True)
    name = Path(contender.file).name if contender.file else "champion.yaml"
    source = Source(
        tree / contender.home / name, contender.text, contender.home, contender.file, contender.quick,
        contender.overrides,
    )  # fmt: skip
    with trusting(True) if trusted else contextlib.nullcontext(), imports_undone(store, within):
        space = single(source.load(), source)
    return replace(space, confirm=None)


@contextlib.contextmanager
def imports_undone(*places: Path) -> Iterator[None]:
    """Set modules from these folders aside, and forget afterwards what was imported from them meanwhile.

    The code of another contender has modules of the same names, and so may the caller's program.
    """
    aside, path = {name: sys.modules.pop(name) for name in _modules_of(places)}, list(sys.path)
    try:
        yield
    finally:
        for name in _modules_of(places):
            del sys.modules[name]
        sys.modules.update(aside)
        sys.path[:] = path


def _modules_of(places: Sequence[Path]) -> list[str]:
    """Return the names of the modules whose files lie in these folders, and are neither installed nor hpsearch's."""
    roots, found = [str(place.resolve()) + os.sep for place in places], []
    for name, module in sys.modules.items():
        file = getattr(module, "__file__", None)
        if file is None or name == "__main__" or "site-packages" in file or Path(file).is_relative_to(_PACKAGE):
            continue
        if str(Path(file).absolute()).startswith(tuple(roots)):
            found.append(name)
    return found


_PACKAGE = Path(__file__).resolve().parents[1]


def _who() -> str:
    with contextlib.suppress(OSError, KeyError):
        return f"{getpass.getuser()}@{platform.node()}"
    return platform.node()
