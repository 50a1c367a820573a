"""How often the referee is wrong, what it finds and what that costs: tables for reports/benchmarks/referee.md.

Run by `make bench` in a small form, by `make bench BENCH=full`, or alone: `python -m tests.benchmarks.referee full`.
The first table holds made-up challenges by a challenger that is equal to the champion, looked at after each pair. The
last holds campaigns of 100 challenges, which hpsearch itself plans, decides and counts: only the trainings are made up.
The noise of each is that of a recorded one (the standard deviations over seeds in reports/*/compare.json, over their
report's mean), so that it differs between configurations.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy
from scipy import special

from hpsearch.comparing.statistics.evidence import Assumption
from hpsearch.comparing.statistics.online import Budget, Method
from hpsearch.comparing.statistics.sequential import Noise, Plan, ends, power
from hpsearch.records import Goal, Outcome
from hpsearch.referee.answer import quoted
from hpsearch.referee.challenge import decide
from hpsearch.referee.ledger import Contender, Decision, Terms, Title, Trained
from hpsearch.referee.rules import planned

Array = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]
MOST = 20
REPORTS = Path(__file__).parents[2] / "reports"
RECORDED = ("char_lm", "decode", "deepsif", "relative_vit", "text_classifier")
"""The reports whose noise is taken: those of the committed studies."""


def _between_equals(draw: Draw) -> Draw:
    """Return the differences of two trainings that are equal but for their seeds: symmetric, whatever the noise."""
    return lambda generator, size: draw(generator, size) - draw(generator, size)


def _log_normal(generator: np.random.Generator, size: tuple[int, ...]) -> Array:
    return np.asarray(generator.lognormal(size=size))


EQUALS: dict[str, Draw] = {
    "normal": lambda generator, size: generator.normal(size=size),
    "skewed: log-normal scores": _between_equals(_log_normal),
    "very skewed: sd of the log 2": _between_equals(lambda generator, size: generator.lognormal(0, 2, size)),
    "heavy: t with 3 df": lambda generator, size: generator.standard_t(3, size),
    "heavy: t with 2 df": lambda generator, size: generator.standard_t(2, size),
    "heavy: Cauchy": lambda generator, size: generator.standard_cauchy(size),
    "light: uniform scores": _between_equals(lambda generator, size: generator.uniform(size=size)),
    "ties: two scores only": _between_equals(lambda generator, size: 1.0 * generator.integers(0, 2, size)),
    "one in ten collapses": _between_equals(
        lambda generator, size: generator.normal(size=size) - 30.0 * (generator.random(size) < 0.1)
    ),
}
"""By name: differences of a challenger that is equal to the champion."""
UNEQUAL: dict[str, Draw] = {
    "mean 0, skewed to the right": lambda generator, size: _log_normal(generator, size) - np.exp(0.5),
    "mean 0, skewed to the left": lambda generator, size: np.exp(0.5) - _log_normal(generator, size),
    "mean 0, sd of the challenger 3 times the champion's": lambda generator, size: (
        3 * generator.normal(size=size) - generator.normal(size=size)
    ),
}
"""By name: differences with mean 0 of a challenger that differs from the champion in its noise."""
LEVELS = (0.05, 0.005, 0.0005)


def false_acceptances(draw: Draw, level: float, assumes: Assumption, rows: int, *, seed: int = 0) -> float:
    """Return how often a challenge of 20 pairs is accepted, nothing given up."""
    plan = Plan(level=level, goal=Goal.MAXIMIZE, most=MOST, give_up=0.0, assumes=assumes)
    return float(np.mean(ends(plan, draw(np.random.default_rng(seed), (rows, MOST))).accepted))


def error_table(rows: int) -> Iterator[str]:
    """Yield the table of false acceptances, as shares of the level."""
    yield f"| differences | {' | '.join(f'{each}, level {level:g}' for each in Assumption for level in LEVELS)} |"
    yield "|---" * (1 + len(Assumption) * len(LEVELS)) + "|"
    for name, draw in (EQUALS | UNEQUAL).items():
        found = []
        for assumes in Assumption:
            for level in LEVELS:
                count = rows if assumes is Assumption.NORMAL else max(rows // 4, 1)
                found.append(f"{false_acceptances(draw, level, assumes, count) / level:.2f}")
        yield f"| {name} | {' | '.join(found)} |"


def power_table() -> Iterator[str]:
    """Yield what a plan finds and what it takes, for improvements in standard deviations over seeds."""
    effects = (-2.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    yield f"| level | most pairs | {' | '.join(f'{effect:g} sd' for effect in effects)} |"
    yield "|---" * (2 + len(effects)) + "|"
    for level in LEVELS:
        for most in (5, 10, 20):
            plan = Plan(level=level, goal=Goal.MAXIMIZE, most=most, noise=Noise(1.0, 10.0))
            found = [power(plan, effect) for effect in effects]
            yield (
                f"| {level:g} | {most} | "
                + " | ".join(f"{each.accepted:.2f} ({each.pairs:.1f})" for each in found)
                + " |"
            )


# Campaigns. All arrays have one row for each campaign; scores are in the mean standard deviation over seeds.

CHALLENGES = 100
LARGE, SMALL = 5.0, 1.0
WORTH = 4.0
"""The improvement that a plan may name, so that less is given up earlier."""
CHALLENGE_MOST = 12
SHARES = {0.0: 0.90, SMALL: 0.07, LARGE: 0.03}
"""Of challenges by their true improvement."""
MEASURED = 5
"""Fresh seeds of a new champion, and seeds of a fixed plan."""


def recorded_noise() -> Array:
    """Return the standard deviations of trained arms over seeds, each over its report's mean."""
    found: list[float] = []
    for name in RECORDED:
        told = json.loads((REPORTS / name / "compare.json").read_text(encoding="utf-8"))
        spreads = [each["sd"] for each in told["experiments"] if each["sd"]]
        found += [each / float(np.mean(spreads)) for each in spreads]
    return np.array(found)


NOISES: dict[str, Draw] = {
    "normal": lambda generator, size: generator.normal(size=size),
    "heavy tails (t with 3 df)": lambda generator, size: generator.standard_t(3, size) / 3**0.5,
    "skewed, bad seeds (log-normal, sd of the log 0.5)": lambda generator, size: (
        (np.exp(0.125) - generator.lognormal(0, 0.5, size)) / (np.exp(0.25) * (np.exp(0.25) - 1)) ** 0.5
    ),
}
"""By name: what seeds add to scores, with mean 0 and standard deviation 1; larger is better."""


@dataclass
class World:
    """The truth: the improvement of each challenge over the champion it meets, and its noise."""

    effects: Array
    spreads: Array
    noise: Draw
    generator: np.random.Generator

    def train(self, true: Array, spread: Array, seeds: int) -> Array:
        """Return scores, a column for each seed."""
        return np.asarray(true[:, None] + spread[:, None] * self.noise(self.generator, (len(true), seeds)))


def world(campaigns: int, noise: str, *, seed: int = 0) -> World:
    """Return the truth of campaigns whose true improvements and noises are drawn."""
    generator = np.random.default_rng(seed)
    effects = generator.choice(list(SHARES), p=list(SHARES.values()), size=(campaigns, CHALLENGES))
    spreads = generator.choice(recorded_noise(), size=(campaigns, CHALLENGES + 1))
    return World(effects, spreads, NOISES[noise], generator)


@dataclass
class Campaigns:
    """What a rule did: for each campaign and challenge whether it won; trainings; the quoted and the true score."""

    won: npt.NDArray[np.bool_]
    trainings: Array
    quoted: Array
    low: Array
    high: Array
    true: Array
    quotes: list[tuple[Array, Array, Array]] = field(default_factory=list)
    """Of the champions when they were measured: the quoted score and the ends of its interval, minus the true score."""


def greedy(truth: World) -> Campaigns:
    """Train each challenge once and keep it if its score is the best so far."""
    true = np.zeros(len(truth.effects))
    best = truth.train(true, truth.spreads[:, 0], 1)[:, 0]
    won = np.zeros(truth.effects.shape, dtype=bool)
    for number in range(CHALLENGES):
        score = truth.train(true + truth.effects[:, number], truth.spreads[:, number + 1], 1)[:, 0]
        won[:, number] = score > best
        true = np.where(won[:, number], true + truth.effects[:, number], true)
        best = np.maximum(best, score)
    none = np.full(len(best), np.nan)
    return Campaigns(won, np.full(len(best), CHALLENGES + 1.0), best, none, none, true)


def _interval(scores: Array) -> tuple[Array, Array]:
    error = np.std(scores, axis=1, ddof=1) / scores.shape[1] ** 0.5
    half = float(special.stdtrit(scores.shape[1] - 1, 0.975)) * error
    mean = scores.mean(axis=1)
    return mean - half, mean + half


def fixed_seeds(truth: World) -> Campaigns:
    """Train each challenge with five seeds; keep it and its scores if a paired t test says so: two-sided, 0.05."""
    true = np.zeros(len(truth.effects))
    scores = truth.train(true, truth.spreads[:, 0], MEASURED)
    won = np.zeros(truth.effects.shape, dtype=bool)
    critical = float(special.stdtrit(MEASURED - 1, 0.975))
    for number in range(CHALLENGES):
        own = truth.train(true + truth.effects[:, number], truth.spreads[:, number + 1], MEASURED)
        difference = own - scores
        statistic = difference.mean(axis=1) / (np.std(difference, axis=1, ddof=1) / MEASURED**0.5)
        won[:, number] = statistic > critical
        true = np.where(won[:, number], true + truth.effects[:, number], true)
        scores = np.where(won[:, number, None], own, scores)
    return Campaigns(
        won, np.full(len(true), MEASURED * (CHALLENGES + 1.0)), scores.mean(axis=1), *_interval(scores), true
    )


class _Campaign:
    """A title in memory, with made-up trainings: all else, from the level to the verdict, is hpsearch's own."""

    def __init__(self, truth: World, row: int, budget: Budget, most: int) -> None:
        self._truth, self._row = truth, row
        self._true, self._spread = [0.0], [float(truth.spreads[row, 0])]
        terms = Terms(
            name="made up", metric="score", goal=Goal.MAXIMIZE, margin=0.0, rate=budget.rate, method=budget.method,
            expected=budget.expected, most=most, measured=MEASURED, seed=row,
        )  # fmt: skip
        self.title = Title(Path(), terms)
        self._enter()
        self._measure()

    def _enter(self) -> None:
        k = len(self.title.contenders)
        self.title.follow(
            Contender(number=k, identity=f"{k}", snapshot="", home=".", file=None, text="", family="", config={})
        )

    def _measure(self) -> None:
        for seed in range(MEASURED):
            self._train(self.title.champion, seed)

    def _train(self, contender: Contender, seed: int) -> Trained:
        key = (contender.number, self.title.reign.number, seed)
        if key not in self.title.trained:
            noise = float(self._truth.noise(self._truth.generator, ()))
            value = self._true[contender.number] + self._spread[contender.number] * noise
            contender_number, reign, _ = key
            self.title.follow(
                Trained(contender=contender_number, reign=reign, seed=seed, outcome=Outcome.COMPLETE, value=value)
            )
        return self.title.trained[key]

    def challenge(self, number: int, worth: float | None) -> None:
        """Let the next contender challenge the champion."""
        champion = self.title.champion.number
        self._true.append(self._true[champion] + float(self._truth.effects[self._row, number]))
        self._spread.append(float(self._truth.spreads[self._row, number + 1]))
        self._enter()
        opened = planned(self.title, number + 1, worth=worth)
        self.title.follow(opened)
        self.title.follow(decide(self.title, opened, self._train, lambda _: None))
        self._measure()

    @property
    def true(self) -> float:
        """The present champion's true score."""
        return self._true[self.title.reign.champion]

    @property
    def won(self) -> list[bool]:
        """Whether each challenge won the title."""
        return [verdict.decision is Decision.ACCEPTED for verdict in self.title.verdicts.values()]

    def quotes(self) -> Iterator[tuple[float, float, float, float]]:
        """Yield of each reign the quoted score, the ends of its interval, and the true score."""
        for reign in self.title.reigns:
            found = quoted(self.title, reign)
            assert found.mean is not None
            assert found.interval is not None
            yield found.mean, *found.interval, self._true[reign.champion]


def referee(truth: World, budget: Budget, *, most: int = CHALLENGE_MOST, worth: float | None = None) -> Campaigns:
    """Challenge by challenge as hpsearch does it: its ledger, its plan, its decision, a new champion on fresh seeds."""
    campaigns = [_Campaign(truth, row, budget, most) for row in range(len(truth.effects))]
    for number in range(CHALLENGES):
        for each in campaigns:  # in this order they share critical values
            each.challenge(number, worth)
    told = [np.array([*each.quotes()]) for each in campaigns]
    mean, low, high, _ = np.array([each[-1] for each in told]).T
    later = np.concatenate([each[1:, :3] - each[1:, 3:] for each in told])
    trainings = np.array([float(len(each.title.trained)) for each in campaigns])
    won, true = np.array([each.won for each in campaigns]), np.array([each.true for each in campaigns])
    return Campaigns(won, trainings, mean, low, high, true, [(later[:, 0], later[:, 1], later[:, 2])])


def figures(truth: World, found: Campaigns) -> dict[str, str]:
    """Return what a rule kept and what it cost, in words of the table's columns."""
    false = found.won & (truth.effects <= 0)
    titles = np.maximum(found.won.sum(axis=1), 1)
    error = found.quoted - found.true
    holds = "no interval"
    if np.isfinite(found.low).all():
        holds = f"{np.mean((found.low <= found.true) & (found.true <= found.high)):.1%}"
    return {
        "trainings": f"{found.trainings.mean():.0f}",
        "titles": f"{found.won.sum(axis=1).mean():.1f}",
        "false titles": f"{false.sum(axis=1).mean():.2f}",
        "share false": f"{np.mean(false.sum(axis=1) / titles):.1%}",
        "campaigns with one": f"{np.mean(false.any(axis=1)):.1%}",
        "large found": f"{found.won[truth.effects == LARGE].mean():.1%}",
        "small found": f"{found.won[truth.effects == SMALL].mean():.1%}",
        "true gain": f"{found.true.mean():.1f}",
        "quoted - true, at the end": f"{error.mean():+.2f} +- {error.std() / len(error) ** 0.5:.2f}",
        "its intervals hold": holds,
    }


def campaign_table(campaigns: int) -> Iterator[str]:
    """Yield the table of campaigns: greedy, five fixed seeds, the referee with its budgets and limits."""
    header: list[str] = []
    for noise in NOISES:
        rules: dict[str, Callable[[World], Campaigns]] = {
            "greedy, one run": greedy,
            "five seeds, t test": fixed_seeds,
            "referee": lambda truth: referee(truth, Budget()),
            f"referee, worth finding: {WORTH:g} sd": lambda truth: referee(truth, Budget(), worth=WORTH),
        }
        if noise == "normal":
            rules["referee, alpha spending"] = lambda truth: referee(truth, Budget(method=Method.SPENDING))
        for name, rule in rules.items():
            truth = world(campaigns, noise)
            found = rule(truth)
            cells = figures(truth, found)
            if not header:
                header = list(cells)
                yield f"| noise | rule | {' | '.join(header)} | quoted - true, at a title | its intervals hold |"
                yield "|---" * (len(header) + 4) + "|"
            yield f"| {noise} | {name} | {' | '.join(cells.values())} | {_when_won(found)} |"


def _when_won(found: Campaigns) -> str:
    if not found.quotes:
        return "- | -"
    errors, low, high = (np.concatenate(each) for each in zip(*found.quotes, strict=True))
    held = np.mean((low <= 0) & (high >= 0))
    return f"{errors.mean():+.2f} +- {errors.std() / len(errors) ** 0.5:.2f} | {held:.1%}"


def main(rows: int, campaigns: int) -> None:
    """Print all tables with the machine and the versions."""
    begin = time.process_time()
    print("False acceptances of an equal challenger, as a share of the level\n")
    print(*error_table(rows), sep="\n")
    print("\nAccepted (pairs on average) by the true improvement\n")
    print(*power_table(), sep="\n")
    print(f"\n{campaigns} campaigns of {CHALLENGES} challenges\n")
    for line in campaign_table(campaigns):
        print(line, flush=True)
    print(
        f"\n{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}, "
        f"SciPy {scipy.__version__}; {time.process_time() - begin:.0f} s of CPU time"
    )


if __name__ == "__main__":
    full = "full" in sys.argv[1:] or os.environ.get("BENCH") == "full"
    main(400_000 if full else 20_000, 200 if full else 10)
