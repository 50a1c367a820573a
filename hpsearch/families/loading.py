"""From the `family:` of a space file to a Family: one of the shelf, or a class in the user's own file."""

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.families import Family
from hpsearch.families.command.family import Command


def family_names() -> list[str]:
    """Return the names of the families that hpsearch brings, in alphabetical order."""
    return sorted(path.parent.name for path in Path(__file__).parent.glob("*/family.py"))


def load_family(reference: str, folder: Path) -> Family[Any]:
    """Return a family that the shared loop trains.

    Raises:
        UnknownNameError: The name is not on the shelf.
        HpsearchError: The file cannot be used, or the family is `command`.
    """
    found = load_face(reference, folder)
    if not isinstance(found, Family):
        raise HpsearchError(f"the family {reference} runs programs; it has no model, data or loss of its own")
    return found


def load_face(reference: str, folder: Path) -> Family[Any] | Command:
    """Return the family that a space file in `folder` names: `char_lm`, or `./mine.py:MyFamily` beside the file.

    Raises:
        UnknownNameError: The name is not on the shelf.
        HpsearchError: The file cannot be used.
    """
    if ":" in reference or reference.endswith(".py"):
        return _from_file(reference, folder)
    if reference not in family_names():
        raise UnknownNameError("family", reference, family_names())
    made = importlib.import_module(f"hpsearch.families.{reference}.family").FAMILY
    family: Family[Any] | Command = made(folder) if made is Command else made()
    return family


def _from_file(reference: str, folder: Path) -> Family[Any]:
    file, _, name = reference.partition(":")
    path = (folder / file).resolve()
    if not name:
        raise HpsearchError(f"'{reference}' names no class: write {file}:MyFamily")
    if not path.is_file():
        raise HpsearchError(f"the family's file {path} does not exist")
    found = getattr(_import_file(path), name, None)
    if not (isinstance(found, type) and issubclass(found, Family)):
        raise HpsearchError(f"{path} has no class {name} derived from hpsearch.Family")
    return _checked(found, reference)


def _import_file(path: Path) -> Any:
    """Import a Python file under a name of its own, with its folder on the path for the modules beside it."""
    name = f"hpsearch_user_{path.stem}"
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise HpsearchError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise HpsearchError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _checked(family: type[Family[Any]], reference: str) -> Family[Any]:
    missing = [name for name in ("Config", "metrics") if not hasattr(family, name)]
    if missing:
        raise HpsearchError(f"{reference} lacks {' and '.join(missing)}, which every family declares")
    if not isinstance(family.metrics, Mapping) or not family.metrics:
        raise HpsearchError(f"{reference}: metrics must map each score's name to a Goal")
    if isinstance(family.methods, str) or not all(isinstance(name, str) and name.strip() for name in family.methods):
        raise HpsearchError(f"{reference}: methods must list names such as ('majority', 'knn:3'), none of them empty")
    return family()
