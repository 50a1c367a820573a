"""Trainings that go on side by side in one process: in packs of one shape, or alone where that cannot be."""

import contextlib
import time
from collections.abc import Callable, Hashable, Iterable, Iterator

import torch

from hpsearch.records import Decision
from hpsearch.training.devices import resolve_device
from hpsearch.training.files import save_between
from hpsearch.training.loop import ask, evaluate_and_save, fit, go_on, result_of, saves_between, tell_between
from hpsearch.training.packs.candidate import Candidate, Ended
from hpsearch.training.packs.lane import Lane, lane_of
from hpsearch.training.packs.pack import Pack
from hpsearch.training.packs.shape import objection, shape_of
from hpsearch.training.packs.windows import NotPackedError
from hpsearch.training.progress import FitResult
from hpsearch.training.random_state import isolated, kept_random_state


class Packs:
    """Up to `lanes` trainings at once, those of one shape in a pack; a lane that becomes free is free for the next."""

    def __init__(self, lanes: int, *, device: torch.device, clock: Callable[[], float] = time.perf_counter) -> None:
        self._most = lanes
        self._device = device
        self._clock = clock
        self._packs: dict[Hashable, Pack] = {}
        self._candidates: dict[Lane, Candidate] = {}
        self._ended: list[Ended] = []

    @property
    def free(self) -> int:
        """How many more trainings can be begun."""
        return self._most - len(self._candidates)

    def begin(self, candidate: Candidate) -> None:
        """Begin a training, or train it alone to its end if it cannot be packed."""
        try:
            lane = self._lane(candidate)
        except BaseException as error:  # noqa: BLE001 - whatever a family raises ends this training, as it would alone
            self._ended.append(Ended(candidate, error))
            return
        if isinstance(lane, Ended):
            self._ended.append(lane)
            return
        shape = shape_of(lane.training, candidate.kind)
        if shape not in self._packs:
            self._packs[shape] = Pack(self._most, lane)
        self._packs[shape].waiting.append(lane)
        self._candidates[lane] = candidate

    def _lane(self, candidate: Candidate) -> "Lane | Ended":
        with kept_random_state(self._device):
            training = candidate.build(self._device, self._clock)
            why = objection(training)
            if why is None:
                decision = go_on(training, candidate.folder, candidate.report, None)
                if decision is not Decision.CONTINUE or training.progress.finished:
                    return Ended(candidate, result_of(training, decision))
                return lane_of(training, candidate.report, candidate.folder, candidate.kind)
        return self._alone(candidate, why)

    def _alone(self, candidate: Candidate, why: str) -> Ended:
        try:
            result: FitResult | BaseException = fit(
                candidate.task,
                candidate.splits,
                candidate.settings,
                seeds=candidate.seeds,
                monitor=candidate.monitor,
                report=candidate.report,
                folder=candidate.folder,
                device=self._device,
                tell=candidate.tell,
                clock=self._clock,
            )
        except BaseException as error:  # noqa: BLE001 - the caller says what it means
            result = error
        return Ended(candidate, result, why)

    def advance(self) -> list[Ended]:
        """Take a step of every training and return those that have ended since the last call."""
        for shape, pack in list(self._packs.items()):
            pack.admit()
            try:
                due = pack.step() if pack.lanes else []
            except BaseException as error:  # noqa: BLE001 - trained alone, each says for itself what its family raises
                why = str(error) if isinstance(error, NotPackedError) else f"{type(error).__name__}: {error}"
                del self._packs[shape]
                self._ended += [self._alone(self._candidates.pop(lane), why) for lane in (*pack.lanes, *pack.waiting)]
                continue
            self._look(pack, due)
            self._look_between(pack)
            if not pack.lanes and not pack.waiting:
                del self._packs[shape]
        ended, self._ended = self._ended, []
        return ended

    def _look(self, pack: Pack, due: Iterable[Lane]) -> None:
        """Evaluate, save and report; let go those that have ended."""
        for lane in due:
            outcome: FitResult | BaseException | None = lane.error
            if isinstance(outcome, NotPackedError):
                pack.leave(lane)
                self._ended.append(self._alone(self._candidates.pop(lane), str(outcome)))
                continue
            if outcome is None:
                outcome = self._evaluated(pack, lane)
            if outcome is not None:
                pack.leave(lane)
                self._ended.append(Ended(self._candidates.pop(lane), outcome))

    def _look_between(self, pack: Pack) -> None:
        """Once a second tell how far each lane is; save one that is to pause, or whose checkpoint is due."""
        for lane in [lane for lane in pack.lanes if lane.training.stopwatch.seconds >= lane.training.next_look]:
            training = lane.training
            pack.count()
            outcome: FitResult | BaseException | None = None
            try:
                decision = tell_between(training)
                if lane.folder is not None and saves_between(training, decision):
                    pack.write_out(lane)
                    with kept_random_state(training.device):
                        lane.to_process()
                        save_between(training, lane.folder)
                if decision is not Decision.CONTINUE:
                    outcome = result_of(training, decision)
            except BaseException as error:  # noqa: BLE001 - it ends this training and no other
                outcome = error
            if outcome is not None:
                pack.leave(lane)
                self._ended.append(Ended(self._candidates.pop(lane), outcome))

    def _evaluated(self, pack: Pack, lane: Lane) -> FitResult | BaseException | None:
        training = lane.training
        pack.write_out(lane)
        try:
            with kept_random_state(training.device):
                lane.to_process()
                evaluate_and_save(training, lane.folder)
                decision = ask(training, lane.report)
        except BaseException as error:  # noqa: BLE001 - it ends this training and no other
            return error
        over = decision is not Decision.CONTINUE or training.progress.finished
        return result_of(training, decision) if over else None


def fit_together(
    candidates: Iterable[Candidate],
    *,
    lanes: int,
    device: torch.device | str = "auto",
    deterministic: bool = True,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Ended]:
    """Train candidates side by side and yield each as it ends; one is taken from the iterable when a lane is free."""
    place = resolve_device(device)
    rest = iter(candidates)
    with contextlib.ExitStack() as stack:
        stack.enter_context(isolated(place, deterministic=deterministic))
        packs = Packs(lanes, device=place, clock=clock)
        more = True
        while more or packs.free < lanes:
            while more and packs.free:
                candidate = next(rest, None)
                more = candidate is not None
                if candidate is not None:
                    packs.begin(candidate)
            yield from packs.advance()


__all__ = ["Candidate", "Ended", "Packs", "fit_together"]
