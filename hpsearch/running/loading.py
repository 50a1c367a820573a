"""From a space file, or from an experiment's folder, to a Space with its family. Loads no torch of its own."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import SPACE
from hpsearch.experiment.reading import read_resolved, space_home
from hpsearch.families import Family
from hpsearch.families.command.family import Command
from hpsearch.families.function.function import Function
from hpsearch.families.loading import family_names, load_interface
from hpsearch.settings import OwnOption
from hpsearch.space import Node, Search, Space, read_space, space_from_resolved
from hpsearch.space.checks import divides
from hpsearch.space.space import overrides_between
from hpsearch.workers.engines import ENGINES


def load_space(
    path: Path,
    *,
    quick: bool = False,
    overrides: Sequence[str] = (),
    content: tuple[str, Node] | None = None,
    named: Callable[[str], None] = lambda _: None,
) -> Space:
    """Read and check a space file, or its text and root from elsewhere as if they stood there.

    `named` is told the family's name before that is imported.

    Raises:
        SpaceError: with every mistake.
    """

    def resolve(family: str, file: Path) -> Family[Any] | Command | Function:
        named(family)
        return load_interface(family, file.parent)

    return read_space(
        path,
        resolve,
        overrides=overrides,
        quick=quick,
        with_folds=families_with_folds,
        own_code=check_own_code,
        engines=ENGINES,
        look=True,
        content=content,
    )


def search_command(folder: Path) -> list[str]:
    """Return the words of the command that searches an experiment again, with `--set` for what its file does not say.

    Where that file is no longer there, or says other things, it is the experiment's copy, which belongs into its place.
    """
    resolved = read_resolved(folder)
    file = space_home(folder) / (resolved.get("space_file") or SPACE)
    words, copy = ["--name", folder.resolve().name], folder / SPACE
    try:
        given = load_space(file)
        changes = overrides_between(given.resolved(), resolved["space"])
        if load_space(file, overrides=changes).resolved() == resolved["space"]:
            return ["hpsearch", "run", str(file), *words, *(word for each in changes for word in ("--set", each))]
    except HpsearchError:
        pass  # the file has gone, or is another one now
    return ["hpsearch", "run", str(copy), *words]


def check_own_code(search: Search, folder: Path) -> list[tuple[str, str | None, str]]:
    """List the mistakes in the user's own sampler and pruner of a space file in `folder`; see `OwnCode`."""
    if not any(isinstance(option, OwnOption) for option in (search.sampler, search.pruner)):
        return []  # without Optuna, which takes time to import
    from hpsearch.search.own import own_mistakes

    return [(each.setting, each.option, each.message) for each in own_mistakes(search, folder)]


def families_with_folds() -> list[str]:
    """Return the names of the families on the shelf that divide their data into folds."""
    return [name for name in family_names() if divides(load_interface(name, Path()).Config)]


def open_space(folder: Path, *, overrides: Sequence[str] = ()) -> Space:
    """Return the space of an experiment as it was resolved when it ran, with `overrides` (`a.b=VALUE`) over it.

    Raises:
        ExperimentError: the folder cannot be used.
        SpaceError: for an override that does not fit.
    """
    resolved = read_resolved(folder)
    home = space_home(folder)
    interface = load_interface(resolved["space"]["family"], home)
    text = (folder / SPACE).read_text(encoding="utf-8") if (folder / SPACE).is_file() else ""
    return space_from_resolved(resolved["space"], interface, path=home / SPACE, text=text, overrides=overrides)
