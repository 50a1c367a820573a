"""Data from a function of the user's own: `data.source: ./mydata.py:load`.

    def load(split):                     # "train", "val" or "test": all three are the function's
        return {"images": ..., "labels": ...}

    def load():                          # one set, which is divided; or {"train": {...}, "test": {...}}
        return {"images": ..., "labels": ...}

Which names, shapes and types a family takes is said where it checks them: `own_images`, `own_texts`, `own_text`. What
the function returns is kept as long as its file does not change, so that it is called once by each process.
"""

import functools
import hashlib
import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from hpsearch.data.fingerprint import Source
from hpsearch.data.folds import PARTS, Part
from hpsearch.errors import DataError, HpsearchError
from hpsearch.user_code import find_code

Checked = TypeVar("Checked")


def own_splits(
    reference: str, check: Callable[[Mapping[str, Any], str], Checked], *, test: bool
) -> dict[Part, Callable[[], Checked]]:
    """Return what gives each of the splits that a function loads, checked; without `test` it is not asked for one.

    A function without an argument is called at once, as only what it returns tells whether it is divided.

    Raises:
        DataError: the function cannot be used, or returns something else than `check` takes.
    """
    if _takes_split(reference):
        parts: list[Part] = [part for part in PARTS if test or part != "test"]
        return {part: partial(_loaded, reference, part, check) for part in parts}
    whole = _called(reference, _state(reference), None)
    if not isinstance(whole, Mapping):
        raise DataError(f"{_named(reference)}() returned {_what(whole)}; a dictionary of arrays was expected")
    if not set(whole) <= set(PARTS):
        return {"train": lambda: check(whole, f"{_named(reference)}()")}
    if "train" not in whole:
        raise DataError(f"{_named(reference)}() returned no train, but {', '.join(whole) or 'nothing'}")
    return {part: partial(_checked, whole[part], check, f"{_named(reference)}(), {part}") for part in PARTS
            if part in whole}  # fmt: skip


def own_source(reference: str, settings: Mapping[str, Any] = MappingProxyType({})) -> Source:
    """Return the origin of what a function returns: its file, and its arrays for training and validation.

    Modules that the file imports do not count.
    """
    path, _, name = reference.rpartition(":")

    def arrays(place: Path) -> Iterator[tuple[str, int, str]]:
        return _arrays(f"{place}:{name}")

    return Source("own", {"data.source": path}, {"function": name, **settings}, arrays=arrays)


def _arrays(reference: str) -> Iterator[tuple[str, int, str]]:
    """Yield the names, bytes and hashes of the arrays that a function returns for training and validation.

    Raises:
        DataError: the function cannot be used.
    """
    if _takes_split(reference):
        found: Mapping[str, Any] = {part: _called(reference, _state(reference), part) for part in PARTS[:2]}
    else:
        found = {"": _called(reference, _state(reference), None)}
    for name, value in _leaves(found):
        content = _bytes_of(value)
        yield name, len(content), hashlib.sha256(content).hexdigest()


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name in sorted(value, key=str):
            yield from _leaves(value[name], f"{path}/{name}")
    else:
        yield path, value


def _bytes_of(value: Any) -> bytes:
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return f"{value.dtype.str} {value.shape}\n".encode() + np.ascontiguousarray(value).tobytes()
    if isinstance(value, np.ndarray | list | tuple):
        return "\n".join(f"{type(each).__name__} {each!r}" for each in value).encode("utf-8", "surrogatepass")
    return repr(value).encode("utf-8", "surrogatepass")


def _loaded(reference: str, part: Part, check: Callable[[Mapping[str, Any], str], Checked]) -> Checked:
    found = _called(reference, _state(reference), part)
    if found is None and part == "test":
        raise DataError(f'{_named(reference)}("test") returned None; say test_fraction: 0 if there is no test split')
    return _checked(found, check, f'{_named(reference)}("{part}")')


def _checked(found: Any, check: Callable[[Mapping[str, Any], str], Checked], origin: str) -> Checked:
    if not isinstance(found, Mapping):
        raise DataError(f"{origin} returned {_what(found)}; a dictionary of arrays was expected")
    return check(found, origin)


def array_of(found: Mapping[str, Any], name: str, wanted: str, origin: str) -> Any:
    """Return what a function returned under a name.

    Args:
        found: All that it returned.
        name: The name.
        wanted: What is expected there, in words.
        origin: What the function is called.

    Raises:
        DataError: there is no such name.
    """
    if name not in found:
        has = ", ".join(map(str, found)) or "nothing"
        raise DataError(f"{origin} returned no '{name}' ({wanted}); it returned: {has}")
    return found[name]


def own_text(found: Mapping[str, Any], origin: str) -> str:
    """Return the text that a function of the user's returned for char_lm: `text`, a str.

    Raises:
        DataError: it returned something else.
    """
    text = array_of(found, "text", "a str", origin)
    if not isinstance(text, str) or not text:
        raise DataError(
            f"{origin}: 'text' is a str with characters, not {_what(text) if text != '' else 'an empty one'}"
        )
    return text


def _what(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _named(reference: str) -> str:
    """Return the file's name and the function's."""
    path, _, name = reference.rpartition(":")
    return f"{Path(path).name}:{name}"


def _state(reference: str) -> tuple[int, int]:
    """Return the size and the time of change of the code's file."""
    try:
        found = Path(reference.rpartition(":")[0]).stat()
    except OSError as error:
        raise DataError(f"there is no file {error.filename}, in which {_named(reference)} is looked for") from None
    return found.st_size, found.st_mtime_ns


def _takes_split(reference: str) -> bool:
    function = _function(reference, _state(reference))
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [each for each in parameters if each.default is each.empty and each.kind not in free]
    if len(needed) > 1:
        names = ", ".join(each.name for each in needed)
        raise DataError(f"{_named(reference)} needs {names}; it is called with a split (train, val, test), or nothing")
    return bool(needed)


@functools.lru_cache(maxsize=4)
def _function(reference: str, _: tuple[int, int]) -> Callable[..., Any]:
    path, _colon, name = reference.rpartition(":")
    try:
        code = find_code(f"{path}:{name}", Path(), kind="data source")
    except HpsearchError as error:
        raise DataError(str(error)) from None
    if not callable(code.found):
        raise DataError(f"{code.path} has no function {name}{code.near}")
    function: Callable[..., Any] = code.found
    return function


@functools.lru_cache(maxsize=4)
def _called(reference: str, state: tuple[int, int], part: Part | None) -> Any:
    """Call the function; what it returns is kept."""
    function = _function(reference, state)
    try:
        return function() if part is None else function(part)
    except Exception as error:
        file = str(Path(reference.rpartition(":")[0]).resolve())
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        where = f" in line {lines[-1]}" if lines else ""
        shown = "" if part is None else f'"{part}"'
        raise DataError(f"{_named(reference)}({shown}) failed{where}: {type(error).__name__}: {error}") from error
