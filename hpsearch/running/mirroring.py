"""The trackers of a session: which ones, and how they hear of what happens."""

from collections.abc import Callable
from pathlib import Path

from hpsearch.experiment.events import Event, Notice, OutcomeEvent, ReportEvent
from hpsearch.tracking import NoTracker, Tracker

CLOSE_SECONDS = 60.0
"""How long the end of a session waits for the tracker to catch up."""


def no_tracker(_: Path) -> Tracker:
    """Mirror the experiment nowhere."""
    return NoTracker()


def trackers(names: str, uri: str | None, warn: Callable[[str], None]) -> Callable[[Path], Tracker]:
    """Return a function from an experiment's folder to its trackers, such as `mlflow,tensorboard`.

    `uri` is MLflow's. `warn` is called once for each tracker that cannot be written.

    Raises:
        UnknownNameError: There is no such tracker.
        TrackingError: Its package is missing.
    """
    from hpsearch.tracking.shelf import live_tracker, mirror_names

    chosen = mirror_names(names)
    return lambda folder: live_tracker(chosen, folder, uri, warn=warn)


class Notifier:
    """Lets a tracker know of every event from the first news of a training on.

    Until then a tracker, whose libraries take seconds to import, would take the cores from workers that start; it looks
    by itself when that takes long.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._begun = False

    def observe(self, event: Event | Notice) -> None:
        """Wake the tracker; notices are not for it."""
        if isinstance(event, Notice):  # it may come from a signal handler, which must not wait
            return
        self._begun = self._begun or isinstance(event, ReportEvent | OutcomeEvent)
        if self._begun:
            self._tracker.notify()
