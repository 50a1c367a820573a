"""Racing seeds: who is trained on a further seed, and that all of it follows from the log."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from hpsearch.experiment.events import AskEvent, Event, OutcomeEvent, ReportEvent
from hpsearch.experiment.layout import rerun_run, trial_run
from hpsearch.jobs import Job, Retire
from hpsearch.records import Decision, Outcome, Params
from hpsearch.search.optuna_search import OptunaSearch
from hpsearch.search.promotion import Promotion
from hpsearch.search.race import FIRST, Race, Standings
from hpsearch.search.sources import TrialSource
from hpsearch.space import Space
from hpsearch.space.pruner_options import Pausing
from hpsearch.testing.searching import made_up_space

EPOCHS = 4


def raced(costs: Sequence[Sequence[float]], *, margin: float = 0.0) -> list[tuple[int, int]]:
    """Enter configurations with their costs by seed; return which were trained on which further seeds, in order."""
    standings, order = Standings(len(costs[0]), margin=margin), []
    for number, own in enumerate(costs):
        standings.enter(number, own[0])
        while (due := standings.due()) is not None:
            seed = standings.begin(due)
            assert seed is not None
            order.append((due, seed))
            standings.further(due, costs[due][seed])
    return order


def test_the_trainings_can_be_counted_by_hand() -> None:
    """The first gets all seeds, as it leads; the second is worse; the third falls behind on its second seed."""
    assert raced([[2, 2, 2], [3, 3, 3], [1, 4, 9], [1, 1, 1]]) == [(0, 1), (0, 2), (2, 1), (3, 1), (3, 2)]


def test_who_was_lucky_on_the_first_seed_does_not_stay_the_leader() -> None:
    standings = Standings(3, margin=0)
    costs = {0: [1, 1, 1], 1: [2, 2, 2], 2: [0, 5, 5]}
    for number, own in costs.items():
        standings.enter(number, own[0])
    order = []
    while (due := standings.due()) is not None:
        seed = standings.begin(due)
        assert seed is not None
        order.append((due, seed))
        standings.further(due, costs[due][seed])
    assert order == [(2, 1), (0, 1), (0, 2)]
    assert standings.incumbent is not None
    assert standings.incumbent.number == 0


def test_a_seed_that_is_hard_for_all_throws_nobody_out() -> None:
    """The incumbent's own value on the shared seeds counts, not its mean over all of them."""
    assert raced([[9, 0, 0], [8, 0, 0]]) == [(0, 1), (0, 2), (1, 1), (1, 2)]


def test_the_margin_gives_a_second_chance_to_who_was_unlucky() -> None:
    """Noise of sd 1 in the incumbent alone, so of sqrt(2) in the difference: half of that is .71."""
    costs = [[0.0, 2.0, 1.0], [0.7, 0.0, 0.0], [0.72, 0.0, 0.0]]
    assert raced(costs, margin=0.0) == [(0, 1), (0, 2)]
    assert raced(costs, margin=0.5)[:4] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert (1, 1) not in raced([costs[0], costs[2]], margin=0.5)


def test_one_that_comes_to_nothing_on_a_further_seed_is_out() -> None:
    standings = Standings(3, margin=0)
    standings.enter(0, 1.0)
    assert standings.begin(0) == 1
    assert standings.due() is None  # it is being trained
    standings.further(0, None)
    standings.enter(1, 2.0)
    assert standings.due() == 1


class Folder:
    """A search whose trainings are made up, with the log that the coordinator would write."""

    def __init__(self, space: Space, events: Sequence[Event] = ()) -> None:
        self.space, self.events = space, list(events)
        runs = {event.run: event.number for event in events if isinstance(event, AskEvent) and event.rerun is None}
        params = {event.run: event.params for event in events if isinstance(event, AskEvent)}
        ended = {event.run for event in events if isinstance(event, OutcomeEvent)}
        open_ = [event for event in events if isinstance(event, AskEvent) and event.run not in ended]
        self.brain = OptunaSearch(space, longest=EPOCHS)
        self.brain.replay(events, runs=runs)
        asked = sum(isinstance(event, AskEvent) for event in events)
        trials = TrialSource(self.brain, _job, budget=space.search.trials, asked=asked, following=len(runs))
        source: TrialSource | Promotion = trials
        unfinished = [_job(event.number, event.params) for event in open_ if event.rerun is None]
        pruner = space.search.pruner
        if isinstance(pruner, Pausing):
            source = Promotion(trials, space, pruner)
            source.replay(events, runs=runs, unfinished=unfinished)
        else:
            trials.resume(unfinished)
        self.source = Race(
            source, trials, search=self.brain, space=space, most=3, make_rerun=_rerun, time_spent=lambda: 0.0
        )
        reruns = [_rerun(event.number, event.params, event.rerun) for event in open_ if event.rerun is not None]
        self.source.replay(events, runs=runs, params=params, unfinished=reruns)

    def train(self, *, workers: int = 1) -> None:
        """Train what the source asks for, so many at once."""
        running: dict[str, Job] = {}
        while True:
            while len(running) < workers and (job := self.source.next_job()) is not None:
                if isinstance(job, Retire):
                    self._end(job.job, Outcome.PRUNED, None)
                    continue
                assert isinstance(job, Job)
                running[job.run] = job
                if not any(isinstance(event, AskEvent) and event.run == job.run for event in self.events):
                    info = self.source.last_ask
                    self.events.append(
                        AskEvent(
                            run=job.run,
                            number=job.number,
                            rerun=job.rerun,
                            params=job.params,
                            seed=0,
                            rejected=info.rejected,
                            start=info.start,
                        )
                    )
            if not running:
                return
            job = running.pop(next(iter(running)))
            self._train(job)

    def _train(self, job: Job) -> None:
        known = {event.step for event in self.events if isinstance(event, ReportEvent) and event.run == job.run}
        for step in range(1, EPOCHS + 1):
            if step < max(known, default=0):
                continue
            value, final = _value(job), step == EPOCHS
            if step not in known:
                seconds = {"seconds": 1.0, "metric": value, "value": value}
                self.events.append(ReportEvent(run=job.run, step=step, at=step, final=final, **seconds))
            decision = self.source.report(job, step, value, final=final)
            if decision is Decision.PAUSE:
                self.source.paused(job)
                return
            if decision is Decision.PRUNE:
                self._end(job, Outcome.PRUNED, _value(job))
                return
        diverges = job.rerun == 1 and job.params["model.width"] == 3
        self._end(job, Outcome.DIVERGED if diverges else Outcome.COMPLETE, _value(job))

    def _end(self, job: Job, outcome: Outcome, value: float | None) -> None:
        self.events.append(OutcomeEvent(run=job.run, outcome=outcome, seconds=1.0, value=value))
        self.source.ended(job, outcome, value, None)


def _value(job: Job) -> float:
    """Return the loss: of the configuration and of the seed."""
    x = float(job.params["model.start"])
    seed = 0 if job.rerun is None else job.rerun
    return (x - 0.3) ** 2 + 0.2 * ((x * 1e4 + seed * 3.7) % 1.0)


def _job(number: int, params: Params) -> Job:
    return Job(run=trial_run(number), number=number, params=params, config={}, seeds={})


def _rerun(number: int, params: Params, seed: int) -> Job:
    return replace(_job(number, params), run=rerun_run(number, seed), rerun=seed)


@pytest.fixture
def space(tmp_path: Path) -> Callable[..., Space]:
    def make(**search: object) -> Space:
        return made_up_space(tmp_path, **{"trials": 20, "seeds": {"race": {"most": 3}}, **search})

    return make


@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [("tpe", "none"), ("auto", "none"), ("nsga2", "none"), ("random", "median"), ("random", "auto")],
)
def test_a_search_that_is_taken_up_behind_any_event_goes_on_as_the_unbroken_one(
    sampler: str, pruner: str, space: Callable[..., Space]
) -> None:
    given = space(sampler=sampler, pruner=pruner)
    whole = Folder(given)
    whole.train()
    asks = [event for event in whole.events if isinstance(event, AskEvent)]
    assert len(asks) == 20
    assert 4 <= sum(event.rerun is not None for event in asks) <= 20 * (1 - FIRST)
    for cut in range(0, len(whole.events), 5):
        again = Folder(given, whole.events[:cut])
        again.train()
        assert again.events == whole.events


def test_before_half_of_the_budget_nobody_is_trained_again(space: Callable[..., Space]) -> None:
    whole = Folder(space(sampler="random", pruner="none"))
    whole.train()
    order = [event.rerun for event in whole.events if isinstance(event, AskEvent)]
    assert order[:10] == [None] * 10
    assert order[10] == 1


@pytest.mark.parametrize("pruner", ["none", "median", "auto"])
def test_several_workers_train_every_seed_once_and_keep_the_budget(pruner: str, space: Callable[..., Space]) -> None:
    whole = Folder(space(sampler="tpe", pruner=pruner))
    whole.train(workers=3)
    asks = [event.run for event in whole.events if isinstance(event, AskEvent)]
    assert len(asks) == len(set(asks)) == 20
    assert sum(run.startswith("race/") for run in asks) >= 3
    ended = [event.run for event in whole.events if isinstance(event, OutcomeEvent)]
    assert sorted(ended) == sorted(asks)


def test_the_sampler_is_told_the_mean_and_what_comes_to_nothing_on_some_seed(space: Callable[..., Space]) -> None:
    given = space(sampler="tpe", pruner="none")
    whole = Folder(given)
    whole.train()
    values: dict[int, list[float]] = {}
    fallen: set[int] = set()
    numbers = {event.run: event.number for event in whole.events if isinstance(event, AskEvent)}
    for event in whole.events:
        if isinstance(event, OutcomeEvent):
            assert event.value is not None
            values.setdefault(numbers[event.run], []).append(event.value)
            if event.outcome is Outcome.DIVERGED:
                fallen.add(numbers[event.run])
    told = {trial.number: trial.value for trial in whole.brain._study.get_trials() if trial.value is not None}
    assert any(len(each) == 3 for each in values.values())
    assert sorted(told.values()) == pytest.approx(
        sorted(float("inf") if number in fallen else sum(each) / len(each) for number, each in values.items())
    )
    assert json.dumps(sorted(values)) == json.dumps(list(range(len(values))))


def test_what_a_damaged_line_has_lost_of_a_race_is_no_reason_to_train_anything_twice(
    space: Callable[..., Space],
) -> None:
    """The lost asking takes what follows it along, so that a configuration has a third seed and no second."""
    given = space(sampler="random", pruner="none", seed=5)
    whole = Folder(given)
    whole.train()
    for lost in [event.run for event in whole.events if isinstance(event, AskEvent) and event.rerun == 1]:
        again = Folder(given, [event for event in whole.events if getattr(event, "run", None) != lost])
        again.train()
        ended = [event.run for event in again.events if isinstance(event, OutcomeEvent)]
        assert len(ended) == len(set(ended)), lost
