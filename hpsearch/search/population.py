"""Population based training: a source whose trials are trained side by side, and go on as copies of the better ones.

Every `interval` evaluations there is a barrier: a member that reaches it is paused until all the others stand there or
are beyond it. Then each of those whose metric is worst there gives its training up for a copy of one of the best, with
other values for what is mutable (`explore.py`). A member that has ended, in whatever way, is no longer waited for.

Who copies whom, and what it gets, follows from the log and the seed: `replay` brings a population to where the log's
events left it, also when the exploits of a barrier had only partly been carried out.
"""

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from hpsearch.experiment.events import AskEvent, Event, ExploitEvent, OutcomeEvent, ReportEvent
from hpsearch.experiment.layout import RunKind, run_kind
from hpsearch.jobs import AskInfo, ConfigChange, Exploit, Job
from hpsearch.records import Decision, Outcome, Params
from hpsearch.search.explore import ExploreContext, Observed, explorer
from hpsearch.search.sources import TrialSource
from hpsearch.seeds import derive_seed
from hpsearch.space import Space
from hpsearch.space.pruner_options import PB2, PBT

_Followed = AskEvent | ReportEvent | ExploitEvent | OutcomeEvent
"""The events of the log that a population follows."""


@dataclass
class _Member:
    """A trial that has not ended, by its last report: the number of its evaluation, the step and the metric there.

    It `waits` at a barrier that is not resolved; it is `running` while a worker has it; `final` was its last report.
    """

    number: int
    params: Params
    evaluation: int = 0
    step: int = 0
    metric: float = math.nan
    waits: bool = False
    running: bool = False
    final: bool = False


class Population:
    """The trials of a search as a population. `trials` asks for new members and hears of everything."""

    def __init__(self, trials: TrialSource, space: Space, pruner: PBT | PB2) -> None:
        self._trials = trials
        self._space = space
        self._interval = pruner.interval
        self._quantile = pruner.quantile
        self._explore = explorer(space)
        self._members: dict[int, _Member] = {}
        self._jobs: dict[int, Job] = {}
        self._pending: list[tuple[int, int]] = []
        """Who is to copy whom, in this order, in which each sees what those before have got."""
        self._seen: list[Observed] = []
        self._chosen: dict[int, list[Params]] = {}
        """What was chosen at a barrier, by its evaluation."""
        self._closed = False
        """Whether no new member will come."""

    @property
    def last_ask(self) -> AskInfo:
        """How the last new member came about."""
        return self._trials.last_ask

    # What the coordinator asks and says (the Source contract)

    def prepare(self) -> None:
        """Begin to ask for the next new trial."""
        self._trials.prepare()

    def next_job(self) -> Job | Exploit | None:
        """Return an exploit that is due, or the job of a member that may go on, or that of a new one."""
        if self._pending:
            recipient, donor = (self._members[number] for number in self._pending[0])
            if not (recipient.running or donor.running):
                return self._exploit(recipient, donor)
        ready = [each for each in self._members.values() if not (each.running or self._held(each))]
        if ready:
            member = min(ready, key=lambda each: (each.evaluation, each.number))
        else:
            job = self._trials.next_job()
            if job is None:
                return self._close()
            member = self._members[job.number] = _Member(job.number, job.params)
            self._jobs[job.number] = job
            self._closed = self._trials.closed
        member.running = True
        return self._jobs[member.number]

    def _close(self) -> Job | Exploit | None:
        """Take note that the space is exhausted, which may be all that a barrier waited for."""
        if self._closed:
            return None
        self._closed = True
        self._settle()
        return self.next_job()

    def report(self, job: Job, step: int, metric: float, *, final: bool) -> Decision:
        """Enter the metric; pause a member that has reached a barrier."""
        self._trials.report(job, step, metric, final=final)
        member = self._members[job.number]
        self._arrive(member, step, metric, final=final)
        return Decision.PAUSE if step == member.step and self._held(member) else Decision.CONTINUE

    def paused(self, job: Job) -> None:
        """Take note that no worker has the member any more."""
        self._members[job.number].running = False

    def withdraw(self, run: str) -> Job | None:
        """Return the job of a member that no worker has."""
        number = next((each for each, job in self._jobs.items() if job.run == run), None)
        member = None if number is None else self._members.get(number)
        return None if member is None or member.running else self._jobs[member.number]

    def refusal(self, trials: int | None = None) -> str | None:
        """Return a sentence: a population's members begin side by side, and are compared with one another."""
        if trials is not None:
            return f"the members of a population are as many as search.trials ({self._space.search.trials}) to its end"
        return "all members of the population have begun" if self._closed else self._trials.refusal()

    def add(self, params: Params) -> None:
        """Begin the next member with these values, as one more."""
        self._trials.add(params)

    def extend(self, trials: int) -> None:
        """Do nothing: see `refusal`."""

    def ended(self, job: Job, outcome: Outcome, value: float | None, reason: str | None) -> None:
        """Let a member go.

        Raises:
            SearchFailedError: The first trials all failed in the same way.

        """
        self._leave(job.number)
        self._trials.ended(job, outcome, value, reason)

    # What becomes of the population, whether it happens or is read from the log

    def replay(self, events: Sequence[Event], *, runs: Mapping[str, int], unfinished: Iterable[Job]) -> None:
        """Bring a new population to where these events left it.

        `runs` names the trials that fit the space, `unfinished` are the jobs of those that have not ended.
        """
        own = [event for event in events if isinstance(event, _Followed) and run_kind(event.run) is RunKind.TRIAL]
        complete = max(self._space.search.trials, sum(isinstance(event, AskEvent) for event in own))
        asked = 0
        for event in own:
            asked += isinstance(event, AskEvent)
            self._closed = asked >= complete
            if event.run in runs:
                self._follow(event, runs)
        self._jobs = {job.number: job for job in unfinished}
        self._closed = self._trials.closed
        self._settle()

    def _follow(self, event: _Followed, runs: Mapping[str, int]) -> None:
        number = runs[event.run]
        if isinstance(event, AskEvent):
            self._members[number] = _Member(number, event.params)
        elif isinstance(event, OutcomeEvent):
            self._leave(number)
        elif isinstance(event, ExploitEvent):
            member, donor = self._members[number], self._members.get(runs.get(event.donor, -1))
            self._part(member)
            self._copy(member, event.params, event.step, donor.metric if donor else math.nan)
        elif number in self._members:
            self._arrive(self._members[number], event.step, event.metric, final=event.final)

    def _arrive(self, member: _Member, step: int, metric: float, *, final: bool) -> None:
        """Take note of a report, unless it is made again after a resume."""
        if step <= member.step:
            return
        self._part(member)
        self._forget(member.number)
        member.evaluation += 1
        member.step, member.metric, member.final = step, metric, final
        member.waits = member.evaluation % self._interval == 0 and not final
        if member.waits:
            self._seen.append(Observed(member.number, member.evaluation, member.params, metric))
        self._settle()

    def _part(self, member: _Member) -> None:
        """Conclude from a member's going on that its barrier was resolved, if the log did not show that it could be."""
        if member.waits:
            self._resolve(member.evaluation)

    def _leave(self, number: int) -> None:
        self._members.pop(number, None)
        self._forget(number)
        self._settle()

    def _forget(self, number: int) -> None:
        """Drop exploits that cannot be any more."""
        self._pending = [pair for pair in self._pending if number not in pair]

    def _held(self, member: _Member) -> bool:
        """Whether a member waits at its barrier, for the others or until they have copied what they are to copy."""
        return member.waits or any(self._members[number].evaluation == member.evaluation for number, _ in self._pending)

    def _settle(self) -> None:
        """Resolve the barrier of the members that are least far, if all of them wait and no other member will come."""
        going = [member for member in self._members.values() if not member.final]
        lowest = min((member.evaluation for member in going), default=0)
        if self._closed and all(member.waits for member in going if member.evaluation == lowest):
            self._resolve(lowest)

    def _resolve(self, evaluation: int) -> None:
        """Decide who copies whom among those at a barrier."""
        standing = [member for member in self._members.values() if member.waits and member.evaluation == evaluation]
        for member in standing:
            member.waits = False
        ranked = sorted(standing, key=self._rank)
        count = min(math.ceil(self._quantile * len(ranked)), len(ranked) // 2)
        donors = [member.number for member in ranked[:count] if math.isfinite(member.metric)]
        for member in ranked[len(ranked) - count :] if donors else []:
            rng = random.Random(self._seed(member, "donor"))  # noqa: S311 -- not a secret
            self._pending.append((member.number, rng.choice(donors)))

    def _rank(self, member: _Member) -> tuple[bool, float, int]:
        """Best first, by the metric now, as it is the weights of now that are copied (Jaderberg et al. 2017).

        Metrics that are not finite come last, the earlier of equals first.
        """
        if not math.isfinite(member.metric):
            return True, 0.0, member.number
        return False, -self._space.objective.goal.sign * member.metric, member.number

    def _seed(self, member: _Member, *more: str) -> int:
        generation = member.evaluation // self._interval
        return derive_seed(self._space.search.seed, "pbt", generation, member.number, *more)

    def _exploit(self, member: _Member, donor: _Member) -> Exploit:
        """Make a member a copy of its donor with other parameters; return what is to be done for that."""
        context = ExploreContext(
            donor=donor.number,
            params=donor.params,
            seen=sorted(
                (observed for observed in self._seen if observed.evaluation <= member.evaluation),
                key=lambda observed: (observed.evaluation, observed.number),
            ),
            chosen=self._chosen.get(member.evaluation, ()),
            seed=self._seed(member),
        )
        params = self._explore(context)
        config = self._space.config(params).model_dump(mode="json")
        old, source = self._jobs[member.number], self._jobs[donor.number]
        changes = (*source.changes, ConfigChange(donor.step, params, config))
        self._jobs[member.number] = replace(source, run=old.run, number=old.number, changes=changes)
        self._copy(member, params, donor.step, donor.metric)
        return Exploit(self._jobs[member.number], source.run)

    def _copy(self, member: _Member, params: Params, step: int, metric: float) -> None:
        self._forget(member.number)
        member.params, member.step, member.metric = params, step, metric
        self._seen.append(Observed(member.number, member.evaluation, params, metric))
        self._chosen.setdefault(member.evaluation, []).append(params)
