"""Problems for pruners: configurations of known learning curves, a cost at every epoch, for two seeds each.

Recorded ones are in recorded.npz (record.py says of what). Simulated ones have what recordings lack: curves that cross,
trainings that come apart late, costs that become no number, and noise that hides who is better for long.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

RECORDED = Path(__file__).with_name("recorded.npz")
CONFIGURATIONS = 400
EPOCHS = 40
SEEDS = 2
LOGARITHMIC = [0, 1, 3, 4]
"""The columns of the recorded settings that are spread over powers: rate, decay, width and batch."""


@dataclass(frozen=True)
class Problem:
    """Points in the unit cube, a row each, and their `curves`: seeds x configurations x epochs, to be minimized."""

    name: str
    points: np.ndarray
    curves: np.ndarray

    @property
    def truth(self) -> np.ndarray:
        """The regret of each configuration at its best epoch, over the seeds: 0 is the best of all, 1 the median."""
        best = np.nanmin(np.where(np.isfinite(self.curves), self.curves, np.inf), axis=2).mean(axis=0)
        return (best - best.min()) / (np.median(best) - best.min())

    def nearest(self, point: np.ndarray) -> int:
        """Return the configuration that is nearest to a point."""
        return int(((self.points - point) ** 2).sum(axis=1).argmin())


def recorded() -> list[Problem]:
    """Return the recorded problems: losses and errors of two tasks."""
    with np.load(RECORDED) as tables:
        params = tables["params"].astype(float)
        points = params.copy()
        points[:, LOGARITHMIC] = np.log(points[:, LOGARITHMIC])
        points = (points - points.min(axis=0)) / np.ptp(points, axis=0)
        return [Problem(name, points, tables[name].astype(float)) for name in sorted(tables) if name != "params"]


def simulated() -> list[Problem]:
    """Return the simulated problems."""
    return [Problem(name, *make(np.random.default_rng(7))) for name, make in SIMULATORS.items()]


def _smooth(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a smooth function of the points: a valley and two waves across it."""
    centre = rng.uniform(0.2, 0.8, points.shape[1])
    waves = np.sin(points @ rng.normal(0, 4, (points.shape[1], 2)) + rng.uniform(0, 6, 2)).sum(axis=1)
    return ((points - centre) ** 2).sum(axis=1) + 0.08 * waves


def _falling(rng: np.random.Generator, *, slow: float, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return points and curves that fall exponentially; `slow` is how many epochs longer that takes the best one."""
    points = rng.uniform(size=(CONFIGURATIONS, 4))
    level = _smooth(points, rng)
    level = (level - level.min()) / np.ptp(level)
    takes = np.clip(2 + slow * (1 - level) + rng.normal(0, 0.5, CONFIGURATIONS), 1, None)
    curves = 0.4 * level[:, None] + np.exp(-np.arange(1, EPOCHS + 1) / takes[:, None])
    return points, curves + rng.normal(0, noise, (SEEDS, CONFIGURATIONS, EPOCHS))


def _parallel(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return _falling(rng, slow=0.0, noise=0.005)


def _crossing(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return _falling(rng, slow=4.0, noise=0.005)


def _crossing_late(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return _falling(rng, slow=9.0, noise=0.005)


def _noisy(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return _falling(rng, slow=1.0, noise=0.05)


def _diverging(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Where the first coordinate is large, trainings are ahead, and then come apart; some have no number left."""
    points, curves = _falling(rng, slow=1.0, noise=0.005)
    starts = np.where(points[:, 0] > 0.7, rng.integers(3, 30, CONFIGURATIONS), EPOCHS)
    late = np.clip(np.arange(EPOCHS) - starts[:, None], 0, None)
    curves = curves - 0.3 * (points[:, 0] > 0.7)[:, None] + 0.1 * late
    curves[:, (points[:, 1] > 0.5)[:, None] & (late > 4)] = np.nan
    return points, curves


SIMULATORS = {
    "parallel": _parallel,
    "crossing": _crossing,
    "crossing late": _crossing_late,
    "noisy": _noisy,
    "diverging": _diverging,
}


def held_back() -> list[Problem]:
    """Return simulated problems of other forms, by which nothing in hpsearch was chosen."""
    return [Problem(name, *make(np.random.default_rng(11))) for name, make in HELD_BACK.items()]


def _unit(values: np.ndarray) -> np.ndarray:
    return (values - values.min()) / np.ptp(values)


def _power_laws(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Curves fall by powers of the epoch, whose exponents have nothing to do with where they end."""
    points = rng.uniform(size=(CONFIGURATIONS, 4))
    level, exponent = _unit(_smooth(points, rng)), 0.3 + 0.9 * _unit(_smooth(points, rng))
    curves = 0.4 * level[:, None] + np.arange(1, EPOCHS + 1) ** -exponent[:, None]
    return points, curves + rng.normal(0, 0.01, (SEEDS, CONFIGURATIONS, EPOCHS))


def _late_drop(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """After a plateau curves drop at an epoch of their own, from 5 to 25."""
    points = rng.uniform(size=(CONFIGURATIONS, 4))
    level, when = _unit(_smooth(points, rng)), 5 + 20 * _unit(_smooth(points, rng))
    drop = 1 / (1 + np.exp(np.arange(1, EPOCHS + 1) - when[:, None]))
    curves = 0.4 * level[:, None] + 0.3 * drop
    return points, curves + rng.normal(0, 0.01, (SEEDS, CONFIGURATIONS, EPOCHS))


def _decayed_rate(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A large rate, the first coordinate, is worse until all rates decay at epoch 30, and better after."""
    points = rng.uniform(size=(CONFIGURATIONS, 5))
    level, epochs = _unit(_smooth(points, rng)), np.arange(1, EPOCHS + 1)
    rate = np.where(epochs < 30, 0.1, -0.1) * points[:, :1]
    curves = 0.4 * level[:, None] + np.exp(-epochs / 4) + rate
    return points, curves + rng.normal(0, 0.01, (SEEDS, CONFIGURATIONS, EPOCHS))


def _heavy_tail(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Most configurations are hopeless; the noise is in proportion to the cost."""
    points = rng.uniform(size=(CONFIGURATIONS, 6))
    level = np.exp(4 * _unit(_smooth(points, rng))) / 10
    curves = level[:, None] * (1 + 2 * np.exp(-np.arange(1, EPOCHS + 1) / 5))
    return points, curves * np.exp(rng.normal(0, 0.05, (SEEDS, CONFIGURATIONS, EPOCHS)))


HELD_BACK = {
    "power laws": _power_laws,
    "late drop": _late_drop,
    "decayed rate": _decayed_rate,
    "heavy tail": _heavy_tail,
}
