"""A space from Python: a dictionary, a dataclass, a pydantic model or a file, for a function that is searched."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from os.path import relpath
from pathlib import Path
from typing import Any

from hpsearch.api.arguments import StrPath, as_yaml, plain
from hpsearch.errors import ExperimentBusyError, HpsearchError, SpaceError
from hpsearch.experiment.activity import in_use
from hpsearch.experiment.files import write_atomically
from hpsearch.experiment.layout import CODE, folder_called
from hpsearch.families.function.external import EXTERNAL
from hpsearch.families.function.function import as_function
from hpsearch.families.function.given import fields_of
from hpsearch.families.function.signature import FreeConfig
from hpsearch.families.function.source import file_of, module_text
from hpsearch.running.loading import load_space
from hpsearch.space import Node, Place, Space, node_from_plain
from hpsearch.space.fields import Items, Leaf, SettingsSection, Shape, field_shape, section_of
from hpsearch.space.located_yaml import read_file
from hpsearch.space.ranges import HEADS
from hpsearch.space.shelf import Shelf, find_file
from hpsearch.trust import NamedCode, is_own, remember

_SECTIONS = ("objective", "search", "require", "start", "confirm", "quick")
"""The sections of a space file other than the function's own values."""

GivenSpace = Mapping[str, Any] | StrPath | type | Any
"""A dictionary of ranges and values, a dataclass or pydantic model that has them as its fields, or a YAML file."""


@dataclass(frozen=True)
class Wanted:
    """The sections of a space file besides its ranges: objective, search, start and confirm, and settings in them."""

    metric: str | None = None
    goal: str | None = None
    sampler: Any = None
    pruner: Any = None
    search: Mapping[str, Any] | None = None
    start: Sequence[Mapping[str, Any]] | None = None
    confirm: Mapping[str, Any] | int | None = None

    @property
    def given(self) -> dict[str, Any]:
        """The settings by their dotted names."""
        return {name: value for name, (_, value) in self.laid().items()}

    def laid(self) -> dict[str, tuple[str, Any]]:
        """Return the settings by their dotted names, each with the argument that it comes from."""
        confirm = {"seeds": self.confirm} if isinstance(self.confirm, int) else self.confirm
        given = {
            "objective.metric": ("metric", self.metric),
            "objective.goal": ("goal", self.goal),
            "search.sampler": ("sampler", self.sampler),
            "search.pruner": ("pruner", self.pruner),
            **{f"search.{name}": ("search", value) for name, value in (self.search or {}).items()},
            "start": ("start", self.start),
            "confirm": ("confirm", confirm),
        }
        return {name: each for name, each in given.items() if each[1] is not None}


def function_space(
    function: Callable[..., Any],
    space: GivenSpace,
    wanted: Wanted,
    *,
    name: str | None,
    root: Path,
    quick: bool,
    overrides: Sequence[str],
) -> Space:
    """Return the space of a function; one that no file can be imported for is written into its experiment's folder.

    Raises:
        SpaceError: With every mistake of the space.
        HpsearchError: The function or the space is nothing that can be searched.
    """
    file, title = file_of(function), function.__name__
    source = Path(space).resolve() if isinstance(space, str | PathLike) else None
    if file is not None:
        home = source.parent if source else file.parent
        return _loaded(
            function, file, space, wanted, source or home / f"{title}.yaml", quick=quick, overrides=overrides
        )
    text = module_text(function)  # what is wrong with it is told before anything is written
    stem = (source.stem if source else title) + ("-quick" if quick else "")
    folder = folder_called(name or stem, root).resolve()
    with written(folder, f"{title}.py", text) as file:
        given = source or folder / f"{title}.yaml"
        return _loaded(function, file, space, wanted, given, quick=quick, overrides=overrides)


@contextmanager
def written(folder: Path, name: str, text: str) -> Iterator[Path]:
    """Keep a function's module in its experiment's folder; of an experiment that does not come about nothing is left.

    Raises:
        ExperimentBusyError: The experiment is running, with other code.
    """
    file, is_new = folder / CODE / name, not folder.exists()
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        if in_use(folder):
            raise ExperimentBusyError(
                f"{folder} is being run by another process, with other code; wait for it or stop it"
            )
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, text)
    if not is_own(file):  # what the caller has just given may be run by the next command, too
        remember([NamedCode("family", file)])
    try:
        yield file
    except HpsearchError:
        if is_new:
            shutil.rmtree(folder)
        raise


def _loaded(
    function: Callable[..., Any],
    file: Path,
    space: GivenSpace,
    wanted: Wanted,
    path: Path,
    *,
    quick: bool,
    overrides: Sequence[str],
) -> Space:
    """Return the space of a function in a file; it is at `path`, or would be there if it were written."""
    name = function.__name__
    way = relpath(file, path.parent)
    reference = f"{way if way.startswith('..') else f'./{way}'}:{name}"
    if isinstance(space, str | PathLike):
        _, root = read_file(path)
        _refuse_another(root, file, name)
    else:
        shape = section_of(as_function(function, name=name, file=file).Config)
        root = node_from_plain(_choices(plain(fields_of(space)), shape), Place("space"))
    family = node_from_plain(reference, Place(name))
    return _read(root, family, wanted, path, quick=quick, overrides=overrides)


def external_space(space: GivenSpace, wanted: Wanted, *, name: str, quick: bool, overrides: Sequence[str]) -> Space:
    """Return a space of configurations that whoever asks for them trains; one from Python would lie here, as NAME.yaml.

    A file may name a family, whose settings are checked then.

    Raises:
        SpaceError: With every mistake of the space.
        HpsearchError: It is nothing that can be searched.
    """
    if isinstance(space, str | PathLike):
        path = find_file(Path(space), Shelf.SPACES)
        _, root = read_file(path)
        if not isinstance(root.value, dict):
            return load_space(path, quick=quick, overrides=overrides)  # which says what is wrong with it
        named = root.mapping.get("family")
    else:
        path, named = Path.cwd() / f"{name}.yaml", None
        root = node_from_plain(_choices(plain(fields_of(space)), section_of(FreeConfig)), Place("space"))
        named = root.mapping.get("family")
    family = node_from_plain(EXTERNAL, Place("space")) if named is None else named
    return _read(root, family, wanted, path, quick=quick, overrides=overrides)


def _read(root: Node, family: Node, wanted: Wanted, path: Path, *, quick: bool, overrides: Sequence[str]) -> Space:
    """Return the space of a family with the arguments of the call in their sections."""
    for section, (argument, value) in wanted.laid().items():
        root = _laid(root, section, node_from_plain(plain(value), Place(argument)), argument)
    if root.nearest(["objective"]).child("metric") is None:
        raise HpsearchError("metric= is missing: which of the reported numbers is improved, such as metric='val/loss'")
    root = Node(
        {"family": family, **{each: node for each, node in root.mapping.items() if each != "family"}}, *_at(root)
    )
    return load_space(path, quick=quick, overrides=overrides, content=(as_yaml(root.plain()), root))


def _at(node: Node) -> tuple[Place, Place]:
    return node.place, node.key


def _refuse_another(root: Node, file: Path, name: str) -> None:
    """Refuse a space file that names another family than the function."""
    named = root.mapping.get("family")
    if named is None:
        return
    other, _, function = str(named.value).partition(":")
    if function != name or (Path(named.place.source).parent / other).resolve() != file:
        raise SpaceError([named.place.problem(f"this is a space of {named.value}, and not of the function {name}")])


def _laid(root: Node, section: str, value: Node, argument: str) -> Node:
    """Return a space with an argument of the call in its section.

    Raises:
        SpaceError: The space says something else there.
    """
    step, _, rest = section.partition(".")
    known = root.mapping.get(step)
    if rest:
        inner = known if known is not None and isinstance(known.value, dict) else Node({}, *_at(value))
        return root.with_child(step, _laid(inner, rest, value, argument))
    if known is not None and known.plain() != value.plain():
        said = f"{argument}={value.plain()!r} contradicts the space, which has {known.plain()!r}: say it once"
        raise SpaceError([known.place.problem(said)])
    return root.with_child(step, value)


def _choices(value: Any, shape: Shape) -> Any:
    """Return a dictionary in which each list is written as the choice that it means; a tuple is a list.

    A list for a setting that is one stays.
    """
    settings = shape.fields if isinstance(shape, SettingsSection) else {}
    if isinstance(value, Mapping) and not any(head in value for head in HEADS if head not in settings):
        return {name: _in_section(name, each, settings) for name, each in value.items()}
    return {"choice": value} if isinstance(value, list) and not isinstance(shape, Items) else value


def _in_section(name: str, value: Any, settings: Mapping[str, Any]) -> Any:
    if name in _SECTIONS:
        return value
    return _choices(value, field_shape(settings[name]) if name in settings else Leaf())
