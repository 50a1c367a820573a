"""A pack: trainings of one shape whose steps are taken together, a lane for each.

Lanes need not be at the same step: each has its own epoch, order, rate and seed. They are at the same place of their
epochs, so that their batches have one shape; a training that joins waits for its place to come round.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from hpsearch.errors import DivergedError
from hpsearch.training.loop import advance, begin_epoch, evaluation_is_due, look_is_due
from hpsearch.training.measurements import look_at
from hpsearch.training.packs.lane import NORM, Lane, Tally, global_states, measured
from hpsearch.training.packs.losses import PackedLosses, drops_of, loss_alone
from hpsearch.training.packs.shape import NOT_HERE
from hpsearch.training.packs.stack import Stack
from hpsearch.training.packs.windows import NotPackedError, Window, next_windows
from hpsearch.training.task import Batch


class Pack:
    """Trains lanes of one shape."""

    def __init__(self, lanes: int, first: Lane) -> None:
        self.lanes: list[Lane] = []
        self.waiting: list[Lane] = []
        """Those whose place in the epoch has not come yet."""
        self._stack = Stack(first.training, lanes)
        self._losses = PackedLosses(first.training)
        self._scalars: dict[str, Tensor] = {}
        self._tally = Tally()

    def admit(self) -> None:
        """Take in those who wait for this place in the epoch; an empty pack goes to the place of the first."""
        for lane in list(self.waiting):
            place = lane.training.progress.batch
            if not self.lanes or place == self.lanes[0].training.progress.batch:
                self._tally.read(self.lanes)
                self.waiting.remove(lane)
                self.lanes.append(lane)
                self._stack.add(lane.training)
                self._scalars = {}

    def leave(self, lane: Lane) -> None:
        """Let a lane go; its training has its weights when it was written out."""
        self._tally.read(self.lanes)
        row = self.lanes.index(lane)
        self._stack.remove(row)
        last = self.lanes.pop()
        if last is not lane:
            self.lanes[row] = last
        self._scalars = {}

    def count(self) -> None:
        """Read the numbers of the steps so far into the lanes."""
        self._tally.read(self.lanes)

    def write_out(self, lane: Lane) -> None:
        """Copy a lane's weights, its measurements and what its optimizer remembers into its training."""
        self._tally.read(self.lanes)
        self._stack.copy_out(self.lanes.index(lane), lane.training)

    def step(self) -> list[Lane]:
        """Take a step of every lane and return those that are due for an evaluation or have ended with an error.

        Raises:
            NotPackedError: The lanes have to be trained each alone, from where they were saved last.
        """
        fresh = not all(lane.looked_at for lane in self.lanes)
        before = global_states() if fresh else []
        for lane in self.lanes:
            if lane.training.begun != lane.training.progress.epoch:
                begin_epoch(lane.training)
        window = next_windows([lane.training for lane in self.lanes])
        rates = [lane.training.rates.at(lane.training.progress.step) for lane in self.lanes]
        parts, gradients = self._backward(window, looking=fresh)
        if fresh and global_states() != before:
            raise NotPackedError("data, augmentation or model draw from the generators that all lanes share")
        norms = torch.linalg.vector_norm(gradients, dim=1)
        values = torch.stack([*parts.values(), norms])
        self._tally.add([*parts, NORM], values, window.totals)
        due = self._advance(values, list(parts).index("loss"), gradients, batches=len(window.batches))
        with torch.no_grad():
            self._stack.update(self._clipped(gradients, norms), rates)
        return due

    def _backward(self, window: Window, *, looking: bool) -> tuple[dict[str, Tensor], Tensor]:
        """Return each lane's loss parts and the matrix of its gradients."""
        whole: dict[str, Tensor] = {}
        gradients: Tensor | None = None
        for batch, counts in zip(window.batches, window.counts, strict=True):
            try:
                if looking:
                    self._losses.look({name: tensor[0] for name, tensor in batch.items()})
                masks = self._masks(batch)
                parts = self._losses(self._stack, batch, self._numbers(), masks)
                own = torch.autograd.grad(parts["loss"].sum(), self._stack.leaves)
            except (RuntimeError, ValueError, NotImplementedError, LookupError) as error:
                raise NotPackedError(f"{type(error).__name__}: {error}") from error
            if looking:
                self._compare(batch, masks, parts["loss"].detach())
            piece = self._stack.flat(own)
            if len(window.batches) > 1:
                weight = (counts / window.totals).to(piece.device, piece.dtype)
                parts = {name: part.detach() * weight for name, part in parts.items()}
                piece *= weight[:, None]
            gradients = piece if gradients is None else gradients + piece
            for name, part in parts.items():
                whole[name] = whole[name] + part.detach() if name in whole else part.detach()
        assert gradients is not None  # noqa: S101 -- ours: a window has a batch
        return whole, gradients

    def _compare(self, batch: Batch, masks: Sequence[Tensor], losses: Tensor) -> None:
        """Hold the first loss of new lanes against what the training's own task and model give."""
        for row, lane in enumerate(self.lanes):
            if lane.looked_at:
                continue
            lane.looked_at = True
            own = {name: tensor[row] for name, tensor in batch.items()}
            alone = loss_alone(lane.training, own, [mask[row] for mask in masks])
            if not torch.allclose(losses[row], alone, rtol=1e-3, atol=1e-5, equal_nan=True):
                reason = "its loss in a pack is another: a number enters it that is not one of its task's scalars"
                lane.error = NotPackedError(reason)

    def _masks(self, batch: Batch) -> list[Tensor]:
        """Draw each lane's dropout: empty masks for a call that drops nothing in any lane, no mask where none drops."""
        shape = tuple((name, tensor.shape[1:]) for name, tensor in batch.items())
        drops = []
        for row, lane in enumerate(self.lanes):
            if shape not in lane.drops:
                lane.drops[shape] = drops_of(lane.training, {name: tensor[row] for name, tensor in batch.items()})
            drops.append(lane.drops[shape])
        if not any(drop.probability for own in drops for drop in own):
            return []
        like = self._stack.leaves[0]
        if like.device.type != "cpu":
            raise NotPackedError(NOT_HERE)
        none, used = like.new_empty(0), [any(drop.probability for drop in each) for each in zip(*drops, strict=True)]
        drawn = [
            [drop.drawn(lane.generator, like) if there else none for drop, there in zip(own, used, strict=True)]
            for lane, own in zip(self.lanes, drops, strict=True)
        ]
        return [torch.stack(each) for each in zip(*drawn, strict=True)]

    def _numbers(self) -> dict[str, Tensor]:
        """Return the lanes' scalars, (lanes,) each."""
        if not self._scalars:
            every, device = [lane.training.task.scalars for lane in self.lanes], self.lanes[0].training.device
            names = every[0]
            self._scalars = {name: torch.tensor([float(own[name]) for own in every], device=device) for name in names}
        return self._scalars

    def _advance(self, values: Tensor, loss: int, gradients: Tensor, *, batches: int) -> list[Lane]:
        """Count the step; return the lanes that need a look."""
        self._find_diverged(values, loss, gradients)
        due = [lane for lane in self.lanes if lane.error is not None]
        for row, lane in enumerate(self.lanes):
            training = lane.training
            advance(training, batches=batches)
            if evaluation_is_due(training) and lane.error is None:
                due.append(lane)
                if look_is_due(training):
                    self._stack.copy_out(row, training)
                    self._stack.gradients_to(row, gradients, training)
                    training.look = look_at(training.model)
                    training.optimizer.zero_grad(set_to_none=True)
        return due

    def _find_diverged(self, values: Tensor, loss: int, gradients: Tensor) -> None:
        """Give those lanes an error whose loss or gradient is not finite."""
        if math.isfinite(values.sum(dtype=torch.float64).item()):
            return
        for row, lane in enumerate(self.lanes):
            self._stack.gradients_to(row, gradients, lane.training)
            try:
                step = lane.training.progress.step + 1
                measured(lane.training).check(step, values[loss, row].item(), values[-1, row].item())
            except DivergedError as error:
                lane.error = error
            lane.training.optimizer.zero_grad(set_to_none=True)

    def _clipped(self, gradients: Tensor, norms: Tensor) -> Tensor:
        limits = [lane.training.settings.clip_norm for lane in self.lanes]
        if not any(limits):
            return gradients
        most = norms.new_tensor([math.inf if limit is None else limit for limit in limits])
        return gradients * (most / (norms + 1e-6)).clamp(max=1.0)[:, None]
