"""Schedules with a memory: they watch a metric at each evaluation and now and then multiply the rate.

    plateau    ReduceLROnPlateau, with the arithmetic of torch's
    adaptive   boosts a training that stagnates, slows one that no longer gains, and is a plateau otherwise

Every act is a RateDecision, which says when, why and by how much. The memory, decisions included, is plain values in
the checkpoint, so that a training that goes on neither repeats nor loses one.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, pvariance
from typing import Any

from hpsearch.experiment.files import write_atomically
from hpsearch.experiment.layout import RATE_DECISIONS
from hpsearch.training.schedule_settings import Adaptive, Plateau


@dataclass(frozen=True)
class RateDecision:
    """One act: the rate's factor goes from `before` to `after` (fractions of the learning rate), for `reason`."""

    step: int
    epoch: float
    reason: str
    before: float
    after: float


@dataclass
class Waiting:
    """How many values, of which less is better, have come since one that gained more than the threshold."""

    threshold: float
    relative: bool
    best: float | None = None
    waited: int = 0

    def take(self, value: float) -> None:
        """Add the next value."""
        if self.best is None or value < self.best - self.threshold * (abs(self.best) if self.relative else 1.0):
            self.best, self.waited = value, 0
        else:
            self.waited += 1


class RateControl(ABC):
    """A factor on the rate that follows the watched values, and the decisions that made it what it is."""

    waits_while_cooling = True
    """Whether evaluations count as waiting while nothing may act."""

    def __init__(self, *, cooldown: int, window: int, waitings: list[Waiting]) -> None:
        self.factor = 1.0
        self.decisions: list[RateDecision] = []
        self._cooldown = cooldown
        self._cooling = 0
        self._window = window
        self._values: list[float] = []
        self._waitings = waitings

    def take(self, value: float, *, step: int, epoch: float, floor: float) -> None:
        """Add the value of an evaluation, of which less is better, and act if a rule says so.

        The factor does not fall below `floor`. For `cooldown` evaluations after an act none follows.
        """
        self._values = [*self._values, value][-self._window :]
        for waiting in self._waitings:
            waiting.take(value)
        if self._cooling > 0:
            self._cooling -= 1
            for waiting in () if self.waits_while_cooling else self._waitings:
                waiting.waited = 0
            return
        act = self._act(floor)
        if act is not None:
            after, reason = act
            self.decisions.append(RateDecision(step, epoch, reason, self.factor, after))
            self.factor, self._cooling = after, self._cooldown

    @abstractmethod
    def _act(self, floor: float) -> tuple[float, str] | None:
        """Return the new factor and the reason, if a rule acts."""

    def _fall(self, waiting: Waiting, *, by: float, floor: float) -> tuple[float, str] | None:
        """Count from 0 again and return the factor times `by`; None when it is at the floor already."""
        waited, waiting.waited = waiting.waited, 0
        lower = max(floor, self.factor * by)
        return (lower, f"no gain for {waited} evaluations") if lower < self.factor else None

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a resume, as plain values."""
        return {
            "factor": self.factor,
            "cooling": self._cooling,
            "values": list(self._values),
            "waitings": [[waiting.best, waiting.waited] for waiting in self._waitings],
            "decisions": [asdict(decision) for decision in self.decisions],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.factor, self._cooling, self._values = state["factor"], state["cooling"], list(state["values"])
        self.decisions = [RateDecision(**decision) for decision in state["decisions"]]
        for waiting, (best, waited) in zip(self._waitings, state["waitings"], strict=True):
            waiting.best, waiting.waited = best, waited


class PlateauControl(RateControl):
    """ReduceLROnPlateau."""

    waits_while_cooling = False

    def __init__(self, settings: Plateau) -> None:
        self._settings = settings
        waiting = Waiting(settings.threshold, settings.relative)
        super().__init__(cooldown=settings.cooldown, window=1, waitings=[waiting])

    def _act(self, floor: float) -> tuple[float, str] | None:
        (waiting,) = self._waitings
        if waiting.waited <= self._settings.patience:
            return None
        return self._fall(waiting, by=self._settings.factor, floor=floor)


class AdaptiveControl(RateControl):
    """The three rules of `Adaptive`, in their order; when one of the first two acts, the plateau's does not count."""

    def __init__(self, settings: Adaptive) -> None:
        self._settings = settings
        decay, plateau = (Waiting(settings.minimum_gain, settings.relative) for _ in range(2))
        super().__init__(cooldown=settings.cooldown, window=settings.window, waitings=[decay, plateau])

    def _act(self, floor: float) -> tuple[float, str] | None:
        settings, (decay, plateau) = self._settings, self._waitings
        spread = self._stagnation()
        higher = min(settings.cap, self.factor * settings.boost)
        if spread is not None and higher > self.factor:
            decay.waited = plateau.waited = 0
            return (
                higher,
                f"stagnation: variance {spread:.3g} over {settings.window} evaluations, and no downward trend",
            )
        if decay.waited >= settings.decay_after and (act := self._fall(decay, by=settings.decay, floor=floor)):
            plateau.waited -= 1
            return act
        if plateau.waited > settings.plateau_patience:
            return self._fall(plateau, by=settings.plateau_factor, floor=floor)
        return None

    def _stagnation(self) -> float | None:
        """Return the variance of a full window that neither varies nor falls."""
        settings, values = self._settings, self._values
        if len(values) < settings.window:
            return None
        half = settings.window // 2
        spread = pvariance(values)
        if settings.relative:
            spread /= fmean(values) ** 2 or 1.0
        falls = fmean(values[-half:]) < fmean(values[:half])
        return None if falls or spread >= settings.threshold else spread


def rate_control(settings: Any) -> RateControl | None:
    """Return the memory of a schedule; None for one that has none."""
    if isinstance(settings, Plateau):
        return PlateauControl(settings)
    return AdaptiveControl(settings) if isinstance(settings, Adaptive) else None


def write_decisions(folder: Path, control: RateControl | None) -> None:
    """Write all decisions so far, a JSON object a line: the file follows the checkpoint, whatever it held before."""
    if control:
        lines = [json.dumps(asdict(decision)) + "\n" for decision in control.decisions]
        write_atomically(folder / RATE_DECISIONS, "".join(lines).encode())
