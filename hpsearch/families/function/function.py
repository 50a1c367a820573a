"""A user's function in the place of a family. What calls it is `hpsearch/running/function_objective.py`."""

import hashlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from hpsearch.data.fingerprint import Source
from hpsearch.errors import HpsearchError
from hpsearch.families.function.signature import Signature, signature_of
from hpsearch.places import NamedPlace, located, located_texts, named_places, named_texts
from hpsearch.records import Goal
from hpsearch.settings import Settings

_GOES_ON = re.compile(r"\.checkpoint\b")


class Function:
    """A function of the user's, `def train(config, report)`: its arguments are searched, its reports are read."""

    metrics: ClassVar[Mapping[str, Goal]] = {}
    methods: ClassVar[Sequence[str]] = ()

    def __init__(self, function: Callable[..., Any], *, name: str, file: Path) -> None:
        """`name` is that of messages; `file` holds the function.

        Raises:
            HpsearchError: It does not take `report`, or takes what no space can give.
        """
        self.function = function
        self.name = name
        self._file = file
        self.signature: Signature = signature_of(function, name)

    @property
    def Config(self) -> type[BaseModel]:  # noqa: N802 -- a class
        """The settings class of the function's arguments."""
        return self.signature.Config

    def objections(self, configuration: Mapping[str, Any]) -> Mapping[str, str]:
        """Return nothing: all that can be known of the values is in the signature."""
        del configuration
        return {}

    @cached_property
    def goes_on(self) -> bool:
        """Whether its file mentions a checkpoint: without one, a training that was paused begins again."""
        return _GOES_ON.search(self._file.read_text(encoding="utf-8", errors="replace")) is not None

    @cached_property
    def code(self) -> str:
        """The hash of the file with the function."""
        return hashlib.sha256(self._file.read_bytes()).hexdigest()[:16]

    def source_of(self, config: BaseModel, home: Path) -> Source | None:
        """Return the files that the configuration names: in `data`, by a name such as `train_path`, or by a mark.

        `home` is the folder of the space file.
        """
        found = {place.setting: place.path for place in self._places(config, home)}
        return Source("a function's files", found) if found else None

    @staticmethod
    def _places(config: BaseModel, home: Path) -> list[NamedPlace]:
        marked = list(named_places(config)) if isinstance(config, Settings) else []
        return [*marked, *named_texts(config.model_dump(mode="json"), home)]

    def config(self, configuration: Mapping[str, Any], home: Path) -> BaseModel:
        """Return a configuration with absolute paths of the files that it names."""
        config = self.Config.model_validate(located_texts(configuration, home))
        return located(config, home) if isinstance(config, Settings) else config

    def missing_file(self, config: BaseModel, error: BaseException) -> bool:
        """Check whether an error is about a file that the configuration names, and that is not there."""
        if not isinstance(error, FileNotFoundError) or not error.filename:
            return False
        texts = config.model_dump(mode="json")
        return any(str(error.filename) == text for text in _texts(texts))


def as_function(found: Any, *, name: str, file: Path) -> Function:
    """Return what a space names by `file:name` as a function to search.

    Raises:
        HpsearchError: It is not a plain function, or cannot be called with a space's values.
    """
    if not inspect.isroutine(found) or not hasattr(inspect.unwrap(found), "__code__"):
        raise HpsearchError(
            f"{name} is {_article(found)}; a space names a class derived from hpsearch.Family, or a function such as "
            "def train(config, report)"
        )
    return Function(found, name=name, file=file)


def _article(found: Any) -> str:
    kind = "class" if isinstance(found, type) else type(found).__name__
    return f"a{'n' if kind[0] in 'aeiou' else ''} {kind}"


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [text for each in value.values() for text in _texts(each)]
    return [value] if isinstance(value, str) else []
