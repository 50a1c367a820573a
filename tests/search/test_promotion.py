"""Halving that pauses: the best of a rung go on, nothing is trained twice, and a kill changes nothing."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from hpsearch.experiment.layout import BEST, CHECKPOINT
from hpsearch.experiment.reading import read_metrics
from hpsearch.jobs import Job, Retire
from hpsearch.records import Outcome
from hpsearch.search.promotion import SPARE, Promotion
from tests.benchmarks.curves.problems import Problem, simulated
from tests.benchmarks.pruners import Played, play, source_of, space_of
from tests.running.populations import Camp

CROSSING = next(problem for problem in simulated() if problem.name == "crossing")
DIVERGING = next(problem for problem in simulated() if problem.name == "diverging")


def levels(costs: Callable[[int], float], *, trials: int, epochs: int) -> Problem:
    """Return a problem whose trial `n` reports `costs(n)` all along, whatever its configuration."""
    curves = np.array([[[costs(number)] * epochs] for number in range(trials)])
    return Problem("levels", np.full((1, 2), 0.5), curves)


def searched(
    problem: Problem, folder: Path, options: str, *, trials: int = 30, workers: int = 3, sampler: str = "random"
) -> Played:
    space = space_of(problem, folder, sampler=sampler, pruner=f"{{halving: {options}}}", trials=trials, seed=1)
    return play(source_of(space, longest=problem.curves.shape[2]), problem, workers=workers)


@pytest.mark.parametrize("problem", [CROSSING, DIVERGING], ids=lambda problem: problem.name)
@pytest.mark.parametrize("workers", [1, 4])
def test_nothing_is_trained_twice_and_everybody_ends(problem: Problem, workers: int, tmp_path: Path) -> None:
    played = searched(problem, tmp_path, "{minimum: 2}", workers=workers)
    assert set(Counter((number, epoch) for number, epoch, _ in played.epochs).values()) == {1}
    lengths = Counter(number for number, _, _ in played.epochs)
    assert set(played.outcomes) == set(range(30))
    for number, outcome in played.outcomes.items():
        assert outcome is not Outcome.COMPLETE or lengths[number] == 40
        assert outcome is not Outcome.PRUNED or lengths[number] in (2, 6, 18)
    assert set(played.outcomes.values()) >= {Outcome.COMPLETE, Outcome.PRUNED}


@pytest.mark.parametrize("workers", [1, 4])
def test_who_goes_on_is_among_the_best_third_so_far(workers: int, tmp_path: Path) -> None:
    played = searched(CROSSING, tmp_path, "{minimum: 2}", workers=workers)
    came: dict[int, list[float]] = defaultdict(list)
    at_rung: dict[tuple[int, int], float] = {}
    for number, epoch, cost in played.epochs:
        if epoch - 1 in (2, 6, 18):
            arrived = sorted(came[epoch - 1])
            assert at_rung[number, epoch - 1] <= arrived[max(len(arrived) // 3, 1) - 1]
        if epoch in (2, 6, 18):
            came[epoch].append(cost)
            at_rung[number, epoch] = cost
    assert len(came[2]) == 30
    assert len(came[6]) >= 10


def test_the_last_to_begin_can_win(tmp_path: Path) -> None:
    played = searched(levels(lambda number: -number, trials=30, epochs=9), tmp_path, "{minimum: 1}")
    assert played.outcomes[29] is Outcome.COMPLETE


def test_one_that_was_paused_among_few_goes_on_among_many(tmp_path: Path) -> None:
    """Among the first three the second best waits; when six have come, it is one of the best two."""
    played = searched(levels(float, trials=6, epochs=3), tmp_path, "{minimum: 1}", trials=6, workers=1)
    order = [number for number, _, _ in played.epochs]
    assert order == [0, 1, 2, 0, 0, 3, 4, 5, 1, 1]
    assert played.outcomes[0] is played.outcomes[1] is Outcome.COMPLETE


def test_synchronous_promotes_exactly_the_best(tmp_path: Path) -> None:
    costs = [float((number * 11) % 27) for number in range(27)]
    played = searched(
        levels(costs.__getitem__, trials=27, epochs=20), tmp_path, "{minimum: 1, synchronous: true}", trials=27
    )
    lengths = Counter(number for number, _, _ in played.epochs)
    assert sorted(costs[number] for number in lengths if lengths[number] > 1) == list(range(9))
    assert sorted(costs[number] for number in lengths if lengths[number] > 3) == [0.0, 1.0, 2.0]
    assert [costs[number] for number in lengths if lengths[number] == 20] == [0.0]


def test_few_trials_still_come_to_a_result(tmp_path: Path) -> None:
    for options in ("{minimum: 1}", "{minimum: 1, synchronous: true}"):
        played = searched(levels(float, trials=2, epochs=9), tmp_path, options, trials=2)
        assert played.outcomes == {0: Outcome.COMPLETE, 1: Outcome.PRUNED}


def test_auto_has_a_result_soon(tmp_path: Path) -> None:
    """The first to leave the first rung goes to the end at once; the others have to be among the best."""
    problem = levels(float, trials=30, epochs=40)
    space = space_of(problem, tmp_path, sampler="random", pruner="auto", trials=30, seed=1)
    played = play(source_of(space, longest=40), problem, workers=1)
    assert [number for number, _, _ in played.epochs][:46] == [0] * 3 + [1] * 3 + [2] * 3 + [0] * 37
    lengths = Counter(number for number, _, _ in played.epochs)
    assert [lengths[number] > 3 for number in range(30)] == [number < 12 for number in range(30)]
    assert set(lengths.values()) == {3, 6, 12, 24, 40}


def test_when_the_best_fail_others_take_their_places(tmp_path: Path) -> None:
    curves = np.array([[[float(number)] * 9] for number in range(12)])
    curves[:3, :, 5:] = math.nan  # the three best come apart at the sixth epoch
    problem = Problem("failing", np.full((1, 2), 0.5), curves)
    played = searched(problem, tmp_path, "{minimum: 1, synchronous: true}", trials=12)
    assert Outcome.COMPLETE in played.outcomes.values()
    assert [played.outcomes[number] for number in range(2)] == [Outcome.DIVERGED] * 2


@pytest.mark.parametrize("workers", [1, 4])
def test_no_more_are_kept_than_could_still_go_on(workers: int, tmp_path: Path) -> None:
    space = space_of(
        CROSSING, tmp_path, sampler="random", pruner="{halving: {minimum: 1, reduction: 4}}", trials=100, seed=0
    )
    source = source_of(space, longest=40)
    assert isinstance(source, Promotion)
    most, begun = [0], set[int]()
    ask = source.next_job

    def counted() -> Job | Retire | None:
        job = ask()
        if isinstance(job, Job):
            begun.add(job.number)
            most.append(len(begun) - len(played_ends))
        return job

    played_ends: set[int] = set()
    ended = source.ended

    def ending(job: Job, *rest: Any) -> None:
        played_ends.add(job.number)
        ended(job, *rest)

    source.next_job, source.ended = counted, ending  # type: ignore[method-assign]
    play(source, CROSSING, workers=workers)
    places = 100 // 4 + 100 // 16 + 100 // 64 + 3 * SPARE
    assert 20 <= max(most) <= places + 2 * workers


def test_the_sampler_learns_from_the_paused_and_hears_how_they_end(tmp_path: Path) -> None:
    space = space_of(CROSSING, tmp_path, sampler="tpe", pruner="{halving: {minimum: 2}}", trials=9, seed=0)
    source = source_of(space, longest=40)
    played = play(source, CROSSING, workers=2)
    trials = source._trials._search._study.get_trials(deepcopy=False)  # type: ignore[union-attr]  # what samplers see
    for number, outcome in played.outcomes.items():
        frozen = trials[number]
        if outcome is Outcome.COMPLETE:
            assert frozen.state is optuna.trial.TrialState.COMPLETE
            assert frozen.value == played.values[number]
        else:
            rung = max(epoch for each, epoch, _ in played.epochs if each == number)
            assert frozen.state is optuna.trial.TrialState.PRUNED
            assert frozen.last_step == rung
            assert frozen.value == frozen.intermediate_values[rung]
            assert frozen.value == next(cost for each, epoch, cost in played.epochs if (each, epoch) == (number, rung))


RATES = "{first: {float: [0, 1]}, second: {float: [0, 1]}}"


HALVING = "{halving: {minimum: 1, reduction: 2}}"


def hill(folder: Path, *, workers: int = 1, pruner: str = HALVING) -> Camp:
    return Camp(folder, pruner=pruner, trials=7, workers=workers, climb="{steps: 6}", rates=RATES)


def essence(camp: Camp) -> list[Any]:
    kept = [sorted(path.name for path in (camp.folder / trial.run).iterdir()) for trial in camp.record.trials]
    return [
        (replace(trial, attempts=0), read_metrics(camp.folder, trial.run), files)
        for trial, files in zip(camp.record.trials, kept, strict=True)
    ]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Camp:
    camp = hill(tmp_path_factory.mktemp("hill"))
    camp.run()
    return camp


def test_only_who_came_to_the_end_keeps_a_checkpoint(unbroken: Camp) -> None:
    outcomes = {trial.run: trial.outcome for trial in unbroken.record.trials}
    assert Counter(outcomes.values()) == {Outcome.COMPLETE: 1, Outcome.PRUNED: 6}
    for run, outcome in outcomes.items():
        for name in (CHECKPOINT, BEST):
            assert (unbroken.folder / run / name).exists() == (outcome is Outcome.COMPLETE)


def check_killed(unbroken: Camp, folder: Path, event: int, *, pruner: str = HALVING) -> None:
    camp = hill(folder, pruner=pruner)
    camp.run_until(event=event)
    camp.run()
    assert essence(camp) == essence(unbroken), event
    reports = [line for line in camp.events if line["event"] == "report"]
    assert len({(line["run"], line["step"]) for line in reports}) == len(reports)


@pytest.mark.parametrize("part", [0.3, 0.6, 0.8])
def test_a_killed_search_is_the_same_as_an_unbroken_one(unbroken: Camp, part: float, tmp_path: Path) -> None:
    check_killed(unbroken, tmp_path, int(part * len(unbroken.events)))


def test_a_killed_search_asks_for_the_same_chances(tmp_path: Path) -> None:
    camp = hill(tmp_path / "unbroken", pruner="auto")
    camp.run()
    check_killed(camp, tmp_path / "killed", int(0.8 * len(camp.events)), pruner="auto")


def test_who_will_hardly_become_the_best_does_not_go_on(tmp_path: Path) -> None:
    """Curves are parallel lines: three complete trials tell where the others end, so nobody goes on for a while."""
    starts = 100.0 * np.random.default_rng(0).permutation(40)
    problem = levels(starts.__getitem__, trials=40, epochs=40)
    space = space_of(problem, tmp_path, sampler="random", pruner="auto", trials=40, seed=1)
    played = play(source_of(space, longest=40), problem, workers=1)
    lengths = Counter(number for number, _, _ in played.epochs)
    assert set(lengths.values()) == {3, 40}
    assert played.outcomes[int(starts.argmin())] is Outcome.COMPLETE


@pytest.mark.slow
def test_killed_behind_any_event(unbroken: Camp, tmp_path: Path) -> None:
    for event in range(2, len(unbroken.events)):
        check_killed(unbroken, tmp_path / str(event), event)


def test_several_processes_come_to_a_result(tmp_path: Path) -> None:
    camp = hill(tmp_path, workers=2, pruner="{halving: {minimum: 2, reduction: 2, synchronous: true}}")
    record = camp.run(in_process=False)
    lengths = sorted(len(trial.history) for trial in record.trials)
    assert lengths == [2, 2, 2, 2, 4, 4, 6]
    assert all(trial.outcome for trial in record.trials)
