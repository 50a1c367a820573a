"""Racing seeds: a configuration is trained on a further seed only while it may still be the best.

Every configuration is trained on the first seed. When half of the budget is spent, the one with the best mean is
trained on its next seed, again and again, until one has `most`: it is the incumbent. Another configuration is
trained on its next seed while its mean is not clearly worse than the incumbent's on the seeds that both have, and takes
the incumbent's place when it has them all and the better mean. This is the intensification of SMAC (Hutter et al. 2011,
section 4.1), with the margin of a race (Birattari et al. 2002) in place of "worse at all": one unlucky seed does not
throw a configuration out.

Clearly worse: by more than `MARGIN` standard errors of the mean difference over the shared seeds. The standard
deviation of such differences comes from all configurations that were trained on some further seed.

So "best" means best on average over seeds: the best mean among the configurations that have the most seeds. Pruners
judge trainings on the first seed alone, which all configurations share; who is trained on a further one has come to
its end there, and does so again. The sampler is told the mean.

All of it follows from the log: `replay` brings the race to where its events left it.
"""

import bisect
import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hpsearch.experiment.events import AskEvent, Event, OutcomeEvent
from hpsearch.experiment.layout import RunKind, raced_trial, run_kind
from hpsearch.jobs import AskInfo, Exploit, Job, Retire
from hpsearch.records import Decision, Outcome, Params
from hpsearch.search.promotion import Promotion
from hpsearch.search.sources import Searcher, TrialSource
from hpsearch.space import Space

FIRST = 0.5
"""The share of the budget that goes into configurations alone: who leads before is soon overtaken."""
MARGIN = 0.5
"""How many standard errors a mean may be behind that of the incumbent; see reports/benchmarks/race.md."""
LATEST = 50
"""How many configurations the noise is measured on: those that were trained on a further seed last."""
FEW = 3
"""With fewer degrees of freedom than this the noise is that of the incumbent over its own seeds, too."""


@dataclass
class _Racer:
    """A configuration with its costs on the seeds from the first on; `away` while a worker trains it on the next."""

    number: int
    costs: list[float] = field(default_factory=list)
    away: bool = False

    @property
    def mean(self) -> float:
        return math.fsum(self.costs) / len(self.costs)

    @property
    def entry(self) -> tuple[float, int]:
        return self.mean, self.number


class Standings:
    """Who is trained on a further seed next, by the costs so far; an answer costs the same among any number."""

    def __init__(self, most: int, *, margin: float = MARGIN) -> None:
        self._most = most
        self._margin = margin
        self._racers: dict[int, _Racer] = {}
        self._ranked: list[list[tuple[float, int]]] = [[] for _ in range(most)]
        """By how many seeds they have, less one: mean cost and number of each, the best first."""
        self._latest: deque[_Racer] = deque(maxlen=LATEST)
        self._noise: float | None = None

    def enter(self, number: int, cost: float) -> None:
        """Enter a configuration with its cost on the first seed."""
        racer = self._racers[number] = _Racer(number, [cost])
        bisect.insort(self._ranked[0], racer.entry)

    def begin(self, number: int) -> int | None:
        """Take note that a configuration is trained on its next seed, and return that seed's number, if it races."""
        racer = self._racers.get(number)
        if racer is None or racer.away or len(racer.costs) == self._most:
            return None
        self._ranked[len(racer.costs) - 1].remove(racer.entry)
        racer.away = True
        return len(racer.costs)

    def further(self, number: int, cost: float | None) -> None:
        """Enter the cost on the seed that was begun; None leaves the configuration out from now on."""
        racer = self._racers.get(number)
        if racer is None or not racer.away:
            return
        racer.away = False
        if cost is None:
            del self._racers[number]
            racer.costs.clear()
        else:
            racer.costs.append(cost)
            bisect.insort(self._ranked[len(racer.costs) - 1], racer.entry)
            if len(racer.costs) == 2:
                self._latest.append(racer)
        self._noise = None

    @property
    def incumbent(self) -> _Racer | None:
        """The best of those that have all seeds."""
        full = self._ranked[-1]
        return self._racers[full[0][1]] if full else None

    def due(self) -> int | None:
        """Return who is to be trained on its next seed; None if nobody, or if that one is being trained."""
        incumbent = self.incumbent
        if incumbent is None:
            return self._leader()
        best: tuple[float, int] | None = None
        for count, ranked in enumerate(self._ranked[:-1], start=1):
            if not ranked:
                continue
            mean, number = ranked[0]
            ahead = math.fsum(incumbent.costs[:count]) / count
            bound = mean - ahead - self._margin * self._deviation(incumbent) / math.sqrt(count)
            if bound <= 0 and (best is None or (bound, number) < best):
                best = bound, number
        return None if best is None else best[1]

    def _leader(self) -> int | None:
        """Return the best mean of all while nobody has all seeds, unless it is being trained."""
        waiting = min((ranked[0] for ranked in self._ranked if ranked), default=None)
        away = min((racer.entry for racer in self._racers.values() if racer.away), default=None)
        return None if waiting is None or (away is not None and away < waiting) else waiting[1]

    def _deviation(self, incumbent: _Racer) -> float:
        """Return the standard deviation of the difference between a configuration and the incumbent over seeds."""
        if self._noise is None:
            squares, freedom = 0.0, 0
            for racer in self._latest:
                if racer is not incumbent and len(racer.costs) > 1:
                    apart = [a - b for a, b in zip(racer.costs, incumbent.costs, strict=False)]
                    squares, freedom = squares + _squares(apart), freedom + len(apart) - 1
            if freedom < FEW:
                squares, freedom = squares + 2 * _squares(incumbent.costs), freedom + len(incumbent.costs) - 1
            self._noise = math.sqrt(squares / freedom)
        return self._noise


def _squares(values: Sequence[float]) -> float:
    """Return the sum of squares around the mean."""
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values)


MakeRerun = Callable[[int, Params, int], Job]
"""From a trial's number, its parameters and the number of a further seed to the job."""


class Race:
    """The trainings of a search whose leaders are trained on further seeds; `source` says what is new and goes on.

    A further seed comes before a new trial. It is one of the trainings that `trials` may hand out. `time_spent` is the
    share of the search's time that has passed, if that is limited.
    """

    def __init__(
        self,
        source: TrialSource | Promotion,
        trials: TrialSource,
        *,
        search: Searcher,
        space: Space,
        most: int,
        make_rerun: MakeRerun,
        time_spent: Callable[[], float],
    ) -> None:
        self._source = source
        self._trials = trials
        self._search = search
        self._sign = space.objective.goal.sign
        self._make_rerun = make_rerun
        self._time_spent = time_spent
        self._standings = Standings(most)
        self._params: dict[int, Params] = {}
        self._unfinished: deque[Job] = deque()
        self._new = True

    @property
    def last_ask(self) -> AskInfo:
        """How the last job came about."""
        return self._source.last_ask if self._new else AskInfo()

    def prepare(self) -> None:
        """Begin to ask for the next new trial."""
        self._source.prepare()

    def next_job(self) -> Job | Exploit | Retire | None:
        """Return a training on a further seed, or what the source has."""
        self._new = False
        if self._unfinished:
            return self._unfinished.popleft()
        if (rerun := self._further()) is not None:
            return rerun
        self._new = True
        job = self._source.next_job()
        if job is None and (rerun := self._further()) is not None:  # only now it is known that nothing else is left
            self._new = False
            return rerun
        if isinstance(job, Job):
            self._params[job.number] = job.params
        return job

    def _further(self) -> Job | None:
        """Return the training of a leader on its next seed, if that is due and can be paid."""
        number = self._standings.due() if self._has_begun and not self._source.interrupted else None
        if number is None or not self._trials.spend():
            return None
        seed = self._standings.begin(number)
        assert seed is not None  # noqa: S101 -- ours: due() returned who can begin
        return self._make_rerun(number, self._params[number], seed)

    @property
    def _has_begun(self) -> bool:
        return self._trials.spent >= FIRST or self._trials.closed or self._time_spent() >= FIRST

    def report(self, job: Job, step: int, metric: float, *, final: bool) -> Decision:
        """Enter the metric of a trial; a training on a further seed is compared with nothing before its end."""
        if job.rerun is not None:
            return Decision.CONTINUE
        return self._source.report(job, step, metric, final=final)

    def paused(self, job: Job) -> None:
        """Take note that a trial has come back as the source has asked."""
        self._source.paused(job)

    def withdraw(self, run: str) -> Job | None:
        """Return a trial's job that no worker has."""
        return self._source.withdraw(run)

    def refusal(self, trials: int | None = None) -> str | None:
        """Return why no configuration can be added, or why there cannot be so many trainings."""
        return self._source.refusal(trials)

    def add(self, params: Mapping[str, Any]) -> None:
        """Try a configuration next, on top of the budget."""
        self._source.add(params)

    def extend(self, trials: int) -> None:
        """Go on to so many trainings in all."""
        self._source.extend(trials)

    def ended(self, job: Job, outcome: Outcome, value: float | None, reason: str | None) -> None:
        """Enter an ending: of a trial, or of a training on a further seed.

        Raises:
            SearchFailedError: The first trials all failed in the same way.

        """
        if job.rerun is None:
            self._source.ended(job, outcome, value, reason)
            self._enter(job.number, outcome, value)
        else:
            self._search.further(job.number, outcome, value)
            self._standings.further(job.number, self._cost(outcome, value))

    def _enter(self, number: int, outcome: Outcome, value: float | None) -> None:
        if (cost := self._cost(outcome, value)) is not None:
            self._standings.enter(number, cost)

    def _cost(self, outcome: Outcome, value: float | None) -> float | None:
        if outcome is not Outcome.COMPLETE or value is None or not math.isfinite(value):
            return None
        return -self._sign * value

    def replay(
        self,
        events: Iterable[Event],
        *,
        runs: Mapping[str, int],
        params: Mapping[str, Params],
        unfinished: Iterable[Job],
    ) -> None:
        """Bring a new race to where these events left it.

        `runs` names the trials that fit the space and `params` has their parameters; `unfinished` are the trainings on
        further seeds that have not ended.
        """
        self._params = {runs[run]: params[run] for run in runs}
        for event in events:
            if not isinstance(event, AskEvent | OutcomeEvent):
                continue
            if run_kind(event.run) is RunKind.RERUN:
                if (trial := raced_trial(event.run) or "") in runs:
                    self._replay_rerun(runs[trial], event)
            elif isinstance(event, OutcomeEvent) and event.run in runs:
                self._enter(runs[event.run], event.outcome, event.value)
        self._unfinished.extend(unfinished)

    def _replay_rerun(self, number: int, event: AskEvent | OutcomeEvent) -> None:
        if isinstance(event, AskEvent):
            seed = self._standings.begin(number)
            if seed not in (None, event.rerun):  # of a damaged log: its seeds are no pairs any more
                self._standings.further(number, None)
        else:
            self._standings.further(number, self._cost(event.outcome, event.value))
