"""Which display a search gets."""

from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console

from hpsearch.console.progress.lines import PlainProgress
from hpsearch.console.progress.live import LiveProgress
from hpsearch.console.progress.standing import Aim
from hpsearch.experiment.log import Event


class Progress(Protocol):
    """An observer that is shown for as long as it is entered."""

    def observe(self, event: Event) -> None:
        """Take note of an event."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class NoProgress:
    """Shows nothing."""

    def observe(self, event: Event) -> None:
        """Pass over an event."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


def make_progress(
    aim: Aim, *, console: Console | None = None, earlier: Iterable[Event] = (), quiet: bool = False
) -> Progress:
    """Return a live display for a console that is a terminal, lines for any other, and nothing when `quiet`.

    The console is standard error unless given: standard output is for results. `earlier`: the events of the log so far.
    """
    if quiet:
        return NoProgress()
    console = console or Console(stderr=True)
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveProgress(aim, console=console, earlier=earlier)
    return PlainProgress(aim, stream=console.file, earlier=earlier)
