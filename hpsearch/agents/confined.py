"""The folder that a server was started for: what lies outside is neither read by name nor run."""

import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hpsearch.api.arguments import find_experiment
from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import EXPERIMENTS, folder_called
from hpsearch.space import Space
from hpsearch.space.located_yaml import read_file
from hpsearch.space.overlay import parse_override
from hpsearch.space.shelf import Shelf, find_file
from hpsearch.user_code import is_reference


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
        if named.exists():
            return find_experiment(named)
        inside = self.path(f"{EXPERIMENTS}/{given}")
        return find_experiment(inside if inside.exists() else given)

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

    def settings(self, path: Path, changes: Sequence[str] = ()) -> None:
        """Require that no setting of a space file, or of changes to it, names a place elsewhere.

        To be called before a place is looked at. A program's own values are texts to hpsearch, and code that is named
        is refused where it would be imported, see `trusting`.

        Raises:
            HpsearchError: One does, or the file or a change is no YAML.
        """
        _, root = read_file(path)
        self.values({"file": root.plain(), **{name: value.plain() for name, value in map(parse_override, changes)}})

    def values(self, given: Mapping[str, Any]) -> None:
        """Require that no text among values names a place elsewhere: by an absolute path, `..`, `~` or a link.

        Raises:
            HpsearchError: One does.
        """
        for text in dict.fromkeys(_places(given)):
            if is_reference(text) or "\0" in text or "\n" in text or len(text) > _LONGEST:
                continue
            place, home = self.folder / text, text.startswith("~")
            if not (Path(text).is_absolute() or home or ".." in place.parts or place.exists()):
                continue
            if home or not any(place.resolve().is_relative_to(each) for each in self._homes):
                raise HpsearchError(f"{text!r} is refused: this server was started for {self.folder}")

    @property
    def _homes(self) -> list[Path]:
        return [home for home in (self.folder, Shelf.SPACES.folder()) if home is not None]

    def require(self, space: Space) -> None:
        """Require that a space starts no program from outside the folder, apart from what hpsearch brings.

        Other code is refused before it is imported, see `trusting`.

        Raises:
            HpsearchError: It does.
        """
        started = _texts(space.resolved().get("directory")) if space.family == "command" else ()
        places = [*(space.path.parent / text for text in started), *self._programs(space)]
        outside = [str(path) for path in places if not any(path.resolve().is_relative_to(home) for home in self._homes)]
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
        words = {part for text in texts for word in _split(text) for part in (word, word.partition("=")[2]) if part}
        for word in sorted(words):
            for home in homes:
                found = home / word
                if found.is_file() and found.parent not in interpreters:
                    yield found


_LONGEST = 4096
"""Characters of a path."""


def _places(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts that may name places; of a program's space only where its search keeps its files."""
    for value in given.values():
        if isinstance(value, Mapping) and value.get("family") == "command":
            yield from _texts(value.get("search"))
        else:
            yield from _texts(value)


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
