"""Samplers beside Optuna's default TPE: the best of 100 evaluations on functions with known optima, paired by seed.

Run by `make bench` with few seeds; `python tests/benchmarks/samplers.py --seeds 20 --to runs.csv` for the table in
reports/benchmarks/samplers.md. The functions are classical ones, shifted and rotated by the problem's own seed, some of
them over whole numbers, choices and branches; with `coco-experiment` installed those of bbob and bbob-mixint join them.
"""

import argparse
import csv
import math
import platform
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from scipy.stats import binomtest

from hpsearch.records import Outcome
from hpsearch.running.loading import load_space
from hpsearch.search.optuna_search import OptunaSearch
from hpsearch.search.samplers import sampler_row
from hpsearch.space import Space, suggest
from hpsearch.space.search_settings import Search

Values = np.ndarray[Any, np.dtype[np.float64]]
SPACE = """\
family: command
objective: {{metric: loss, goal: minimize}}
search: {{sampler: random, pruner: none, trials: {trials}}}
command: python3 train.py {{config}}
model: {model}
"""
BBOB, MIXED = (4, 5, 9, 11, 14, 17, 19, 22), (2, 6, 9, 10, 12, 17, 20, 23)
"""The functions of coco that are reported: none of those that the sampler was developed with (1, 3, 8, 13, 15, ...)."""


@dataclass(frozen=True)
class Problem:
    """A function of the values of a space's `model`, to be minimized."""

    name: str
    model: str
    function: Callable[[Mapping[str, Any]], float]

    def space(self, folder: Path, *, trials: int) -> Space:
        """Return its space."""
        path = folder / f"{self.name.replace(' ', '-')}.yaml"
        path.write_text(SPACE.format(trials=trials, model=self.model), encoding="utf-8")
        return load_space(path)

    def loss(self, params: Mapping[str, Any]) -> float:
        """Return the loss of a configuration."""
        return self.function({path.removeprefix("model."): value for path, value in params.items()})


def _moved(count: int, seed: int) -> Callable[[Values], Values]:
    """Return a shift of the optimum and a rotation."""
    rng = np.random.default_rng(seed)
    shift, rotation = rng.uniform(-3, 3, count), np.linalg.qr(rng.normal(size=(count, count)))[0]
    return lambda x: rotation @ (x - shift)


def _rosenbrock(x: Values) -> float:
    x = x + 1.0
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def _rastrigin(x: Values) -> float:
    return float((x**2 - 10 * np.cos(2 * np.pi * x) + 10).sum())


def _ackley(x: Values) -> float:
    near = -20 * math.exp(-0.2 * math.sqrt((x**2).mean()))
    return near - math.exp(np.cos(2 * np.pi * x).mean()) + 20 + math.e


def _griewank(x: Values) -> float:
    x = 20 * x
    return float((x**2).sum() / 4000 - np.cos(x / np.sqrt(np.arange(1, len(x) + 1))).prod() + 1)


def _step_ellipsoid(x: Values) -> float:
    return float((10 ** np.linspace(0, 2, len(x)) * np.floor(x + 0.5) ** 2).sum())


_CLASSICAL: Mapping[str, Callable[[Values], float]] = {
    "sphere": lambda x: float((x**2).sum()),
    "rosenbrock": _rosenbrock,
    "rastrigin": _rastrigin,
    "ackley": _ackley,
    "griewank": _griewank,
    "step-ellipsoid": _step_ellipsoid,
}


def _floats(name: str, function: Callable[[Values], float], count: int) -> Problem:
    moved = _moved(count, count)
    model = ", ".join(f"x{index}: {{float: [-5, 5]}}" for index in range(count))
    return Problem(
        f"{name} {count}", f"{{{model}}}", lambda x: function(moved(np.array([x[f"x{i}"] for i in range(count)])))
    )


def _made_up_training() -> Problem:
    """Return a loss as trainings have it: rate, decay, width, depth, batch, dropout, optimizer with branches."""
    model = (
        "{rate: {log: [1e-5, 1]}, decay: {log: [1e-6, 1e-1]}, width: {choice: [32, 64, 128, 256, 512]},"
        " depth: {int: [1, 6]}, batch: {choice: [16, 32, 64, 128]}, dropout: {float: [0, 0.6]},"
        " activation: {choice: [relu, gelu, tanh]}, norm: {choice: [true, false]}}"
    )

    def loss(x: Mapping[str, Any]) -> float:
        capacity = math.log2(x["width"]) + 0.8 * x["depth"]
        best = -2.2 - 0.25 * (capacity - 8) + 0.3 * math.log2(x["batch"] / 32) + (0.4 if x["norm"] else 0)
        off = math.log10(x["rate"]) - best
        slow = 0.12 * off**2 if off < 0 else 0.5 * min(off, 2.0) ** 2
        over = 0.02 * max(capacity - 9, 0) ** 2 * math.exp(-6 * x["dropout"])
        decay = 0.03 * (math.log10(x["decay"]) + 3.5) ** 2
        act = {"relu": 0.02, "gelu": 0.0, "tanh": 0.08}[x["activation"]]
        return slow + over + decay + act + 0.015 * max(9 - capacity, 0) ** 2 + 0.25 * x["dropout"] ** 2

    return Problem("made-up training", model, loss)


def _mixed(name: str, function: Callable[[Values], float], seed: int) -> Problem:
    """Return a function of floats, whole numbers and choices, of which each choice moves the optimum."""
    rng = np.random.default_rng(seed)
    shift, options = rng.uniform(-3, 3, 5), rng.uniform(-3, 3, (4, 5))
    model = (
        "{a: {float: [-5, 5]}, b: {float: [-5, 5]}, c: {int: [-5, 5]}, d: {int: [-5, 5]}, e: {log: [1e-5, 1e5]},"
        " kind: {choice: [p, q, r, s]}}"
    )

    def loss(x: Mapping[str, Any]) -> float:
        point = np.array([x["a"], x["b"], x["c"], x["d"], math.log10(x["e"])])
        index = "pqrs".index(x["kind"])
        return function(0.7 * (point - shift - 0.5 * options[index])) + index

    return Problem(f"mixed {name}", model, loss)


def classical() -> list[Problem]:
    """Return the functions that need nothing installed."""
    floats = [_floats(name, function, count) for name, function in _CLASSICAL.items() for count in (4, 10)]
    mixed = [_mixed(name, _CLASSICAL[name], seed) for seed, name in enumerate(("sphere", "rosenbrock", "ackley"))]
    return [*floats, *mixed, _made_up_training()]


def coco() -> list[Problem]:
    """Return functions of bbob and bbob-mixint, if they are installed."""
    try:
        import cocoex
    except ImportError:
        return []
    found = []
    for suite, functions in (("bbob", BBOB), ("bbob-mixint", MIXED)):
        for number in functions:
            count = 5 if number % 2 else 10
            chosen = f"dimensions:{count} instance_indices:1 function_indices:{number}"
            found.append(_of_coco(f"{suite} f{number} {count}", cocoex.Suite(suite, "", chosen)))
    return found


def _of_coco(name: str, suite: Any) -> Problem:
    problem = suite[0]
    whole = problem.number_of_integer_variables
    bounds = zip(problem.lower_bounds, problem.upper_bounds, strict=True)
    ranges = [
        f"x{i}: {{int: [{int(low)}, {int(high)}]}}" if i < whole else f"x{i}: {{float: [{low}, {high}]}}"
        for i, (low, high) in enumerate(bounds)
    ]
    kept = (suite, problem)  # the problem lives as long as its suite
    return Problem(name, f"{{{', '.join(ranges)}}}", lambda x: float(kept[1]([x[f"x{i}"] for i in range(len(ranges))])))


def best_of_ours(problem: Problem, space: Space, sampler: str, seed: int) -> tuple[float, float]:
    """Search with a sampler of hpsearch; return the best loss and the mean CPU seconds of an ask."""
    sampler_row(sampler)
    chosen = Search(sampler=sampler, pruner="none", trials=space.search.trials, seed=seed)
    search, best, spent = OptunaSearch(replace(space, search=chosen)), math.inf, 0.0
    for number in range(space.search.trials):
        begun = time.process_time()
        params = search.ask(number)
        spent += time.process_time() - begun
        if params is None:
            break
        loss = problem.loss(params)
        search.tell(number, Outcome.COMPLETE, loss)
        best = min(best, loss)
    return best, spent / space.search.trials


def best_of_optuna(problem: Problem, space: Space, seed: int) -> tuple[float, float]:
    """Search with Optuna's default sampler; return the best loss and the mean CPU seconds of an ask."""
    study, spent = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed)), 0.0
    for _ in range(space.search.trials):
        begun = time.process_time()
        trial = study.ask()
        params = suggest(space, trial)
        spent += time.process_time() - begun
        study.tell(trial, problem.loss(params))
    return study.best_value, spent / space.search.trials


def compared(
    problems: Sequence[Problem], samplers: Sequence[str], *, seeds: Sequence[int], trials: int, to: Path | None = None
) -> list[dict[str, Any]]:
    """Return a row for each problem, seed and sampler; Optuna's default is called `optuna`."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        spaces = [problem.space(Path(folder), trials=trials) for problem in problems]
        for seed in seeds:
            for problem, space in zip(problems, spaces, strict=True):
                for sampler in (*samplers, "optuna"):
                    ours = sampler != "optuna"
                    best, ask = (
                        best_of_ours(problem, space, sampler, seed) if ours else best_of_optuna(problem, space, seed)
                    )
                    rows.append({"dataset": problem.name, "seed": seed, "arm": sampler, "loss": best, "ask": ask})
            if to is not None:
                _write(rows, to)
    return rows


def _write(rows: Sequence[Mapping[str, Any]], to: Path) -> None:
    with to.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def show(rows: Sequence[Mapping[str, Any]], sampler: str) -> None:
    """Print wins, losses and ties against Optuna's default for each problem, and the sign test over all."""
    names = list(dict.fromkeys(row["dataset"] for row in rows))
    losses = {(row["dataset"], row["seed"], row["arm"]): row["loss"] for row in rows}
    print(f"| {sampler} against Optuna's default | wins | losses | ties | median | Optuna's median |")
    print("|---|---|---|---|---|---|")
    total = np.zeros(3, dtype=int)
    for name in names:
        seeds = sorted({row["seed"] for row in rows if row["dataset"] == name})
        pairs = np.array([[losses[name, seed, sampler], losses[name, seed, "optuna"]] for seed in seeds])
        gap = pairs[:, 0] - pairs[:, 1]
        count = np.array([(gap < 0).sum(), (gap > 0).sum(), (gap == 0).sum()])
        total += count
        medians = " | ".join(f"{each:.4g}" for each in np.median(pairs, axis=0))
        print(f"| {name} | {' | '.join(map(str, count))} | {medians} |")
    p = binomtest(int(total[0]), int(total[0] + total[1])).pvalue if total[:2].sum() else 1.0
    share = total[0] / total.sum()
    print(f"| all | {' | '.join(map(str, total))} | | |")
    print(f"\nbetter in {share:.0%} of the pairs; sign test p = {p:.2g}")
    for arm in (sampler, "optuna"):
        print(f"CPU of an ask, {arm}: {1000 * np.mean([row['ask'] for row in rows if row['arm'] == arm]):.1f} ms")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--samplers", nargs="+", default=["auto"])
    parser.add_argument("--every", type=int, default=1, help="only each n-th problem")
    parser.add_argument("--to", type=Path, help="a CSV file for the runs")
    chosen = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    problems = [*classical(), *coco()][:: chosen.every]
    versions = ", ".join(f"{name} {version(name)}" for name in ("hpsearch", "optuna", "numpy", "scipy"))
    print(
        f"{chosen.trials} evaluations, {chosen.seeds} seeds; {versions}; {platform.processor() or platform.machine()}\n"
    )
    rows = compared(
        problems,
        chosen.samplers,
        seeds=range(chosen.first, chosen.first + chosen.seeds),
        trials=chosen.trials,
        to=chosen.to,
    )
    for sampler in chosen.samplers:
        show(rows, sampler)


if __name__ == "__main__":
    main()
