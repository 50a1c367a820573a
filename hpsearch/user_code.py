"""Code of the user's own that a space file names: `./mine.py:MyFamily`, `./mine.py:MySampler`.

The path starts at the folder of the space file.
"""

import contextlib
import hashlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError, suggestion
from hpsearch.extras import explained


@dataclass(frozen=True)
class UserCode:
    """Return what a name refers to in a file of the user's.

    Args:
        path: the file, absolute.
        name: the name in it.
        found: the class or function, or None if the file has no such name.
        near: `, did you mean 'x'?` for a name of the file that is nearly the same, or an empty string.

    """

    path: Path
    name: str
    found: Any
    near: str = ""


class _FromSource(SourceFileLoader):
    """Compiles the file that was read and trusted; bytecode beside it may be that of another text."""

    def get_code(self, fullname: str) -> Any:
        """Return the code of the source."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def is_reference(name: str) -> bool:
    """Whether a name is that of code in a file, rather than one that hpsearch brings."""
    return ":" in name or name.endswith(".py")


def find_code(reference: str, folder: Path, *, kind: str) -> UserCode:
    """Import the file that a reference such as `./mine.py:Mine` names, and look the name up.

    Args:
        reference: the file, relative to `folder`, and a name in it.
        folder: the folder of the space file.
        kind: what is looked for, in the words of messages: `family`, `sampler`, `pruner`.

    Raises:
        HpsearchError: if there is no name, no such file, or the file cannot be imported.

    """
    file, _, name = reference.partition(":")
    path = (folder / file).resolve()
    if not name:
        raise HpsearchError(f"'{reference}' names no class: write {file}:My{kind.capitalize()}")
    if not path.is_file():
        raise HpsearchError(f"the {kind}'s file {path} does not exist")
    module = _import_file(path)
    return UserCode(path, name, getattr(module, name, None), suggestion(name, vars(module)))


def _import_file(path: Path) -> Any:
    """Import a Python file under a name of its own, with its folder on the path, for the modules in it.

    A file of a package may import its neighbours by `from . import`: the folder above the package is on the path, too.
    """
    name = f"hpsearch_user_{path.stem}"
    held = sys.modules.get(name)
    if held is not None and getattr(held, "__file__", None) != str(path):  # another file of this name, which stays
        name = f"{name}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    root = next(folder for folder in path.parents if not (folder / "__init__.py").is_file())
    for folder in (root, path.parent):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    loader = _FromSource(name, str(path)) if path.suffix == ".py" else None
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None or spec.loader is None:
        raise HpsearchError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    if root != path.parent:
        module.__package__ = ".".join(path.parent.relative_to(root).parts)
    sys.modules[name] = module
    try:
        with contextlib.chdir(os.curdir):  # what is relative starts where the command was called, for workers too
            spec.loader.exec_module(module)
    except Exception as error:
        lacking = explained(error, str(path)) if isinstance(error, ImportError) else None
        raise lacking or HpsearchError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    except SystemExit as end:  # argparse, for one, reads the options of this command and ends
        raise HpsearchError(
            f"{path} is a program: imported, it ran and ended. `hpsearch init {path.name}` reads its options; to "
            "search a function in it, put what the program does below `if __name__ == '__main__':`"
        ) from end
    return module
