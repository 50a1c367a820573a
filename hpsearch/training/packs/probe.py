"""How fast steps are with 1, 2, 4, 8, 16 lanes, and alone: a few of each are taken by models that are thrown away."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from hpsearch.training.devices import forget_peak, is_out_of_memory, peak_memory, wait_for
from hpsearch.training.loop import single_step
from hpsearch.training.packs.candidate import Candidate
from hpsearch.training.packs.lane import lane_of
from hpsearch.training.packs.pack import Pack
from hpsearch.training.packs.shape import objection
from hpsearch.training.packs.windows import NotPackedError
from hpsearch.training.random_state import isolated, kept_random_state
from hpsearch.training.state import TrainingState

LANES = (1, 2, 4, 8, 16)
_WARM, _STEPS, _SECONDS = 2, 12, 0.5
"""Steps that are not timed, and that are, unless those take longer; the shortest counts, free of other loads."""


@dataclass(frozen=True)
class LaneSpeed:
    """The seconds of a step of a pack with `lanes` lanes; the most bytes in use, where the device counts them."""

    lanes: int
    seconds: float
    memory: int | None

    @property
    def steps_per_second(self) -> float:
        """Steps of all lanes together."""
        return self.lanes / self.seconds


@dataclass(frozen=True)
class Probe:
    """The seconds of a step alone, and packs of several lanes; or why there can be no packs."""

    alone: float
    packs: tuple[LaneSpeed, ...]
    reason: str | None = None

    @property
    def best(self) -> int:
        """The number of lanes with most steps in a second; 1 where packs gain less than a tenth."""
        fastest = max(self.packs, key=lambda each: each.steps_per_second, default=None)
        worth = fastest is not None and fastest.steps_per_second * self.alone > _GAIN
        return fastest.lanes if fastest and worth else 1


_GAIN = 1.1


def probe_lanes(
    candidate: Candidate,
    *,
    device: torch.device,
    lanes: Sequence[int] = LANES,
    clock: Callable[[], float] = time.perf_counter,
) -> Probe:
    """Measure steps of a training alone and in packs of each size in `lanes`, until memory does not suffice.

    The process is afterwards as before, and nothing is written or reported.
    """
    with isolated(device, deterministic=candidate.settings.deterministic):
        training = candidate.build(device, clock)
        alone = _shortest(lambda: single_step(training), training, clock)
        reason = objection(candidate.build(device, clock))
        packs: list[LaneSpeed] = []
        try:
            packs.extend(_measured(candidate, count, device, clock) for count in (() if reason else lanes))
        except NotPackedError as error:
            reason = str(error)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        forget_peak(device)
    return Probe(alone, tuple(packs), reason)


def _measured(candidate: Candidate, count: int, device: torch.device, clock: Callable[[], float]) -> LaneSpeed:
    forget_peak(device)
    lanes = []
    for _ in range(count):
        with kept_random_state(device):
            lanes.append(lane_of(candidate.build(device, clock), candidate.report, None, candidate.kind))
    pack = Pack(count, lanes[0])
    pack.waiting += lanes
    pack.admit()
    seconds = _shortest(pack.step, lanes[0].training, clock)
    return LaneSpeed(count, seconds, peak_memory(device))


def _shortest(step: Callable[[], object], training: TrainingState, clock: Callable[[], float]) -> float:
    """Return the seconds of the shortest of some steps, not more than the training has."""
    times: list[float] = []
    for number in range(min(_WARM + _STEPS, training.order.total_steps)):
        begin = clock()
        step()
        wait_for(training.device)
        times.append(clock() - begin)
        if number >= _WARM and sum(times[_WARM:]) > _SECONDS:
            break
    return min(times[_WARM:] or times)
