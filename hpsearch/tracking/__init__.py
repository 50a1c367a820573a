"""Mirrors of an experiment folder in other tools. The folder is the truth: a mirror can always catch up from it."""

from pathlib import Path
from typing import Protocol


class Mirror(Protocol):
    """An external tool that mirrors an experiment's folder; mirroring again changes nothing."""

    folder: Path
    name: str
    """Of the kind of mirror, as `hpsearch sync --to` takes it."""

    def catch_up(self, *, final: bool = False) -> None:
        """Mirror what is new; `final` also what concludes a session.

        Raises:
            TrackingError: the tool cannot be written.
            ExperimentError: the folder is not what it should be.
        """
        ...

    def close(self) -> None:
        """Let another process mirror the folder."""
        ...


class Tracker(Protocol):
    """A live mirror; the coordinator notifies it when the folder has grown."""

    def notify(self) -> None:
        """Announce new events. Never blocks, never raises."""
        ...

    def close(self, timeout: float) -> bool:
        """Catch up for the last time, for at most `timeout` seconds; say whether everything is mirrored.

        Otherwise nothing is lost: a message asks the user to run `hpsearch sync`.
        """
        ...


class NoTracker:
    """The tracker that mirrors nothing."""

    def notify(self) -> None:
        """Do nothing."""

    def close(self, timeout: float) -> bool:  # noqa: ARG002 - the contract's signature
        """Do nothing; there is nothing left to mirror."""
        return True
