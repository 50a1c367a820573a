"""From the `family:` of a space file to a Family: one of the shelf, or a class or a function in the user's own file."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.families import Family
from hpsearch.families.command.family import Command
from hpsearch.families.function.external import EXTERNAL, External
from hpsearch.families.function.function import Function, as_function
from hpsearch.user_code import find_code, is_reference


def family_names() -> list[str]:
    """Return the names of the families that hpsearch brings, in alphabetical order."""
    return sorted(path.parent.name for path in Path(__file__).parent.glob("*/family.py"))


def load_family(reference: str, folder: Path) -> Family[Any]:
    """Return a family that the shared loop trains.

    Raises:
        UnknownNameError: The name is not on the shelf.
        HpsearchError: The file cannot be used, or the family is `command` or a function.
    """
    found = load_interface(reference, folder)
    if not isinstance(found, Family):
        kind = "is a function" if isinstance(found, Function) else "runs programs"
        raise HpsearchError(f"the family {reference} {kind}; it has no model, data or loss")
    return found


def load_interface(reference: str, folder: Path) -> Family[Any] | Command | Function:
    """Return what a space file in `folder` names: `char_lm`, or `./mine.py:MyFamily` or `:train` in that folder.

    `external` is none of the shelf: whoever asks for its configurations trains them.

    Raises:
        UnknownNameError: The name is not on the shelf.
        HpsearchError: The file cannot be used.
    """
    if is_reference(reference):
        return _from_file(reference, folder)
    if reference == EXTERNAL:
        return External()
    if reference not in family_names():
        raise UnknownNameError("family", reference, family_names())
    made = importlib.import_module(f"hpsearch.families.{reference}.family").FAMILY
    family: Family[Any] | Command = made(folder) if made is Command else made()
    return family


def load_function(reference: str, folder: Path) -> Function:
    """Return the user's function that a space file in `folder` names.

    Raises:
        HpsearchError: The file cannot be used, or holds no such function.
    """
    found = load_interface(reference, folder)
    if not isinstance(found, Function):
        raise HpsearchError(f"{reference} is no function any more")
    return found


def _from_file(reference: str, folder: Path) -> Family[Any] | Function:
    code = find_code(reference, folder, kind="family")
    found = code.found
    if isinstance(found, type) and issubclass(found, Family):
        return _checked(found, reference)
    if found is None:
        raise HpsearchError(
            f"{code.path} has no class {code.name} derived from hpsearch.Family and no function of that name{code.near}"
        )
    return as_function(found, name=reference, file=code.path)


def _checked(family: type[Family[Any]], reference: str) -> Family[Any]:
    missing = [name for name in ("Config", "metrics") if not hasattr(family, name)]
    if missing:
        raise HpsearchError(f"{reference} lacks {' and '.join(missing)}, which every family declares")
    if not isinstance(family.metrics, Mapping) or not family.metrics:
        raise HpsearchError(f"{reference}: metrics must map each score's name to a Goal")
    if isinstance(family.methods, str) or not all(isinstance(name, str) and name.strip() for name in family.methods):
        raise HpsearchError(f"{reference}: methods must list names such as ('majority', 'knn:3'), none of them empty")
    return family()
