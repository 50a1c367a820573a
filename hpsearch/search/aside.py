"""The next configuration is asked for in a thread, while all workers train: no worker waits for it.

A sampler must not be told anything while it thinks. What is to be told meanwhile waits for the end of the ask, in its
order. So the answer follows from what was known when the ask began, however long it takes.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

Answer = dict[str, Any] | None
"""A configuration, or None if all have been tried."""


class Aside:
    """An ask that runs beside everything else, at most one at a time."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._ask: Future[Answer] | None = None
        self._untold: deque[Callable[[], Any]] = deque()

    @property
    def asks(self) -> bool:
        """Whether an ask was begun whose answer has not been taken."""
        return self._ask is not None

    def begin(self, ask: Callable[[], Answer]) -> None:
        """Begin an ask, unless one is under way or its answer has not been taken."""
        if self._ask is not None:
            return
        self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="ask")
        self._ask = self._thread.submit(ask)

    def tell(self, change: Callable[[], Any]) -> None:
        """Change what is asked, now or when the ask is over."""
        self._untold.append(change)
        if self._ask is None or self._ask.done():
            self._catch_up()

    def answer(self, ask: Callable[[], Answer]) -> Answer:
        """Return the answer to the ask that was begun, or else ask now. What the ask raises is raised here."""
        begun, self._ask = self._ask, None
        try:
            return ask() if begun is None else begun.result()
        finally:
            self._catch_up()

    def _catch_up(self) -> None:
        while self._untold:
            self._untold.popleft()()
