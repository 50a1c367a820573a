"""How far the preparing of data is: who makes or reads examples says so, and whoever wants to know hears it.

with heard(lambda what, done, total: print(what, done, total)), preparing("train data"):
for file in counted(files, "files read", len(files)):
...
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import TypeVar

Hear = Callable[[str, int, int], None]
"""Gets what is prepared, how much of it is done and the total; the latter two are 0 where nobody counts."""

_Item = TypeVar("_Item")
_HEAR: ContextVar[Hear | None] = ContextVar("hear", default=None)
_WHAT: ContextVar[str] = ContextVar("what", default="data")


@contextlib.contextmanager
def heard(hear: Hear) -> Iterator[None]:
    """Let `hear` know of what is prepared in the block."""
    token = _HEAR.set(hear)
    try:
        yield
    finally:
        _HEAR.reset(token)


@contextlib.contextmanager
def preparing(what: str) -> Iterator[None]:
    """Say what the block prepares, at its beginning and with all that is counted in it."""
    token = _WHAT.set(what)
    try:
        _tell(what, 0, 0)
        yield
    finally:
        _WHAT.reset(token)


def counted(items: Iterable[_Item], done: str, total: int) -> Iterator[_Item]:
    """Yield the items, and tell with each how many of the `total` are `done` (a phrase: `frames simulated`)."""
    what = f"{_WHAT.get()}, {done}"
    for number, item in enumerate(items):
        _tell(what, number, total)
        yield item


def _tell(what: str, done: int, total: int) -> None:
    hear = _HEAR.get()
    if hear is not None:
        hear(what, done, total)
