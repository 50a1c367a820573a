"""Which settings a training looks at: a searched one that nobody reads has no effect, and should not be searched.

    with counted_reads(config) as reads:
        train(config)
    reads.unread(["model.width", "model.depth"])

While a block is open, every access to an attribute of a configuration is noted. Outside, settings cost what they cost
without this module: the class has its hook only meanwhile.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hpsearch.settings import Option, Settings

_HOOK = "__getattribute__"
_WHOLE = frozenset({"__dict__", "__pydantic_extra__", "model_copy", "model_dump", "model_dump_json", "model_extra"})
"""Who takes one of these may look at everything below."""


class Reads:
    """The dotted paths of a configuration that were read."""

    def __init__(self, configs: Iterable[Settings]) -> None:
        self._configs = tuple(configs)  # kept alive, so that no other object gets the identity of a part of them
        self._paths: dict[int, str] = {}
        self._read: set[str] = set()
        self._noted: set[tuple[int, str]] = set()
        """The settings objects, by identity, and names of which note was taken: a training reads some at every step."""
        for config in self._configs:
            self._place(config, "")

    def _place(self, settings: Settings, path: str) -> None:
        self._paths[id(settings)] = path
        for name in type(settings).model_fields:
            value = getattr(settings, name)
            if isinstance(value, Settings):
                option = f"{value.kind}." if isinstance(value, Option) else ""  # as the space names what hangs on it
                self._place(value, f"{path}{name}.{option}")

    def note(self, settings: Settings, name: str, value: Any) -> None:
        """Take note of an access; a mapping that was handed out may have been read throughout."""
        access = id(settings), name
        if access in self._noted:
            return
        path = self._paths.get(id(settings))
        if path is not None:
            self._noted.add(access)
            self._read.add(f"{path}*" if name in _WHOLE else f"{path}{name}")
            if isinstance(value, Mapping):
                self._read.add(f"{path}{name}.*")

    def unread(self, paths: Iterable[str]) -> list[str]:
        """Return which of the paths were not read, in their order."""
        return [path for path in paths if not self._covered(path)]

    def _covered(self, path: str) -> bool:
        """Check whether the path was read, or everything in one of the parts that it lies in."""
        words = path.split(".")
        above = ("".join(f"{word}." for word in words[:end]) for end in range(len(words)))
        return path in self._read or any(f"{part}*" in self._read for part in above)


@contextlib.contextmanager
def counted_reads(configs: Iterable[Settings]) -> Iterator[Reads]:
    """Note what is read of the configurations, which have one layout, while the block is open. One block at a time."""
    reads = Reads(configs)

    def noted(settings: Settings, name: str) -> Any:
        value = object.__getattribute__(settings, name)
        reads.note(settings, name, value)
        return value

    setattr(Settings, _HOOK, noted)
    try:
        yield reads
    finally:
        delattr(Settings, _HOOK)


@contextlib.contextmanager
def uncounted() -> Iterator[None]:
    """Let the block look at settings, to compare or write them down, without that counting as their use."""
    hook = vars(Settings).get(_HOOK)
    if hook is None:
        yield
        return
    delattr(Settings, _HOOK)
    try:
        yield
    finally:
        setattr(Settings, _HOOK, hook)
