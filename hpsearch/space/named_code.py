"""The code that a space names, found in its texts before anything of it is imported or started."""

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import all_suffixes
from pathlib import Path
from typing import Any

from hpsearch.trust import NamedCode
from hpsearch.user_code import is_reference

COMMAND = "command"
_IMPORTED = tuple(all_suffixes())
_STARTED = (".py", ".sh", ".bash", ".R", ".r", ".jl", ".pl", ".rb", ".lua", ".js", ".m")
"""Endings of programs that an interpreter in front of them runs."""


def code_named(
    contents: Iterable[tuple[str, Any]], *, home: Path, file: Path, programs: bool = True
) -> list[NamedCode]:
    """Return the code that plain contents of a space name: families, functions, samplers, sources of data, programs.

    Args:
        contents: Settings with their plain values: the whole space with the path "", and what is laid over it.
        home: The folder at which relative paths start.
        file: The file that says which program is run.
        programs: Whether programs count; they are started by a search, and by nothing else.
    """
    texts = [found for path, value in contents for found in _texts(value, path)]
    is_program = ("family", COMMAND) in texts  # whose own settings name nothing that is imported
    directories = [home, *(home / text for setting, text in texts if setting == "directory")]
    found = [
        NamedCode(setting, path)
        for setting, text in texts
        if not (is_program and setting.split(".")[0] != "search")
        and is_reference(text)
        and text.partition(":")[0].endswith(_IMPORTED)
        for path in _files(text.partition(":")[0], (home, Path.cwd()))
    ]
    if programs and is_program:
        commands = [text for setting, text in texts if setting.split(".")[0] == COMMAND]
        words = [word for text in commands for word in _words(text)]
        found.append(NamedCode(COMMAND, file, " ".join(commands)))
        found += [
            NamedCode(COMMAND, path) for word in words if word.endswith(_STARTED) for path in _files(word, directories)
        ]
    return found


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield every text, names of settings too, with the dotted path at which it stands."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield path, str(name)
            yield from _texts(each, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each, path)
    elif isinstance(value, str):
        yield path, value


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # a quotation that is not closed: told by whoever reads the setting
        return []


def _files(name: str, folders: Iterable[Path]) -> Iterator[Path]:
    """Yield the files of this name in the folders, by each of the ways in which a path is read.

    `~` is the home folder, or a folder of that name; `link/..` is where the link leads to, or the folder that has it.
    """
    for folder in folders if name else ():
        ways = [folder / name, folder / os.path.expanduser(name), folder / Path(name).expanduser()]  # noqa: PTH111
        try:
            paths = [*map(_without_dots, ways), *(each.absolute() for each in ways)]
            yield from {path.resolve(): path for path in reversed(paths) if path.is_file()}.values()
        except (OSError, ValueError, RuntimeError):  # a text that is no path
            return


def _without_dots(path: Path) -> Path:
    return Path(os.path.normpath(path.absolute()))
