"""Pruners at work on learning curves that are known: what they save, what they miss, and how soon they are good.

    python -m tests.benchmarks.pruners [seeds] [trials] [report.md] [sampler] [held-back]

Run by `make bench` with few seeds. Searches go through hpsearch's own sampler, pruner and source; only the training is
looked up (curves/problems.py). Each of some workers that are equally fast trains an epoch at a time.
"""

import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import optuna

import hpsearch
from hpsearch.experiment.layout import trial_run
from hpsearch.experiment.provenance import versions
from hpsearch.jobs import Exploit, Job, JobSource, Retire
from hpsearch.records import Decision, Outcome, Params
from hpsearch.running.loading import load_space
from hpsearch.search.optuna_search import OptunaSearch
from hpsearch.search.promotion import Promotion
from hpsearch.search.sources import TrialSource
from hpsearch.space import Space
from hpsearch.space.pruner_options import Pausing
from tests.benchmarks.curves.problems import EPOCHS, Problem, held_back, recorded, simulated

WORKERS = 4
PRUNERS = {
    "none": "none",
    "median": "median",
    "asha, from 1": "{asha: {minimum: 1}}",
    "asha, from 3": "{asha: {minimum: 3}}",
    "hyperband": "hyperband",
    "auto": "auto",
    "halving, from 3": "{halving: {minimum: 3}}",
    "halving, from 3, synchronous": "{halving: {minimum: 3, synchronous: true}}",
}
WITH_TPE = ("none", "median", "asha, from 1", "asha, from 3", "auto")
"""The pruners that are played with TPE, too, whose asks take most of the time."""
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
    trials = TrialSource(search, make_job, budget=space.search.trials, asked=0, following=0)
    pruner = space.search.pruner
    return Promotion(trials, space, pruner) if isinstance(pruner, Pausing) else trials


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


def table(results: Mapping[tuple[str, str, str], Sequence[Result]], *, trials: int) -> list[str]:
    """Return the results as a table in Markdown: a row for each problem, sampler and pruner, and one over the problems.

    `saved`: how many times fewer epochs than all trials at full length have. Regret: 0 is the best configuration of
    all, 1 the median. `to r`: the median epochs until a metric of regret r was seen.
    """
    lines = [
        "| problem | sampler | pruner | saved | regret of the pick | "
        + " | ".join(f"to {t:g}" for t in TARGETS)
        + " |",
        "|---|---|---|---|---|" + "---|" * len(TARGETS),
    ]
    problems = list(dict.fromkeys(problem for problem, _, _ in results))
    for sampler, name in dict.fromkeys((sampler, name) for _, sampler, name in results):
        every = [result for problem in problems for result in results[problem, sampler, name]]
        lines.append(_line("**all**", sampler, name, every, trials))
    for (problem, sampler, name), some in results.items():
        lines.append(_line(problem, sampler, name, some, trials))
    return lines


def _line(problem: str, sampler: str, name: str, some: Sequence[Result], trials: int) -> str:
    saved = trials * EPOCHS / np.mean([result.epochs for result in some])
    reached = [np.median([result.reached[target] for result in some]) for target in TARGETS]
    cells = [f"{saved:.1f}x", f"{np.mean([result.regret for result in some]):.3f}"]
    cells += ["never" if np.isinf(each) else f"{each:.0f}" for each in reached]
    return f"| {problem} | {sampler} | {name} | " + " | ".join(cells) + " |"


def verdicts(results: Mapping[tuple[str, str, str], Sequence[Result]], *, baseline: str) -> list[str]:
    """Compare the regrets of all pruners with those of one, by `hpsearch.compare`: problems are its data sets."""
    lines = ["| sampler | pruner | beside | mean difference | p, adjusted | verdict |", f"|{'---|' * 6}"]
    for sampler in dict.fromkeys(sampler for _, sampler, _ in results):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "regrets.csv"
            with path.open("w", encoding="utf-8") as file:
                file.write("experiment,dataset,seed,regret\n")
                for (problem, each, name), some in results.items():
                    for seed, result in enumerate(some if each == sampler else ()):
                        file.write(f'"{name}","{problem}",{seed},{result.regret!r}\n')
            compared = hpsearch.compare(path, metric="regret", goal="minimize", baseline=baseline, unit="dataset")
        lines += [
            f"| {sampler} | {a.a} | {a.b} | {a.mean_difference:+.3f} | {a.p_adjusted:.3f} | {a.verdict} |"
            for a in compared.pairs
        ]
    return lines


def _where(seconds: float) -> str:
    software = f"hpsearch {versions()['hpsearch']}, Optuna {optuna.__version__}, Python {platform.python_version()}"
    machine = f"{platform.machine()}, {seconds:.0f} s of CPU on one core"
    return f"{software}; {machine}. Epochs are looked up: only these seconds depend on the machine."


def main() -> None:
    """Print the tables, or write them to a file."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    trials = int(sys.argv[2]) if len(sys.argv) > 2 else 64
    began = time.process_time()
    problems = held_back() if sys.argv[5:] else [*recorded(), *simulated()]
    results = {}
    for sampler in sys.argv[4:5] or ("random", "tpe"):
        pruners = {name: PRUNERS[name] for name in (PRUNERS if sampler == "random" else WITH_TPE)}
        results |= rows(problems, samplers=(sampler,), pruners=pruners, trials=trials, seeds=seeds)
    lines = [
        "# Pruners on known learning curves",
        "",
        f"`python -m tests.benchmarks.pruners {' '.join(sys.argv[1:])}`",
        "",
        f"Saved: how many times fewer epochs than {trials} trials at full length have, {EPOCHS} each. Regret: 0 is",
        "the best of all configurations, 1 the median. To a regret: the median epochs until a metric of it was",
        f"seen. {seeds} seeds. The rungs of `auto` were chosen on these problems, so its figures flatter it.",
        "",
        *table(results, trials=trials),
        "",
        "Regrets beside others, by `hpsearch.compare` with the problems as data sets; less is better:",
        "",
        *verdicts(results, baseline="median"),
        *verdicts(results, baseline="none")[2:],
        "",
        _where(time.process_time() - began),
    ]
    if len(sys.argv) > 3:
        Path(sys.argv[3]).write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
