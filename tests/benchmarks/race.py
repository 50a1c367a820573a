"""Racing seeds at work: the true mean of what a search picks, against one seed for each trial and five for each.

    python -m tests.benchmarks.race [repetitions] [trainings] [report.md] [random|tpe]

Run by `make bench` with few repetitions. Searches go through hpsearch's own sampler, source and race; only the training
is looked up (curves/seeds.py) or drawn. All arms have the same number of trainings, and so of epochs.
"""

import math
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import optuna

import hpsearch
from hpsearch.experiment.layout import rerun_run, trial_run
from hpsearch.experiment.provenance import versions
from hpsearch.jobs import Job
from hpsearch.records import Outcome, Params
from hpsearch.running.loading import load_space
from hpsearch.search.optuna_search import OptunaSearch
from hpsearch.search.race import Race
from hpsearch.search.sources import TrialSource
from hpsearch.space import Space
from tests.benchmarks.curves.seeds import GRID, Noisy, recorded

ARMS = {"one seed": (1, False), "race to 3": (3, True), "race to 5": (5, True), "five seeds each": (5, False)}
"""On how many seeds a configuration is trained, and whether only while it may be the best."""
RACES = ("race to 3", "race to 5")
NOISES = (0.03, 0.1, 0.3)
COMMON = 0.5
"""The share of the simulated noise that a seed has in common for all configurations."""
SPACE = """\
family: command
objective: {{metric: cost, goal: minimize}}
search: {{sampler: {sampler}, pruner: none, trials: {trials}, seed: {seed}}}
command: train {coordinates}
metrics: {{pattern: 'epoch (?P<step>\\d+): (?P<cost>\\S+)'}}
model:
{ranges}
"""
Costs = Callable[[Params, int], float]
"""What a configuration comes to on a seed."""


@dataclass(frozen=True)
class Problem:
    """Its ranges as in a space file; the costs that a repetition sees, and the regret of a configuration.

    Regret: 0 is the configuration with the best mean over all seeds, 1 the median one.
    """

    name: str
    ranges: Sequence[str]
    costs: Callable[[int], Costs]
    regret: Callable[[Params], float]


def _numbers(params: Params) -> list[float]:
    return [float(params[name]) for name in sorted(params)]


def looked_up(noisy: Noisy) -> Problem:
    """Return a recorded problem; each repetition sees the recorded seeds in another order."""
    best = noisy.curves.min(axis=2)
    means = best.mean(axis=1)
    low, median = means.min(), float(np.median(means))

    def place(params: Params) -> int:
        return noisy.place(tuple(int(number) for number in _numbers(params)))

    def costs(repetition: int) -> Costs:
        order = np.random.default_rng(repetition).permutation(best.shape[1])
        return lambda params, seed: float(best[place(params), order[seed]])

    ranges = [f"{{int: [0, {size - 1}]}}" for size in GRID]
    return Problem(noisy.name, ranges, costs, lambda params: float((means[place(params)] - low) / (median - low)))


def simulated(noise: float) -> Problem:
    """Return a bowl in four dimensions; its seeds shift all costs by a normal number, and each by one of its own."""

    def truth(params: Params) -> float:
        return math.fsum((number - 0.35) ** 2 for number in _numbers(params))

    def costs(repetition: int) -> Costs:
        def cost(params: Params, seed: int) -> float:
            own = abs(hash(tuple(_numbers(params))))
            shared, alone = (np.random.default_rng([repetition, seed, each]).normal() for each in (0, own))
            return truth(params) + noise * float(COMMON**0.5 * shared + (1 - COMMON) ** 0.5 * alone)

        return cost

    points = np.random.default_rng(0).random((20_000, 4))
    median = float(np.median(((points - 0.35) ** 2).sum(axis=1)))
    return Problem(f"bowl, noise sd {noise:g}", ["{float: [0, 1]}"] * 4, costs, lambda params: truth(params) / median)


def space_of(problem: Problem, folder: Path, *, sampler: str, trials: int, seed: int) -> Space:
    """Return the space of a problem."""
    names = [f"x{place}" for place in range(len(problem.ranges))]
    text = SPACE.format(
        sampler=sampler,
        trials=trials,
        seed=seed,
        coordinates=" ".join(f"{{model.{name}}}" for name in names),
        ranges="\n".join(f"  {name}: {given}" for name, given in zip(names, problem.ranges, strict=True)),
    )
    path = folder / "race.yaml"
    path.write_text(text, encoding="utf-8")
    return load_space(path)


def pick(space: Space, costs: Costs, *, most: int, races: bool) -> Params:
    """Search, and return the parameters of the best; each training is one of the budget."""
    if races:
        space = replace(space, search=type(space.search).model_validate({**_given(space), "seeds": _race(most)}))
    brain = OptunaSearch(space)
    each = 1 if races else most
    trials = TrialSource(brain, _job, budget=space.search.trials // each, asked=0, following=0)
    source = trials if not races else Race(
        trials, trials, search=brain, space=space, most=most, make_rerun=_rerun, time_spent=lambda: 0.0
    )  # fmt: skip
    values: dict[int, list[float]] = {}
    params: dict[int, Params] = {}
    while isinstance(job := source.next_job(), Job):
        params[job.number] = job.params
        seeds = range(each) if job.rerun is None else [job.rerun]
        found = [costs(job.params, seed) for seed in seeds]
        values.setdefault(job.number, []).extend(found)
        source.ended(job, Outcome.COMPLETE, math.fsum(found) / len(found), None)
    full = [number for number, own in values.items() if len(own) == most] or [*values]
    return params[min(full, key=lambda number: math.fsum(values[number]) / len(values[number]))]


def _given(space: Space) -> dict[str, object]:
    return space.search.model_dump(exclude_unset=True)


def _race(most: int) -> dict[str, object]:
    return {"race": {"most": most}}


def _job(number: int, params: Params) -> Job:
    return Job(run=trial_run(number), number=number, params=params, config={}, seeds={})


def _rerun(number: int, params: Params, seed: int) -> Job:
    return replace(_job(number, params), run=rerun_run(number, seed), rerun=seed)


def regrets(problem: Problem, *, sampler: str, repetitions: int, trainings: int) -> dict[str, list[float]]:
    """Return the regrets of every arm's picks; a repetition has the same seeds and the same sampler for all arms."""
    found: dict[str, list[float]] = {arm: [] for arm in ARMS}
    for repetition in range(repetitions):
        with tempfile.TemporaryDirectory() as folder:
            space = space_of(problem, Path(folder), sampler=sampler, trials=trainings, seed=repetition)
        costs = problem.costs(repetition)
        for arm, (most, races) in ARMS.items():
            found[arm].append(problem.regret(pick(space, costs, most=most, races=races)))
    return found


def head(sampler: str) -> list[str]:
    """Return the first lines of a sampler's table."""
    titles = [sampler, *ARMS, *(f"{race} - one seed (95 %)" for race in RACES)]
    return [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]


def row(name: str, arms: Mapping[str, Sequence[float]]) -> str:
    """Return mean regrets, and what `hpsearch.compare` says of each race and one seed, paired by repetition."""
    cells = [f"{np.mean(own):.3f}" for own in arms.values()]
    return f"| {name} | {' | '.join(cells)} | {' | '.join(_beside_one(arms))} |"


def _beside_one(arms: Mapping[str, Sequence[float]]) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "regrets.csv"
        rows = [f"{arm},{seed},{each!r}" for arm in ("one seed", *RACES) for seed, each in enumerate(arms[arm])]
        path.write_text("\n".join(["experiment,seed,regret", *rows]) + "\n", encoding="utf-8")
        compared = hpsearch.compare(path, metric="regret", goal="minimize", baseline="one seed")
    found = {pair.b if pair.a == "one seed" else pair.a: pair for pair in compared.pairs}
    cells = []
    for arm in RACES:
        pair = found[arm]
        sign = 1 if pair.a == arm else -1
        low, high = sorted(sign * each for each in pair.ci95 or (math.nan, math.nan))
        cells.append(f"{sign * pair.mean_difference:+.3f} [{low:+.3f}, {high:+.3f}], {pair.verdict}")
    return cells


def main() -> None:
    """Print the tables, or write them to a file."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    trainings = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    began = time.process_time()
    problems = [*map(looked_up, recorded()), *map(simulated, NOISES)]
    lines: list[str] = []
    for sampler in sys.argv[4:5] or ("random", "tpe"):
        lines += head(sampler)
        for problem in problems:
            found = regrets(problem, sampler=sampler, repetitions=repetitions, trainings=trainings)
            lines.append(row(problem.name, found))
            print(lines[-1], flush=True)
        lines.append("")
    software = f"hpsearch {versions()['hpsearch']}, Optuna {optuna.__version__}, Python {platform.python_version()}"
    lines.append(
        f"{repetitions} repetitions of {trainings} trainings; {software}; {platform.machine()}, "
        f"{time.process_time() - began:.0f} s of CPU on one core."
    )
    print(lines[-1])
    if len(sys.argv) > 3:
        Path(sys.argv[3]).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
