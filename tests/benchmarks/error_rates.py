"""How often intervals hold the true value, and how often comparisons claim what is wrong: tables for
docs/reference/compare-json.md.

Run by `make bench`, or alone with the number of made-up tables for each row.
"""

import sys
from collections.abc import Callable

import numpy as np

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


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    coverage(10 * wanted)
    print()
    error_rates(wanted)
