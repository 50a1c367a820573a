"""Many trainings: what they come to is what a count of all would give, and an event costs the same among many."""

import random
from collections import Counter

import pytest

from hpsearch.console.search_state import SearchState, SearchTarget
from hpsearch.console.trainings import Tally, Training
from hpsearch.experiment.events import (
    AddEvent,
    AskEvent,
    BeginEvent,
    BudgetEvent,
    Event,
    OutcomeEvent,
    PauseEvent,
    ReportEvent,
    ResumeEvent,
    SessionEvent,
)
from hpsearch.experiment.layout import RunKind, trial_run
from hpsearch.experiment.state import RunState
from hpsearch.records import Goal, Outcome
from tests.counting import instructions


def ended(number: int, outcome: Outcome | None, value: float | None = None) -> Training:
    told = RunState(trial_run(number), RunKind.TRIAL, number=number, outcome=outcome, value=value, seconds=number / 4)
    return Training(told, heard=0.0)


@pytest.mark.parametrize("goal", Goal)
def test_a_tally_is_what_a_count_of_all_would_give(goal: Goal) -> None:
    generator, tally, known = random.Random(1), Tally(goal), {}
    values = (None, float("nan"), 0.1, 0.2, 0.3)
    for _ in range(2000):
        number = generator.randrange(12)
        training = ended(number, generator.choice([None, *Outcome]), generator.choice(values))
        if generator.random() < 0.2:
            tally.drop(training)
            known.pop(number, None)
        else:
            tally.take(training)
            known[number] = training
        over = [each for each in known.values() if each.outcome is not None]
        assert (len(tally), tally.finished) == (len(known), len(over))
        assert tally.counts == Counter(each.outcome for each in over)
        assert set(tally.unfinished) == {each.run for each in known.values() if each.outcome is None}
        assert tally.mean_seconds == (sum(each.seconds for each in over) / len(over) if over else None)
        good = [each for each in over if each.outcome is Outcome.COMPLETE and (each.score or 0.0) > 0]
        best = min(good, key=lambda each: (-goal.sign * (each.score or 0.0), each.number), default=None)
        assert tally.best is best


def events_of(number: int) -> list[Event]:
    run, value = trial_run(number), 1 / (number + 1)
    return [
        AskEvent(run=run, number=number, params={"rate": value}, seed=number),
        BeginEvent(run=run, attempt=1),
        ReportEvent(run=run, step=1, metric=value, value=value, at=1, seconds=1.0),
        OutcomeEvent(run=run, outcome=Outcome.COMPLETE, seconds=1.0, value=value, step=1),
    ]


def test_an_event_and_the_state_cost_the_same_among_many() -> None:
    search, costs = SearchState(SearchTarget("loss", Goal.MINIMIZE, budget=1000)), []
    for number in range(400):

        def follow(number: int = number) -> None:
            for event in events_of(number):
                search.follow(event)
            assert search.counts
            assert search.finished <= search.goal_count
            assert search.best
            assert search.remaining

        costs.append(instructions(follow) if number in (20, 399) else follow() or 0)
    assert costs[399] < 1.2 * costs[20]  # a cache that fills once may be in either


def test_a_search_gets_no_older_while_a_person_lets_it_rest_and_has_the_trials_that_people_want() -> None:
    now = [100.0]
    search = SearchState(SearchTarget("loss", Goal.MINIMIZE, budget=10), clock=lambda: now[0])
    search.follow(SessionEvent(elapsed=0.0))
    now[0] += 5
    search.follow(PauseEvent(order="a", elapsed=5.0))
    now[0] += 1000
    assert search.elapsed == 5
    search.follow(ResumeEvent(order="b", elapsed=5.0))
    now[0] += 1
    assert search.elapsed == 6
    search.follow(BudgetEvent(order="c", trials=20, instead={"trials": 10}))
    search.follow(AddEvent(order="d", params={"rate": 1.0}))
    assert search.goal_count == 21
