"""A pack: trainings of one shape whose steps are taken together, a lane for each.

Lanes need not be at the same step: each has its own epoch, order, rate and seed. They are at the same place of their
epochs, so that their batches have one shape; a training that joins waits for its place to come round.
"""

import math
import random
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpsearch.errors import DivergedError
from hpsearch.training.devices import move
from hpsearch.training.loop import advance, begin_epoch, evaluation_is_due, look_is_due, next_window
from hpsearch.training.measurements import Measurements, look_at
from hpsearch.training.packs.losses import Drop, PackedLosses, drops_of
from hpsearch.training.packs.stack import Stack
from hpsearch.training.progress import Report
from hpsearch.training.random_state import capture_random_state, restore_random_state
from hpsearch.training.state import TrainingState
from hpsearch.training.task import Batch


class NotPackedError(Exception):
    """A step cannot be taken by all lanes together; the reason is a sentence."""


class LaneMeasurements(Measurements):
    """Measurements of a lane, whose numbers have been read already."""

    def note(self, step: int, parts: dict[str, float], norm: float, count: int) -> None:
        """Add a step.

        Raises:
            DivergedError: A loss or a gradient is not finite.
        """
        self._check(step, parts["loss"], norm, is_latest=True)
        for name, value in parts.items():
            self._sums[name] += value * count
            self._counts[name] += count


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
    error: Exception | None = None
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
    training.measurements = LaneMeasurements(training.model, device=training.device, scaled=False)
    return Lane(training, report, folder, kind, shared, generator)


class Pack:
    """Trains lanes of one shape."""

    def __init__(self, lanes: int, first: Lane) -> None:
        self.lanes: list[Lane] = []
        self.waiting: list[Lane] = []
        """Those whose place in the epoch has not come yet."""
        self._stack = Stack(first.training, lanes)
        self._losses = PackedLosses(first.training.task, first.training)
        self._scalars: dict[str, Tensor] = {}

    def admit(self) -> None:
        """Take in those who wait for this place in the epoch; an empty pack goes to the place of the first."""
        for lane in list(self.waiting):
            place = lane.training.progress.batch
            if not self.lanes or place == self.lanes[0].training.progress.batch:
                self.waiting.remove(lane)
                self.lanes.append(lane)
                self._stack.add(lane.training)
                self._scalars = {}

    def leave(self, lane: Lane) -> None:
        """Let a lane go; its training has its weights when it was written out."""
        row = self.lanes.index(lane)
        self._stack.remove(row)
        last = self.lanes.pop()
        if last is not lane:
            self.lanes[row] = last
        self._scalars = {}

    def write_out(self, lane: Lane) -> None:
        """Copy a lane's weights and what its optimizer remembers into its training."""
        self._stack.copy_out(self.lanes.index(lane), lane.training)

    def step(self) -> list[Lane]:
        """Take a step of every lane and return those that are due for an evaluation or have ended with an error.

        Raises:
            NotPackedError: The lanes have to be trained each alone, from where they were saved last.
        """
        fresh = not all(lane.looked_at for lane in self.lanes)
        before = _states() if fresh else []
        windows, rates = self._windows(), [lane.training.rates.at(lane.training.progress.step) for lane in self.lanes]
        counts = [[lane.training.task.count(each) for each in own] for lane, own in zip(self.lanes, windows, strict=True)]
        parts, gradients = self._backward(windows, counts)
        if fresh and _states() != before:
            raise NotPackedError("data, augmentation or model draw from the generators that all lanes share")
        for lane in self.lanes:
            lane.looked_at = True
        norms = torch.linalg.vector_norm(gradients, dim=1)
        due = self._note(parts, norms, gradients, [sum(own) for own in counts], batches=len(windows[0]))
        with torch.no_grad():
            self._stack.update(self._clipped(gradients, norms), rates)
        return due

    def _windows(self) -> list[list[Batch]]:
        windows = []
        for lane in self.lanes:
            if lane.training.begun != lane.training.progress.epoch:
                begin_epoch(lane.training)
            windows.append(next_window(lane.training))
        return windows

    def _backward(
        self, windows: Sequence[Sequence[Batch]], counts: Sequence[Sequence[int]]
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return each lane's loss parts and the matrix of its gradients."""
        device = self.lanes[0].training.device
        totals = torch.tensor([sum(own) for own in counts], dtype=torch.float64)
        whole: dict[str, Tensor] = {}
        gradients: Tensor | None = None
        for number in range(len(windows[0])):
            batches = [own[number] for own in windows]
            masks = self._masks(batches)
            try:
                parts = self._losses(self._stack, move(_stacked(batches), device), self._numbers(), masks)
                own = torch.autograd.grad(parts["loss"].sum(), self._stack.leaves)
            except (RuntimeError, ValueError, NotImplementedError, LookupError, StopIteration) as error:
                raise NotPackedError(f"{type(error).__name__}: {error}") from error
            piece = self._stack.flat(own)
            if len(windows[0]) > 1:
                weight = torch.tensor([each[number] for each in counts], dtype=torch.float64) / totals
                weight = weight.to(device, piece.dtype)
                parts = {name: part.detach() * weight for name, part in parts.items()}
                piece *= weight[:, None]
            gradients = piece if gradients is None else gradients + piece
            for name, part in parts.items():
                whole[name] = whole[name] + part.detach() if name in whole else part.detach()
        assert gradients is not None  # noqa: S101 -- ours: a window has a batch
        return whole, gradients

    def _masks(self, batches: Sequence[Batch]) -> list[Tensor]:
        """Draw each lane's dropout."""
        drops = []
        for lane, batch in zip(self.lanes, batches, strict=True):
            shape = tuple((name, tensor.shape) for name, tensor in batch.items())
            if shape not in lane.drops:
                lane.drops[shape] = drops_of(lane.training, move(batch, lane.training.device))
            drops.append(lane.drops[shape])
        like = self._stack.leaves[0]
        drawn = [
            [drop.drawn(lane.generator, like) for drop in own] for lane, own in zip(self.lanes, drops, strict=True)
        ]
        return [torch.stack(each) for each in zip(*drawn, strict=True)]

    def _numbers(self) -> dict[str, Tensor]:
        """Return the lanes' scalars, (lanes,) each."""
        if not self._scalars:
            every, device = [lane.training.task.scalars for lane in self.lanes], self.lanes[0].training.device
            self._scalars = {name: torch.tensor([float(own[name]) for own in every], device=device) for name in every[0]}
        return self._scalars

    def _note(
        self, parts: dict[str, Tensor], norms: Tensor, gradients: Tensor, counts: Sequence[int], *, batches: int
    ) -> list[Lane]:
        """Measure and count the step; return the lanes that need a look."""
        values = torch.stack([norms, *parts.values()]).tolist()
        due = []
        for row, lane in enumerate(self.lanes):
            training = lane.training
            norm, *own = (column[row] for column in values)
            step = training.progress.step + 1
            if not (math.isfinite(norm) and math.isfinite(own[list(parts).index("loss")])):
                self._stack.gradients_to(row, gradients, training)
            try:
                training.measurements.note(step, dict(zip(parts, own, strict=True)), norm, counts[row])  # type: ignore[attr-defined]
            except DivergedError as error:
                lane.error = error
                due.append(lane)
                continue
            advance(training, batches=batches)
            if evaluation_is_due(training):
                due.append(lane)
            if look_is_due(training):
                self._stack.copy_out(row, training)
                self._stack.gradients_to(row, gradients, training)
                training.look = look_at(training.model)
                training.optimizer.zero_grad(set_to_none=True)
        return due

    def _clipped(self, gradients: Tensor, norms: Tensor) -> Tensor:
        limits = [lane.training.settings.clip_norm for lane in self.lanes]
        if not any(limits):
            return gradients
        most = norms.new_tensor([math.inf if limit is None else limit for limit in limits])
        return gradients * (most / (norms + 1e-6)).clamp(max=1.0)[:, None]


def _states() -> list[Any]:
    """Return the states of the global generators, to be compared."""
    numpy_state: Any = np.random.get_state(legacy=False)  # noqa: NPY002 - the global generator
    numpy_words = (numpy_state["state"]["key"].tobytes(), numpy_state["state"]["pos"], numpy_state["has_gauss"])
    return [random.getstate(), numpy_words, torch.get_rng_state().numpy().tobytes()]


def _stacked(batches: Sequence[Batch]) -> dict[str, Tensor]:
    """Return the batches of all lanes as one, (lanes, examples, ...)."""
    try:
        return {name: torch.stack([batch[name] for batch in batches]) for name in batches[0]}
    except (KeyError, RuntimeError) as error:
        raise NotPackedError(f"the batches of its lanes differ: {error}") from error
