"""Pruners at work on learning curves that are known: what they save, what they miss, and how soon they are good.

    python -m tests.benchmarks.pruners [seeds] [trials] [report.md]

Run by `make bench` with few seeds. Searches go through hpsearch's own sampler, pruner and source; only the training is
looked up (curves/problems.py). Each of some workers that are equally fast trains an epoch at a time.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hpsearch.experiment.layout import trial_run
from hpsearch.jobs import Exploit, Job, JobSource, Retire
from hpsearch.records import Decision, Outcome, Params
from hpsearch.running.loading import load_space
from hpsearch.search.optuna_search import OptunaSearch
from hpsearch.search.promotion import Promotion
from hpsearch.search.sources import TrialSource
from hpsearch.space import Space
from hpsearch.space.pruner_options import Halving
from tests.benchmarks.curves.problems import Problem

WORKERS = 4
PRUNERS = {
    "none": "none",
    "median": "median",
    "asha, from 1": "{asha: {minimum: 1}}",
    "asha, from 3": "{asha: {minimum: 3}}",
    "asha, from 4, 1/2": "{asha: {minimum: 4, reduction: 2}}",
    "hyperband": "hyperband",
    "halving, from 2": "{halving: {minimum: 2}}",
    "halving, from 3": "{halving: {minimum: 3}}",
    "halving, from 4": "{halving: {minimum: 4}}",
    "halving, from 3, synchronous": "{halving: {minimum: 3, synchronous: true}}",
}
SPACE = """\
family: command
objective: {{metric: cost, goal: minimize, at: best}}
search: {{sampler: {sampler}, pruner: {pruner}, trials: {trials}, seed: {seed}}}
command: train {coordinates}
metrics: {{pattern: 'epoch (?P<step>\\d+): (?P<cost>\\S+)'}}
model:
{ranges}
"""


@dataclass
class Played:
    """A search that was played: the metric and configuration of each epoch trained, in order, and how trials ended."""

    epochs: list[tuple[int, int, float]] = field(default_factory=list)
    """Trial, epoch of the trial, cost."""
    configurations: dict[int, int] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    values: dict[int, float] = field(default_factory=dict)


def space_of(problem: Problem, folder: Path, *, sampler: str, pruner: str, trials: int, seed: int) -> Space:
    """Return the space of a problem's unit cube."""
    names = [f"x{place}" for place in range(problem.points.shape[1])]
    text = SPACE.format(
        sampler=sampler,
        pruner=pruner,
        trials=trials,
        seed=seed,
        coordinates=" ".join(f"{{model.{name}}}" for name in names),
        ranges="\n".join(f"  {name}: {{float: [0, 1]}}" for name in names),
    )
    path = folder / "curves.yaml"
    path.write_text(text, encoding="utf-8")
    return load_space(path)


def source_of(space: Space, *, longest: int) -> TrialSource | Promotion:
    """Return the source of a search, as a session makes it."""

    def make_job(number: int, params: Params) -> Job:
        return Job(run=trial_run(number), number=number, params=params, config={}, seeds={})

    search = OptunaSearch(space, longest=longest)
    trials = TrialSource(search, make_job, budget=space.search.trials, asked=0)
    pruner = space.search.pruner
    return Promotion(trials, space, pruner) if isinstance(pruner, Halving) else trials


def play(source: JobSource, problem: Problem, *, workers: int, budget: int | None = None) -> Played:
    """Let workers train a source's jobs on a problem's curves, until none is left or so many epochs are trained."""
    played, running = Played(), dict[int, Job]()
    done: dict[int, int] = {}
    while True:
        while len(running) < workers and (job := source.next_job()) is not None:
            assert not isinstance(job, Exploit)
            if isinstance(job, Retire):
                _end(played, source, job.job, Outcome.PRUNED)
                continue
            running[job.number] = job
            if job.number not in played.configurations:
                point = np.array([job.params[name] for name in sorted(job.params)])
                played.configurations[job.number] = problem.nearest(point)
        if not running or (budget is not None and len(played.epochs) >= budget):
            return played
        for number, job in list(running.items()):
            epoch = done[number] = done.get(number, 0) + 1
            cost = float(problem.curves[number % len(problem.curves), played.configurations[number], epoch - 1])
            played.epochs.append((number, epoch, cost))
            if not np.isfinite(cost):
                del running[number]
                _end(played, source, job, Outcome.DIVERGED)
                continue
            played.values[number] = min(cost, played.values.get(number, np.inf))
            decision = source.report(job, epoch, cost, final=epoch == problem.curves.shape[2])
            if decision is Decision.CONTINUE and epoch < problem.curves.shape[2]:
                continue
            del running[number]
            if decision is Decision.PAUSE:
                source.paused(job)
            else:
                _end(played, source, job, Outcome.PRUNED if decision is Decision.PRUNE else Outcome.COMPLETE)


def _end(played: Played, source: JobSource, job: Job, outcome: Outcome) -> None:
    played.outcomes[job.number] = outcome
    source.ended(job, outcome, played.values.get(job.number) if outcome is Outcome.COMPLETE else None, None)


@dataclass(frozen=True)
class Result:
    """What a search came to: the epochs that it trained, the regret of its pick, and the epochs to regrets."""

    epochs: int
    regret: float
    reached: Mapping[float, float]


TARGETS = (0.15, 0.1)


def result_of(played: Played, problem: Problem) -> Result:
    """Judge a search. The pick is the complete trial with the best value, as in hpsearch."""
    truth = problem.truth
    complete = [number for number, outcome in played.outcomes.items() if outcome is Outcome.COMPLETE]
    pick = min(complete, key=lambda number: (played.values[number], number), default=None)
    regret = 2.0 if pick is None else float(truth[played.configurations[pick]])
    best = np.where(np.isfinite(problem.curves), problem.curves, np.inf).min(axis=2)
    low, high = best.mean(axis=0).min(), np.median(best.mean(axis=0))
    so_far = np.minimum.accumulate([cost if np.isfinite(cost) else np.inf for _, _, cost in played.epochs])
    reached = {}
    for target in TARGETS:
        there = np.flatnonzero(so_far <= low + target * (high - low))
        reached[target] = float(there[0] + 1) if len(there) else np.inf
    return Result(len(played.epochs), regret, reached)


def search(problem: Problem, *, sampler: str, pruner: str, trials: int, seed: int, workers: int = WORKERS) -> Result:
    """Play one search on a problem."""
    with tempfile.TemporaryDirectory() as folder:
        space = space_of(problem, Path(folder), sampler=sampler, pruner=pruner, trials=trials, seed=seed)
    source = source_of(space, longest=problem.curves.shape[2])
    return result_of(play(source, problem, workers=workers), problem)


def rows(
    problems: Sequence[Problem], *, samplers: Sequence[str], pruners: Mapping[str, str], trials: int, seeds: int
) -> dict[tuple[str, str, str], list[Result]]:
    """Play every sampler with every pruner on every problem, with as many seeds."""
    return {
        (problem.name, sampler, name): [
            search(problem, sampler=sampler, pruner=pruner, trials=trials, seed=seed) for seed in range(seeds)
        ]
        for problem in problems
        for sampler in samplers
        for name, pruner in pruners.items()
    }
