"""Successive halving that pauses: a trial stops at each rung with its checkpoint, and the best of a rung go on from it.

Asynchronous successive halving proper (Li et al. 2020, algorithm 2). A trial may go on when it is among the best
1/`reduction` of its rung. A free worker takes the best of the trials that may, from the highest rung that has one; if
there is none, it begins a new trial. So nothing is trained twice, a trial that was paused among few can still go on
when more have come, and one that begins late can win. `synchronous`, a rung is decided on when all trials have come to
it (Jamieson & Talwalkar 2016): the choice is better, but no trial is complete before all have begun.

Under the pruner `auto` a trial also stays where it is while it will hardly become the best: while the chance that it
beats the best complete one, by the forecasts of outlook.py, is less than `least_chance`. So a training whose end is
clear early is not paid for; where early values say little, the forecasts are wide, and all go on.

A paused trial that can no longer go on, whatever comes, ends as pruned, and its checkpoint is removed: the disk space
is bounded by the places that are left. When no new trial is to come, the other paused trials end, too; if none is
complete by then, the best of them is trained to its end first.

All of it follows from the log: `replay` brings the rungs to where its events left them.
"""

import bisect
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hpsearch.experiment.events import AskEvent, Event, OutcomeEvent, ReportEvent
from hpsearch.jobs import AskInfo, Job, Retire
from hpsearch.records import Decision, Outcome, Params
from hpsearch.search.outlook import Chances
from hpsearch.search.sources import TrialSource
from hpsearch.space import Space
from hpsearch.space.pruner_options import Pausing

SPARE = 3
"""How many trials of a rung are kept beyond those that can go on, in case some of those fail."""


@dataclass
class _Trial:
    """A trial that has not ended: it has come to `rungs` rungs, at the last of them with `cost`, and once with `best`.

    It `waits` there; it is `running` while a worker has it.
    """

    number: int
    rungs: int = 0
    cost: float = math.inf
    best: float = math.inf
    evaluation: int = 0
    step: int = 0
    waits: bool = False
    running: bool = False

    @property
    def entry(self) -> tuple[float, int]:
        """Its entry at its last rung."""
        return self.cost, self.number


@dataclass
class _Rung:
    """Who came to a rung and who of them waits there, the best first, by cost and number; how many came in all."""

    ranked: list[tuple[float, int]] = field(default_factory=list)
    waiting: list[tuple[float, int]] = field(default_factory=list)
    arrived: int = 0


class Promotion:
    """The trials of a search, paused and promoted. `trials` asks for new ones and hears of everything."""

    def __init__(self, trials: TrialSource, space: Space, option: Pausing) -> None:
        self._trials = trials
        self._sign = space.objective.goal.sign
        self._most = space.search.trials
        self._at_best = space.objective.at == "best"
        self._option = option
        self._chances = Chances() if option.least_chance else None
        self._going: dict[int, _Trial] = {}
        self._jobs: dict[int, Job] = {}
        self._rungs: list[_Rung] = []
        self._retired: dict[int, None] = {}
        """Who is to end, since it cannot go on any more."""
        self._complete = 0

    @property
    def last_ask(self) -> AskInfo:
        """How the last new trial came about."""
        return self._trials.last_ask

    # What the coordinator asks and says (the Source contract)

    def prepare(self) -> None:
        """Begin to ask for the next new trial."""
        self._trials.prepare()

    def next_job(self) -> Job | Retire | None:
        """Return the end of a trial that cannot go on, or a job: interrupted, promoted, or new."""
        for number in self._retired:
            if not self._going[number].running:
                return Retire(self._jobs[number])
        trial = self._interrupted() or self._promoted()
        if trial is None:
            job = self._trials.next_job()
            if job is None:
                return self._rest()
            trial = self._going[job.number] = _Trial(job.number)
            self._jobs[job.number] = job
        self._go_on(trial)
        trial.running = True
        return self._jobs[trial.number]

    @property
    def interrupted(self) -> bool:
        """Whether an earlier session left a trial between two rungs that has not been handed out."""
        return self._interrupted() is not None

    def _interrupted(self) -> _Trial | None:
        """Return a trial that an earlier session left between two rungs."""
        left = (trial for trial in self._going.values() if not (trial.running or trial.waits))
        return min(left, key=lambda trial: (-trial.evaluation, trial.number), default=None)

    def _promoted(self, reporting: _Trial | None = None) -> _Trial | None:
        """Return the trial that may go on from the highest rung, or None; `reporting` has just come to one."""
        for place in reversed(range(len(self._rungs))):
            if self._option.waits_for_all and not self._is_full(place):
                continue
            rung = self._rungs[place]
            for entry in rung.waiting:
                if not self._may_go_on(place, entry):
                    break
                trial = self._going[entry[1]]
                if (not trial.running or trial is reporting) and self._has_a_chance(trial):
                    return trial
        return None

    def _has_a_chance(self, trial: _Trial) -> bool:
        return self._chances is None or self._chances.of(trial.number) >= self._option.least_chance

    def _is_full(self, place: int) -> bool:
        """Whether nobody else will come to a rung."""
        if not self._trials.closed or any(not each.waits and each.rungs <= place for each in self._going.values()):
            return False
        return not any(
            rung.waiting and self._may_go_on(below, rung.waiting[0]) for below, rung in enumerate(self._rungs[:place])
        )

    def _may_go_on(self, place: int, entry: tuple[float, int]) -> bool:
        """Whether an entry is among the best of a rung; where most go on, the first to come does so at once."""
        rung, reduction = self._rungs[place], self._option.reduction_at(place, self._most)
        places = int(rung.arrived / reduction)
        return bisect.bisect_left(rung.ranked, entry) < (max(places, 1) if reduction < 2 else places)

    def _rest(self) -> Job | Retire | None:
        """Decide on the paused trials when no other is to come and nobody can be promoted."""
        if not self._going or any(trial.running for trial in self._going.values()):
            return None
        highest = max(self._going.values(), key=lambda trial: (trial.rungs, -trial.cost, -trial.number))
        if self._complete:
            self._retired = dict.fromkeys(sorted(self._going))
        else:
            self._go_on(highest)
        return self.next_job()

    def report(self, job: Job, step: int, metric: float, *, final: bool) -> Decision:
        """Enter the metric; pause a trial that has come to a rung, unless it is the next to go on."""
        self._trials.report(job, step, metric, final=final)
        trial = self._going[job.number]
        self._arrive(trial, step, metric, final=final)
        if step == trial.step and trial.waits and not self._interrupted() and self._promoted(trial) is trial:
            self._go_on(trial)
        return Decision.PAUSE if step == trial.step and trial.waits else Decision.CONTINUE

    def paused(self, job: Job) -> None:
        """Take note that no worker has the trial any more."""
        self._going[job.number].running = False

    def withdraw(self, run: str) -> Job | None:
        """Return the job of a trial that no worker has."""
        going = (each for each in self._going.values() if not each.running and self._jobs[each.number].run == run)
        trial = next(going, None)
        return None if trial is None else self._jobs[trial.number]

    def refusal(self, trials: int | None = None) -> str | None:
        """Return a sentence if there is nothing else to try."""
        return self._trials.refusal(trials)

    def add(self, params: Params) -> None:
        """Try a configuration next, on top of the budget."""
        self._most += 1
        self._trials.add(params)

    def extend(self, trials: int) -> None:
        """Go on to so many trials in all, of which more may go on, or fewer."""
        self._most = trials
        self._trials.extend(trials)

    def ended(self, job: Job, outcome: Outcome, value: float | None, reason: str | None) -> None:
        """Let a trial go.

        Raises:
            SearchFailedError: The first trials all failed in the same way.

        """
        self._leave(job.number, outcome, value)
        self._trials.ended(job, outcome, value, reason)

    # What becomes of the rungs, whether it happens or is read from the log

    def replay(self, events: Sequence[Event], *, runs: Mapping[str, int], unfinished: Iterable[Job]) -> None:
        """Bring new rungs to where these events left them.

        `runs` names the trials that fit the space, `unfinished` are the jobs of those that have not ended.
        """
        for event in events:
            if not isinstance(event, AskEvent | ReportEvent | OutcomeEvent) or event.run not in runs:
                continue
            number = runs[event.run]
            if isinstance(event, AskEvent):
                self._going[number] = _Trial(number)
            elif isinstance(event, OutcomeEvent):
                self._leave(number, event.outcome, event.value)
            elif number in self._going:
                self._arrive(self._going[number], event.step, event.metric, final=event.final)
        self._jobs = {job.number: job for job in unfinished}

    def _arrive(self, trial: _Trial, step: int, metric: float, *, final: bool) -> None:
        """Take note of a report, unless it is made again after a resume."""
        if step <= trial.step:
            return
        self._go_on(trial)
        trial.evaluation += 1
        trial.step = step
        cost = -self._sign * metric if math.isfinite(metric) else math.inf
        trial.best = min(trial.best, cost)
        if self._chances is not None:
            self._chances.note(trial.number, trial.best if self._at_best else cost)
        if final or trial.evaluation != self._option.rung(trial.rungs):
            return
        if trial.rungs == len(self._rungs):
            self._rungs.append(_Rung())
        rung = self._rungs[trial.rungs]
        trial.cost = cost
        trial.rungs += 1
        trial.waits = True
        rung.arrived += 1
        bisect.insort(rung.ranked, trial.entry)
        bisect.insort(rung.waiting, trial.entry)
        self._let_go(trial)

    def _go_on(self, trial: _Trial) -> None:
        """Let a trial leave the rung where it waits, if it does."""
        if trial.waits:
            trial.waits = False
            self._rungs[trial.rungs - 1].waiting.remove(trial.entry)
        self._retired.pop(trial.number, None)  # it may have been promoted before the log could tell so

    def _let_go(self, newest: _Trial) -> None:
        """Retire the trial that, since `newest` has come to its rung, is too far behind ever to go on."""
        rung = self._rungs[newest.rungs - 1]
        left = math.prod(self._option.reduction_at(place, self._most) for place in range(newest.rungs))
        places = SPARE + int(self._most / left)
        if len(rung.ranked) <= places:
            return
        out = max(rung.ranked[places], newest.entry)[1]
        trial = self._going.get(out)
        if trial is not None and trial.waits and trial.rungs == newest.rungs:
            self._retired[out] = None

    def _leave(self, number: int, outcome: Outcome, value: float | None) -> None:
        """Take a trial out; one that failed or that a person stopped leaves its place at its rungs to others."""
        trial = self._going.pop(number, None)
        self._complete += outcome is Outcome.COMPLETE
        failed = outcome not in (Outcome.COMPLETE, Outcome.PRUNED)
        if self._chances is not None:
            if failed and outcome is not Outcome.STOPPED:
                self._chances.forget(number)
            else:
                final = value if outcome is Outcome.COMPLETE else None
                self._chances.ended(number, None if final is None else -self._sign * final)
        if trial is None:
            return
        self._go_on(trial)
        if failed:
            for rung in self._rungs[: trial.rungs]:
                rung.ranked = [entry for entry in rung.ranked if entry[1] != number]
