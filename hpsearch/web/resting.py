"""Which trials were paused, as by a pruner or a person, of which the log does not tell.

A worker's sign of life is there only while it has the trial (workers/heartbeat.py).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpsearch.console.search_state import SearchState
from hpsearch.experiment.activity import last_sign
from hpsearch.experiment.askers import Presence, presence
from hpsearch.experiment.events import BeginEvent, Event, ExploitEvent, PauseNotice, ReportEvent, SessionEvent


class Resting:
    """Takes out of what runs the trials that rest, and puts them in again when a worker has them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._begun: set[str] = set()
        """Those that have told nothing since they were begun: their worker may not have come to them yet."""
        self._rest: set[str] = set()
        self._signs = False
        """Whether a worker of this session has given a sign; one within the coordinator's own process gives none."""
        self._at_work = 0
        """The most that were at work at once in this session."""

    def follow(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, SessionEvent):
            self._begun.clear()
            self._rest.clear()
            self._signs = False
            self._at_work = 0
        elif isinstance(event, BeginEvent):
            self._begun.add(event.run)
            self._rest.discard(event.run)
        elif isinstance(event, ReportEvent | ExploitEvent):
            self._begun.discard(event.run)

    def look(self, search: SearchState, space: Mapping[str, Any]) -> None:
        """See who rests now; `space` is the resolved one."""
        shown = {run for run in (*search.running, *self._rest) if last_sign(self._folder / run) is not None}
        self._signs |= bool(shown)
        for run in [*self._rest]:
            training = search.trainings.get(run)
            ended = training is None or training.outcome is not None
            if training is not None and not ended and run in shown:
                search.running[run] = training
            if ended or run in shown:
                self._rest.discard(run)
        for run in [each for each in search.running if self._has_left(search.state.runs[each].asker)]:
            self._rest.add(run)
            search.follow(PauseNotice(run))
        if _may_tell(space) and (self._signs or search.state.paused):
            for run in [each for each in search.running if each not in shown and self._has_told(each, search)]:
                self._rest.add(run)
                search.follow(PauseNotice(run))
        self._at_work = max(self._at_work, len(search.running))
        search.most_running = self._at_work  # by the log alone they would be all that have begun

    def _has_left(self, asker: str | None) -> bool:
        """Check whether the program that has asked for a trial is not there any more."""
        return asker is not None and presence(self._folder, asker) is not Presence.ALIVE

    def _has_told(self, run: str, search: SearchState) -> bool:
        """Check whether a run, of no program that asks, is known to have come to a worker."""
        return (run not in self._begun or search.state.paused) and search.state.runs[run].asker is None


def _may_tell(space: Mapping[str, Any]) -> bool:
    """Check whether workers may show here which trials they have: those of a cluster and of packs need not."""
    search = space.get("search")
    settings = search if isinstance(search, Mapping) else {}
    return bool(settings.get("engine", "local") == "local" and settings.get("pack", "off") == "off")
