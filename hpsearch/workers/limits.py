"""How long a search, a trial, and one that is told to stop may take; and a run that is with a worker."""

import math
import time
from dataclasses import dataclass, field

from hpsearch.jobs import Ending, Job, TimedOut
from hpsearch.records import Outcome

GRACE_SECONDS = 5.0
"""How long after its time limit a trial may take to report before its process is ended."""
LOADING_SECONDS = 60.0
"""How long a run may always be silent before its training begins, however short the trial's time is."""
STOP_SECONDS = 10.0
"""How long a trial that a person stops may take to come to its next report or step before its process is ended."""
AWAY_SECONDS = 5.0
"""After so long without a look the coordinator was suspended, or as busy as if it were: no run is blamed for it."""
BY_A_PERSON = "by a person"
"""The reason of a trial that was stopped."""


@dataclass(frozen=True)
class Limits:
    """`time`: seconds of the whole experiment; `trial_time`: seconds of training of one run; `retries` after a loss.

    `time` is infinite where there is no limit but a person may set one, None where none applies.
    `loading`: the least seconds that a run may say nothing before its training begins, where there is a `trial_time`;
    None for no limit. `stopping`: how long one that a person stops may take; None where its process has others, too.
    `queues`: whether a run may wait in its process for others: it is silent from the time on when its data are begun.
    """

    time: float | None = None
    trial_time: float | None = None
    retries: int = 2
    loading: float | None = LOADING_SECONDS
    stopping: float | None = STOP_SECONDS
    queues: bool = False


class Stopped(Ending):
    """Stopped by a person; no worker says so, as it was told to pause."""

    outcome = Outcome.STOPPED


@dataclass
class Running:
    """A run that a worker has. Times are those of time.monotonic()."""

    job: Job
    seconds_before: float
    started: float | None = None
    """When its training began, until it is asked to stop."""
    loading: float | None = field(default_factory=time.monotonic)
    """When it was begun, or last told how far its data are, until its training begins; None where nobody begins yet."""
    resting: bool = False
    """Whether it is the coordinator that has asked it to pause, not the source."""
    stopped: float | None = None
    """When a person has stopped it; infinite once it has been told."""

    def hear_stop(self) -> None:
        """Give it any time to write its checkpoint, if it was stopped and has now been told."""
        self.stopped = None if self.stopped is None else math.inf

    def shift(self, seconds: float) -> None:
        """Do not count seconds in which nobody could hear it."""
        self.started = None if self.started is None else self.started + seconds
        self.loading = None if self.loading is None else self.loading + seconds
        self.stopped = None if self.stopped is None else self.stopped + seconds

    def overdue(self, limits: Limits, now: float) -> Ending | None:
        """Return how it ends if it neither ends nor reports long after its time is over, else None."""
        if self.stopped is not None:
            late = limits.stopping is not None and now - self.stopped > limits.stopping
            return Stopped(BY_A_PERSON) if late else None
        limit = limits.trial_time
        if limit is None:
            return None
        silent = None if limits.loading is None else max(limit, limits.loading)
        if self.started is not None:
            spent = self.seconds_before + now - self.started
            if spent > limit + GRACE_SECONDS:
                return TimedOut(f"no report within the trial's time of {limit:g} s", seconds=spent)
        elif self.loading is not None and silent is not None and now - self.loading > silent:
            # data may take longer than that if it is told how far they are
            reason = f"its training has not begun, and nothing was heard of its data for {silent:g} s"
            return TimedOut(reason, seconds=self.seconds_before)
        return None
