"""Where jobs come from: the trials of a search, or a list that was decided on before (a winner's replicates)."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from hpsearch.errors import SearchFailedError
from hpsearch.experiment.layout import OUTPUT
from hpsearch.jobs import AskInfo, Job
from hpsearch.records import Decision, Outcome

SAME_FAILURES = 3
"""This many equal failures at the start end the search: the rest would fail in the same way."""


class Searcher(Protocol):
    """A sampler and a pruner, of any library."""

    @property
    def last_ask(self) -> AskInfo:
        """How the last configuration came about."""
        ...

    @property
    def waiting(self) -> int:
        """How many trials are promised: configurations that were given, or one that is being asked for."""
        ...

    def prepare(self, number: int) -> None:
        """Begin to ask for a trial beside everything else, if that can be."""
        ...

    def ask(self, number: int) -> dict[str, Any] | None:
        """Return the parameters of a trial, or None when the space is exhausted; what was prepared, if there is."""
        ...

    def report(self, number: int, step: int, metric: float, *, final: bool = False) -> bool:
        """Enter the metric at a step; say whether to prune."""
        ...

    def tell(self, number: int, outcome: Outcome, value: float | None) -> None:
        """Enter an ending."""
        ...

    def further(self, number: int, outcome: Outcome, value: float | None) -> None:
        """Enter what a trial that has ended came to on a further seed; its value is the mean from now on."""
        ...

    def add(self, entry: Mapping[str, Any]) -> None:
        """Begin the next trial that is asked for with these values."""
        ...


MakeJob = Callable[[int, Mapping[str, Any]], Job]
"""From a trial's number and its parameters to its job."""


class TrialSource:
    """The trials of a search: first those that an earlier session left unfinished, then new ones up to the budget.

    `asked` were asked for before; the next has the number `following`.
    """

    def __init__(self, search: Searcher, make_job: MakeJob, *, budget: int, asked: int, following: int) -> None:
        self._search = search
        self._make_job = make_job
        self._budget = budget
        self._asked = asked
        self._next = following
        self._unfinished: deque[Job] = deque()
        self._first_failures: list[str] | None = []
        self._whose = " of this session" if asked else ""
        self.last_ask = AskInfo()
        """How the last new trial came about."""
        self.exhausted = False
        """Whether every configuration of the space has been tried before the budget was used up."""

    def resume(self, unfinished: Iterable[Job]) -> None:
        """Take note of the jobs that an earlier session left; they come first."""
        self._unfinished.extend(unfinished)

    @property
    def closed(self) -> bool:
        """Whether no new trial will come."""
        return self._asked >= self._budget or self.exhausted

    @property
    def interrupted(self) -> bool:
        """Whether an earlier session left a trial in the midst of its training that has not been handed out."""
        return bool(self._unfinished)

    @property
    def spent(self) -> float:
        """The share of the budget that has been handed out."""
        return self._asked / self._budget

    def spend(self) -> bool:
        """Take one training from the budget for something else than a new trial, if one is left and not promised."""
        left = self._asked + self._search.waiting < self._budget
        self._asked += left
        return left

    def prepare(self) -> None:
        """Begin to ask for the next new trial, if one will come."""
        if not (self._unfinished or self.closed):
            self._search.prepare(self._next)

    def next_job(self) -> Job | None:
        """Return an unfinished trial, a new one, or None when the budget is used up or the space exhausted."""
        if self._unfinished:
            return self._unfinished.popleft()
        if self.closed:
            return None
        params = self._search.ask(self._next)
        self.last_ask = self._search.last_ask
        if params is None:
            self.exhausted = True
            return None
        self._next += 1
        self._asked += 1
        return self._make_job(self._next - 1, params)

    def report(self, job: Job, step: int, metric: float, *, final: bool) -> Decision:
        """Enter the metric. A trial at its end is compared, for the sake of the others, but no longer pruned."""
        pruned = self._search.report(job.number, step, metric, final=final) and not final
        return Decision.PRUNE if pruned else Decision.CONTINUE

    def paused(self, job: Job) -> None:
        """Do nothing: it is not the search that pauses a trial."""

    def withdraw(self, run: str) -> Job | None:
        """Return a job that an earlier session left and that has not been handed out."""
        job = next((each for each in self._unfinished if each.run == run), None)
        if job is not None:
            self._unfinished.remove(job)
        return job

    def refusal(self, trials: int | None = None) -> str | None:  # noqa: ARG002 -- any number will do
        """Return a sentence if every configuration has been tried."""
        return "every configuration of the space has been tried" if self.exhausted else None

    def add(self, params: Mapping[str, Any]) -> None:
        """Try a configuration next, on top of the budget."""
        self._budget += 1
        self._search.add(params)

    def extend(self, trials: int) -> None:
        """Go on to so many trials in all."""
        self._budget = trials

    def ended(self, job: Job, outcome: Outcome, value: float | None, reason: str | None) -> None:
        """Enter an ending.

        Raises:
            SearchFailedError: The first trials all failed in the same way.

        """
        self._search.tell(job.number, outcome, value)
        if self._first_failures is None:
            return
        if outcome not in (Outcome.FAILED, Outcome.LOST):
            self._first_failures = None
            return
        self._first_failures.append(re.sub(r"\d+", "#", reason or ""))
        if self._first_failures.count(self._first_failures[0]) < len(self._first_failures):
            self._first_failures = None
        elif len(self._first_failures) == SAME_FAILURES:
            log = f"{job.run}/{OUTPUT} of the experiment"
            whose = f"the first {SAME_FAILURES} trials{self._whose}"
            raise SearchFailedError(f"{whose} failed in the same way: {reason}; see {log}")


class JobList:
    """Jobs that were decided on beforehand; nothing prunes them."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._jobs = deque(jobs)

    @property
    def last_ask(self) -> AskInfo:
        """Empty: these configurations were not searched for."""
        return AskInfo()

    def prepare(self) -> None:
        """Do nothing: they are there."""

    def next_job(self) -> Job | None:
        """Return the next job of the list."""
        return self._jobs.popleft() if self._jobs else None

    def report(self, job: Job, step: int, metric: float, *, final: bool) -> Decision:
        """Never prune."""
        del job, step, metric, final
        return Decision.CONTINUE

    def paused(self, job: Job) -> None:
        """Do nothing: the next session makes a new list."""

    def withdraw(self, run: str) -> Job | None:
        """Return nothing: these are no trials."""

    def refusal(self, trials: int | None = None) -> str | None:
        """Return nothing: the next session goes on with the search."""

    def add(self, params: Mapping[str, Any]) -> None:
        """Do nothing: see `refusal`."""

    def extend(self, trials: int) -> None:
        """Do nothing: see `refusal`."""

    def ended(self, job: Job, outcome: Outcome, value: float | None, reason: str | None) -> None:
        """Do nothing: the outcome decides about no other job."""
