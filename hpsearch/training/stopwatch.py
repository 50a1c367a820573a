"""Training time over all attempts; the clock comes in as an argument."""

import contextlib
from collections.abc import Callable, Iterator


class Stopwatch:
    """Starts when it is made, and stands still while the training waits for somebody else."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._zero = clock()
        self._lap = self._zero

    def set(self, seconds: float) -> None:
        """Go on from a time that earlier attempts took."""
        self._zero = self._clock() - seconds

    @property
    def seconds(self) -> float:
        """The time so far."""
        return self._clock() - self._zero

    @property
    def lap(self) -> float:
        """The time since the last `begin_lap`."""
        return self._clock() - self._lap

    def begin_lap(self) -> None:
        """Begin a new lap now."""
        self._lap = self._clock()

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Leave out the time that the block takes."""
        begin = self._clock()
        try:
            yield
        finally:
            self._zero += self._clock() - begin
