"""The folder that a server was started for: what lies outside is neither read by name nor run."""

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hpsearch.api.arguments import find_experiment
from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import EXPERIMENTS, folder_called
from hpsearch.space import Space
from hpsearch.space.shelf import Shelf, find_file


class Confined:
    """Finds files by what an agent calls them; the process works in the folder.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def path(self, given: str) -> Path:
        """Return a place in the folder.

        Raises:
            HpsearchError: It is elsewhere, or may be: with `..`, by a link, or as an address.
        """
        place = Path(given)
        refused = f"{given!r} is refused: this server was started for {self.folder}"
        if not given or "\0" in given or "://" in given:
            raise HpsearchError(f"{refused}, and reads files and folders in it")
        if ".." in place.parts or given.startswith("~"):
            raise HpsearchError(f"{refused}; write the path from there, without .. and ~")
        whole = self.folder / place
        if not whole.is_relative_to(self.folder):
            raise HpsearchError(f"{refused}, and it lies elsewhere")
        for part in (whole, *whole.parents):
            if part == self.folder:
                break
            if part.is_symlink():
                raise HpsearchError(f"{refused}, and {part} is a link, which may lead elsewhere")
        return whole

    def experiment(self, given: str) -> Path:
        """Return the folder of an experiment or a study by its name below experiments/, or by its path.

        Raises:
            HpsearchError: There is none of this name, or it is elsewhere.
        """
        named = self.path(given)
        if named.exists() or len(Path(given).parts) > 1:
            return find_experiment(named)
        self.path(f"{EXPERIMENTS}/{given}")
        return find_experiment(given)

    def new(self, name: str) -> Path:
        """Return where an experiment of this name is or would be.

        Raises:
            HpsearchError: It cannot be the name of one, or its place is a link.
        """
        return self.path(str(folder_called(name, EXPERIMENTS)))

    def space(self, given: str) -> Path:
        """Return a space file of the folder, or one that comes with hpsearch by its short name.

        Raises:
            HpsearchError: It is elsewhere, or there is none.
        """
        self.path(given)
        found = find_file(Path(given), Shelf.SPACES)
        brought = found.is_absolute() and not Path(given).is_absolute()
        return found if brought else self.path(str(found))

    def require(self, space: Space) -> None:
        """Require that a space starts no program from outside the folder, apart from what hpsearch brings.

        Other code is refused before it is imported, see `trusting`.

        Raises:
            HpsearchError: It does.
        """
        homes = [home for home in (self.folder, Shelf.SPACES.folder()) if home is not None]
        outside = [
            str(path)
            for path in self._programs(space)
            if not any(path.resolve().is_relative_to(home) for home in homes)
        ]
        if outside:
            raise HpsearchError(
                f"this server runs programs only from {self.folder}; the command of {space.path} names "
                f"{', '.join(outside)}"
            )

    def _programs(self, space: Space) -> Iterator[Path]:
        """Yield the files that a program's command line names by a path, but for the interpreters of the machine."""
        resolved = space.resolved()
        texts = [*_texts(resolved.get("command"))] if space.family == "command" else []
        homes = [space.path.parent, *(space.path.parent / text for text in _texts(resolved.get("directory")))]
        interpreters = {Path(sys.executable).parent, *map(Path, os.environ.get("PATH", "").split(os.pathsep))}
        for word in (word for text in texts for word in _split(text) if "/" in word):
            for home in homes:
                found = home / word
                if found.is_file() and found.parent not in interpreters:
                    yield found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return []
