"""Settings that name files and folders: which there are in a configuration, and where the files lie.

A relative path starts at the folder of the space file, as a program's do. One that is not there, but in the current
directory, is taken from there: so were all of them once. `~` is the home directory.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hpsearch.settings import Option, PathMark, PlaceKind, Settings

SettingsT = TypeVar("SettingsT", bound=Settings)
_BY_NAME = re.compile(r"(^|_)(path|file|folder|dir|directory|root)$")
"""What settings that name files are called by users who have not marked them."""


@dataclass(frozen=True)
class NamedPlace:
    """A setting, by its dotted path as a space file writes it, and the file or folder that it names."""

    setting: str
    path: str
    kind: PlaceKind


def named_places(settings: Settings, prefix: str = "") -> Iterator[NamedPlace]:
    """Yield every setting that is marked as FILE or FOLDER and has a value, nested ones too."""
    for name, path, value, mark in _walk(settings, prefix):
        if mark is not None and not isinstance(value, Settings):
            yield NamedPlace(f"{path}{name}", str(value), mark.kind)


def found_places(settings: Settings, home: Path, prefix: str = "") -> Iterator[NamedPlace]:
    """Yield the marked settings, and those whose name says so and whose value exists in `home`."""
    for name, path, value, mark in _walk(settings, prefix):
        if isinstance(value, Settings):
            continue
        if mark is not None:
            yield NamedPlace(f"{path}{name}", str(value), mark.kind)
        elif _is_called_so(name, value) and (there := _expanded(value, home)).exists():
            yield NamedPlace(f"{path}{name}", str(value), "folder" if there.is_dir() else "file")


def located(settings: SettingsT, home: Path, *, by_name: bool = False) -> SettingsT:
    """Return the settings with absolute paths, see `find_place`.

    They are those of marked settings and, in the section `data`, of those that `found_places` finds.
    """
    changes: dict[str, Any] = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        mark = _mark(field.metadata)
        if isinstance(value, Settings):
            inner = located(value, home, by_name=by_name or name == "data")
            changes |= {} if inner is value else {name: inner}
        elif isinstance(value, str | Path) and (mark is not None or (by_name and _is_called_so(name, value))):
            there = find_place(str(value), home)
            if str(there) != str(value) and (mark is not None or there.exists()):
                changes[name] = type(value)(str(there)) if isinstance(value, str) else there
    return settings.model_copy(update=changes) if changes else settings


def find_place(path: str, home: Path) -> Path:
    """Locate a file or folder next to `home`, or below the current directory if it exists only there."""
    own = _expanded(path, home)
    other = Path(path).expanduser().absolute()
    return other if not own.exists() and other.exists() else own


def obstacle(place: NamedPlace, home: Path) -> str | None:
    """Return why a setting's file cannot be read, or None if it can."""
    there = find_place(place.path, home)
    if place.kind == "code":
        return None  # whoever imports it says what is wrong
    if not there.exists():
        other = Path(place.path).expanduser().absolute()
        also = "" if other == there else f", and no {other}"
        return f"there is no {place.kind} {there}{also}{_nearby(there)}"
    kind = "folder" if there.is_dir() else "file"
    if place.kind not in (kind, "file or folder"):
        return f"{there} is a {kind}, not a {place.kind}"
    try:
        empty = not any(there.iterdir()) if there.is_dir() else not _first_byte(there)
    except OSError as error:
        return f"the {kind} {there} cannot be read: {error.strerror or error}"
    return f"the {kind} {there} is empty" if empty else None


def borrowed(place: NamedPlace, home: Path) -> Path | None:
    """Return the file in the current directory that is used because the space file's folder has none, or None."""
    there = find_place(place.path, home)
    return there if there != _expanded(place.path, home) else None


def _walk(settings: Settings, prefix: str) -> Iterator[tuple[str, str, Any, PathMark | None]]:
    """Yield every setting that has a value: its name, the dotted path before it, the value, its mark."""
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if value is None:
            continue
        yield name, prefix, value, _mark(field.metadata)
        if isinstance(value, Settings):
            option = f"{value.kind}." if isinstance(value, Option) else ""
            yield from _walk(value, f"{prefix}{name}.{option}")


def _mark(metadata: list[Any]) -> PathMark | None:
    return next((each for each in metadata if isinstance(each, PathMark)), None)


def _is_called_so(name: str, value: Any) -> bool:
    return isinstance(value, Path) or (isinstance(value, str) and bool(value) and _BY_NAME.search(name) is not None)


def _expanded(path: str | Path, home: Path) -> Path:
    """Return an absolute path without `..` and `.`; links stay."""
    return Path(os.path.normpath(home.absolute() / Path(path).expanduser()))


def _first_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(1)


def _nearby(there: Path) -> str:
    """Name the files of the same folder whose names are nearly the same."""
    import difflib

    names = [each.name for each in there.parent.iterdir()] if there.parent.is_dir() else []
    near = difflib.get_close_matches(there.name, names, n=1)
    return f", did you mean {near[0]}?" if near else ""


def texts_in(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the values of plain nested settings that are text, by dotted path."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{inner}", text) for inner, text in texts_in(value))
        elif isinstance(value, str):
            yield name, value


def named_texts(settings: Mapping[str, Any], home: Path) -> Iterator[NamedPlace]:
    """Yield the files and folders that plain nested settings name and that are there, see `find_place`.

    They are those whose setting is called so, such as `train_path`, and the files that the section `data` names.
    """
    for setting, text in texts_in(settings):
        there = _place_or_none(text, home) if text else None
        called, inside = _BY_NAME.search(setting.rpartition(".")[2]), setting.split(".")[0] == "data"
        if there is not None and (called or (inside and there.is_file())):
            yield NamedPlace(setting, text, "folder" if there.is_dir() else "file")


def located_texts(settings: Mapping[str, Any], home: Path) -> dict[str, Any]:
    """Return plain nested settings with absolute paths in the places that `named_texts` yields."""
    found = {place.setting: str(find_place(place.path, home)) for place in named_texts(settings, home)}
    return _replaced(settings, found, "") if found else dict(settings)


def _replaced(settings: Mapping[str, Any], found: Mapping[str, str], path: str) -> dict[str, Any]:
    return {
        name: _replaced(value, found, f"{path}{name}.")
        if isinstance(value, Mapping)
        else found.get(f"{path}{name}", value)
        for name, value in settings.items()
    }


def _place_or_none(path: str, home: Path) -> Path | None:
    """Return the file or folder that a text names, or None if it names none, or is no path."""
    try:
        there = find_place(path, home)
        return there if there.exists() else None
    except (OSError, ValueError):
        return None
