"""How often intervals hold the true value, and how often comparisons claim what is wrong: tables for
docs/reference/compare-json.md.

Run by `make bench`, or alone with the number of made-up tables for each row.
"""

import sys
from collections.abc import Callable

import numpy as np

from hpsearch.comparing.statistics.crossed import (
    Population,
    corrected_interval,
    crossed,
    multi_bootstrap,
    percentile_interval,
)
from hpsearch.comparing.statistics.intervals import mean_interval
from hpsearch.comparing.statistics.two_samples import signed_rank_interval
from tests.comparing.made_up_tables import DESIGNS, simulate

SIZES = (3, 5, 10, 12, 15, 20, 50)
VALUES: dict[str, tuple[Callable[[np.random.Generator, tuple[int, int]], np.ndarray], float, float]] = {
    "normal": (lambda generator, size: generator.normal(size=size), 0.0, 0.0),
    "uniform": (lambda generator, size: generator.uniform(-1, 1, size), 0.0, 0.0),
    "t with 3 df (heavy tails)": (lambda generator, size: generator.standard_t(3, size), 0.0, 0.0),
    "exponential (skewed)": (lambda generator, size: generator.exponential(size=size), 1.0, np.nan),
    "log-normal (very skewed)": (lambda generator, size: generator.lognormal(size=size), np.exp(0.5), np.nan),
}
"""By name: samples, their mean, and the centre of symmetry that signed ranks are about, if there is one."""


def coverage(samples: int) -> None:
    """Print the share of 95% intervals that hold the mean, and of signed ranks' that hold the centre."""
    print(f"coverage of 95% intervals, {samples} samples each")
    print(f"{'values':28} {'interval':14}" + "".join(f"{f'n = {n}':>8}" for n in SIZES))
    for name, (draw, mean, centre) in VALUES.items():
        held = [_held(draw(np.random.default_rng(n), (samples, n)), mean, "t") for n in SIZES]
        print(f"{name:28} {'t':14}" + "".join(f"{share:8.3f}" for share in held))
        if not np.isnan(centre):
            few = max(samples // 10, 100)
            held = [_held(draw(np.random.default_rng(n), (few, n)), centre, "ranks") for n in SIZES if n > 5]
            print(f"{'':28} {'signed ranks':14}" + 2 * f"{'-':>8}" + "".join(f"{share:8.3f}" for share in held))


def _held(samples: np.ndarray, true: float, kind: str) -> float:
    intervals = [
        mean_interval(each, seed=0)[0] if kind == "t" else signed_rank_interval(each, scale=10.0, level=0.95)
        for each in samples
    ]
    return float(np.mean([found is not None and found[0] <= true <= found[1] for found in intervals]))


def error_rates(tables: int) -> None:
    """Print for each design how often one of the claims of a whole table was wrong; alpha is 0.05, Holm's method."""
    print(f"tables with a wrong claim, about {tables} each")
    print(f"{'design':18}{'units':>6}{'arms':>6}{'margin':>8}{'difference':>12}{'equivalence':>13}{'either':>8}")
    for design in DESIGNS:
        for n in (3, 5, 10, 12):
            for arms in (2, 4, 8):
                for margin in (None, 3.0):
                    count = max(tables // (arms * (arms - 1) // 2), 10)
                    generator = np.random.default_rng(0)
                    found = simulate(design, generator, sizes=[n], arms=arms, margin=margin, tables=count)
                    rates = [each / found.tables for each in (found.differences, found.equivalences, found.either)]
                    shown = "-" if margin is None else f"{margin:g} sd"
                    print(
                        f"{design:18}{n:6}{arms:6}{shown:>8}{rates[0]:12.3f}{rates[1]:13.3f}{rates[2]:8.3f}", flush=True
                    )


def coverage_over_seeds_and_examples(samples: int) -> None:
    """Print the share of 95% intervals over further seeds and further examples that hold the mean, for five seeds."""
    print(f"coverage of 95% intervals over five seeds and examples, {samples} samples each (a tenth of 5,000 examples)")
    print(f"{'sd: seeds, examples':24}{'examples':>9}{'crossed':>9}{'multi-bootstrap':>17}{'corrected':>11}")
    for of_seeds, of_examples in ((0.0, 0.0), (0.0, 1.0), (0.05, 1.0), (0.2, 1.0), (1.0, 1.0)):
        for examples in (50, 500, 5000):
            generator, rows = np.random.default_rng(0), samples if examples < 5000 else max(samples // 10, 10)
            held = np.zeros(3)
            for _ in range(rows):
                scores = of_seeds * generator.normal(size=(5, 1)) + of_examples * generator.normal(size=examples)
                scores = scores + generator.normal(size=(5, examples))
                found = crossed(scores)
                drawn = multi_bootstrap(scores, np.zeros_like(scores), seed=0, draws=400)
                intervals = (
                    found.interval(Population.BOTH) or (0.0, 0.0),
                    percentile_interval(drawn),
                    corrected_interval(drawn, found.estimate, seeds=5),
                )
                held += [low <= 0 <= high for low, high in intervals]
            shares = held / rows
            print(
                f"{f'{of_seeds:g}, {of_examples:g}':24}{examples:9}{shares[0]:9.3f}{shares[1]:17.3f}{shares[2]:11.3f}"
            )


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    coverage(10 * wanted)
    print()
    coverage_over_seeds_and_examples(wanted)
    print()
    error_rates(wanted)
