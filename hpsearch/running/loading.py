"""From a space file, or from an experiment's folder, to a Space with its family. Loads no torch of its own."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError, UntrustedCodeError
from hpsearch.experiment.layout import RESOLVED, SPACE
from hpsearch.experiment.reading import read_resolved, space_home
from hpsearch.families import Family
from hpsearch.families.command.family import Command
from hpsearch.families.function.function import Function
from hpsearch.families.loading import family_names, load_interface
from hpsearch.running.needs import search_lacks
from hpsearch.settings import OwnOption
from hpsearch.space import (
    Node,
    Place,
    Search,
    Space,
    check_known,
    code_of,
    node_from_plain,
    read_space,
    space_from_resolved,
)
from hpsearch.space.checks import divides
from hpsearch.space.located_yaml import read_file
from hpsearch.space.space import overrides_between
from hpsearch.trust import require_trust, strangers_in, trusting
from hpsearch.workers.engines import ENGINES


def load_space(
    path: Path,
    *,
    quick: bool = False,
    overrides: Sequence[str] = (),
    content: tuple[str, Node] | None = None,
    named: Callable[[str], None] = lambda _: None,
    programs: bool = True,
) -> Space:
    """Read and check a space file, or its text and root from elsewhere as if they stood there.

    `named` is told the family's name before that is imported; `programs` says whether one may be started afterwards.

    Raises:
        SpaceError: with every mistake.
        UntrustedCodeError: It names code from outside the project, which is not trusted.
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
        programs=programs,
    )


def check_file(path: Path, *, quick: bool = False, overrides: Sequence[str] = ()) -> tuple[Space | None, list[str]]:
    """Check a space file; without what it would import from outside the project, unless that is trusted.

    Returns:
        The space, or None where its own code was left out, and what was left out.

    Raises:
        SpaceError: with every mistake that was found.
    """
    try:
        return load_space(path, quick=quick, overrides=overrides, programs=False), []
    except UntrustedCodeError:
        _, root = read_file(path)
        left_out = strangers_in(code_of(root, path, overrides, programs=False))
        check_known(
            path,
            lambda family, file: load_interface(family, file.parent),
            left_out={each.setting for each in left_out},
            quick=quick,
            overrides=overrides,
            engines=ENGINES,
        )
        return None, [str(each) for each in left_out]


def search_command(folder: Path) -> list[str]:
    """Return the words of the command that searches an experiment again, with `--set` for what its file does not say.

    Where that file is no longer there, or says other things, it is the experiment's copy, which belongs into its place.
    """
    resolved = read_resolved(folder)
    file = space_home(folder) / (resolved.get("space_file") or SPACE)
    words, copy = ["--name", folder.resolve().name], folder / SPACE
    try:
        with trusting(None, ask=lambda _: False):  # a command is looked for: nobody is asked for that
            given = load_space(file, programs=False)
            changes = overrides_between(given.resolved(), resolved["space"])
            same = load_space(file, overrides=changes, programs=False).resolved() == resolved["space"]
        if same:
            return ["hpsearch", "run", str(file), *words, *(word for each in changes for word in ("--set", each))]
    except HpsearchError:
        pass  # the file has gone, or is another one now
    return ["hpsearch", "run", str(copy), *words]


def check_own_code(search: Search, folder: Path) -> list[tuple[str, str | None, str]]:
    """List the mistakes in the user's own sampler and pruner of a space file in `folder`; see `OwnCode`.

    And what of hpsearch's own is not installed.
    """
    found: list[tuple[str, str | None, str]] = [(setting, None, said) for setting, said in search_lacks(search)]
    if not any(isinstance(option, OwnOption) for option in (search.sampler, search.pruner)):
        return found  # without Optuna, which takes time to import
    from hpsearch.search.own import own_mistakes

    return [*found, *((each.setting, each.option, each.message) for each in own_mistakes(search, folder))]


def families_with_folds() -> list[str]:
    """Return the names of the families on the shelf that divide their data into folds."""
    return [name for name in family_names() if divides(load_interface(name, Path()).Config)]


def open_space(folder: Path, *, overrides: Sequence[str] = (), programs: bool = True) -> Space:
    """Return the space of an experiment as it was resolved when it ran, with `overrides` (`a.b=VALUE`) over it.

    Args:
        folder: The experiment.
        overrides: Values that replace those of the space.
        programs: Whether a program that it names will be started, so that it has to be trusted, too.

    Raises:
        ExperimentError: the folder cannot be used.
        SpaceError: for an override that does not fit.
        UntrustedCodeError: its code is from outside the project, and not trusted.
    """
    interface = open_interface(folder, overrides=overrides, programs=programs)
    resolved, home = read_resolved(folder), space_home(folder)
    text = (folder / SPACE).read_text(encoding="utf-8") if (folder / SPACE).is_file() else ""
    return space_from_resolved(resolved["space"], interface, path=home / SPACE, text=text, overrides=overrides)


def open_interface(
    folder: Path, *, overrides: Sequence[str] = (), programs: bool = False
) -> Family[Any] | Command | Function:
    """Return the family of an experiment; arguments and errors are those of `open_space`."""
    resolved, home = read_resolved(folder), space_home(folder)
    root = node_from_plain(resolved["space"], Place(str(folder / RESOLVED)))
    require_trust(code_of(root, home / SPACE, overrides, file=folder / RESOLVED, programs=programs))
    return load_interface(resolved["space"]["family"], home)
