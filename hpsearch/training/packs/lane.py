"""A lane: a training in a pack, with what it would find around it alone, and its numbers between evaluations."""

import math
import random
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpsearch.training.measurements import Measurements
from hpsearch.training.packs.losses import Drop
from hpsearch.training.progress import Report
from hpsearch.training.random_state import capture_random_state, restore_random_state
from hpsearch.training.state import TrainingState

NORM = "gradient_norm"


class LaneMeasurements(Measurements):
    """The means of a lane, whose numbers have been read and added up already."""

    def __init__(self, training: TrainingState) -> None:
        super().__init__(training.model, device=training.device, scaled=False)
        self._totals: dict[str, float] = {}
        self._items = 0.0

    def put(self, totals: Mapping[str, float], items: float, largest: float, steps: int) -> None:
        """Add sums over some steps: of parts times items, and as `gradient_norm` of norms, of which one is largest."""
        for name, total in totals.items():
            self._totals[name] = self._totals.get(name, 0.0) + total
        self._items, self._steps = self._items + items, self._steps + steps
        self._largest = max(self._largest, largest)

    def check(self, step: int, loss: float, norm: float) -> None:
        """Raise the error of a training whose loss or gradient is not finite at a step.

        Raises:
            DivergedError: One is not.
        """
        self._check(step, loss, norm, is_latest=True)

    @property
    def mean_loss(self) -> float | None:
        """The mean loss since the last evaluation, as far as it was read."""
        return self._totals["loss"] / self._items if self._items else None

    def state_dict(self) -> dict[str, Any]:
        """Return the sums as a training alone keeps them; of the norms, one number is their sum."""
        sums = {name: total for name, total in self._totals.items() if name != NORM}
        norms = torch.tensor([self._totals[NORM]] if self._steps else [], dtype=torch.float64)
        counts = dict.fromkeys(sums, self._items)
        return {"sums": sums, "counts": counts, "norms": norms, "steps": self._steps, "largest": self._largest}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned here, or of a training alone."""
        self._totals = {**state["sums"], NORM: math.fsum(state["norms"].tolist())} if state["steps"] else {}
        self._items = float(state["counts"].get("loss", 0.0))
        self._steps, self._largest = state["steps"], state["largest"]

    def take(self) -> dict[str, float]:
        """Return the means and begin anew."""
        means = {f"train/{name}": total / self._items for name, total in self._totals.items() if name != NORM}
        means |= {NORM: self._totals[NORM] / self._steps, f"{NORM}_max": self._largest} if self._steps else {}
        self._totals, self._items, self._steps, self._largest = {}, 0.0, 0, 0.0
        return means


@dataclass(eq=False)
class Lane:
    """A training in a pack, with what the training alone would find in the process around it."""

    training: TrainingState
    report: Report
    folder: Path | None
    kind: Hashable
    shared: dict[str, Any]
    """The state of the global generators, without what it draws as a lane."""
    generator: torch.Generator
    """The lane's own generator on the CPU, in the state of torch's."""
    drops: dict[Any, list[Drop]] = field(default_factory=dict)
    """The calls of dropout by the shape of a batch."""
    error: BaseException | None = None
    """What ended it."""
    looked_at: bool = False
    """Whether a step has shown that it draws from no generator that the lanes share."""

    def to_process(self) -> None:
        """Put the process's generators where the training alone would have them."""
        self.shared["torch"] = self.generator.get_state()
        restore_random_state(self.shared, self.training.device)


def lane_of(training: TrainingState, report: Report, folder: Path | None, kind: Hashable) -> Lane:
    """Return a training as a lane, which takes over the process's generators as they are."""
    shared = capture_random_state(training.device)
    generator = torch.Generator()
    generator.set_state(shared["torch"])
    alone, training.measurements = training.measurements, LaneMeasurements(training)
    training.measurements.load_state_dict(alone.state_dict())
    return Lane(training, report, folder, kind, shared, generator)


def measured(training: TrainingState) -> LaneMeasurements:
    """Return the measurements of a lane's training."""
    measurements = training.measurements
    assert isinstance(measurements, LaneMeasurements)  # noqa: S101 -- ours: `lane_of` gave them
    return measurements


class Tally:
    """The numbers of the steps since somebody looked, added up where they are."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._sums: Tensor | None = None
        self._largest: Tensor | None = None
        self._items: Tensor | None = None
        self._steps = 0

    def add(self, names: list[str], values: Tensor, items: Tensor) -> None:
        """Add a step: `values` (names, lanes) are means over `items` (lanes,); the last row is the gradient norm."""
        weighted = values.double()
        weighted[:-1] *= items.to(values.device)
        if self._sums is None or self._largest is None or self._items is None:
            self._names, self._sums, self._items, self._largest = names, weighted, items.clone(), values[-1].clone()
        else:
            self._sums += weighted
            self._items += items
            self._largest = torch.maximum(self._largest, values[-1])
        self._steps += 1

    def read(self, lanes: Sequence[Lane]) -> None:
        """Give each lane its sums."""
        if self._sums is None or self._largest is None or self._items is None:
            return
        columns = zip(self._sums.T.tolist(), self._items.tolist(), self._largest.tolist(), strict=True)
        for lane, (sums, items, largest) in zip(lanes, columns, strict=True):
            measured(lane.training).put(dict(zip(self._names, sums, strict=True)), items, largest, self._steps)
        self._sums = self._items = self._largest = None
        self._steps = 0


def global_states() -> list[Any]:
    """Return the states of the global generators, to be compared."""
    numpy_state: Any = np.random.get_state(legacy=False)  # noqa: NPY002 - the global generator
    numpy_words = (numpy_state["state"]["key"].tobytes(), numpy_state["state"]["pos"], numpy_state["has_gauss"])
    return [random.getstate(), numpy_words, torch.get_rng_state().numpy().tobytes()]
