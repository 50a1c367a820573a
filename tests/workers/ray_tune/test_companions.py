"""Trials of several processes: placed together, each with its rank, all hearing the same decisions."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as distributed

from hpsearch.jobs import Completed, Job, JobResult, Pruned, Report, Reporter
from hpsearch.records import Decision
from tests.workers.ray_tune.crew import PATIENCE, Crew, crew_of

pytestmark = pytest.mark.slow


class Sums:
    """Sums the ranks over the processes of a job at every step, as DDP sums gradients."""

    def __init__(self, *, folder: str) -> None:
        self._folder = Path(folder)

    def __call__(self, job: Job, report: Reporter, started: Callable[[], None]) -> JobResult:
        started()
        distributed.init_process_group("gloo", init_method="env://")
        try:
            return self._train(job, report)
        finally:
            distributed.destroy_process_group()

    def _train(self, job: Job, report: Reporter) -> JobResult:
        rank, steps = distributed.get_rank(), 0
        decision = Decision.CONTINUE
        while decision is Decision.CONTINUE and steps < 4:
            steps += 1
            total = torch.tensor([rank + 1.0])
            distributed.all_reduce(total)
            decision = report(Report(steps, {"val/loss": float(total)}, float(steps)))
        (self._folder / job.run / f"rank-{rank}").write_text(f"{distributed.get_world_size()} {steps}")
        return Completed(scores={"sum": float(total)})


def make_sums(**arguments: Any) -> Sums:
    return Sums(**arguments)


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    target = "tests.workers.ray_tune.test_companions:make_sums"
    with crew_of(tmp_path_factory.mktemp("companions"), target, "search.resources.processes=2") as crew:
        yield crew


def ranks(crew: Crew) -> list[str]:
    """Return `WORLD_SIZE STEPS` of each rank of the last job, once all have written it."""
    folder = max((crew.folder / "trials").iterdir())
    deadline = time.monotonic() + PATIENCE
    while len(found := sorted(folder.glob("rank-*"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return [path.read_text() for path in found]


def test_the_processes_of_a_trial_meet(crew: Crew) -> None:
    assert crew.workers.idle == 1  # two processes each: the cluster's two CPUs hold one trial
    for _ in range(2):  # the second job meets in the same processes
        ended = crew.run("sum")
        assert isinstance(ended, Completed)
        assert ended.scores == {"sum": 3.0}
        assert ranks(crew) == ["2 4", "2 4"]


def test_all_ranks_hear_the_decision(crew: Crew) -> None:
    assert crew.run("sum", decision=Decision.PRUNE) == Pruned(seconds=1.0)
    crew.hearing.decision = Decision.CONTINUE
    pruned = max((crew.folder / "trials").iterdir())
    ended = crew.run("sum")
    assert isinstance(ended, Completed)
    assert [path.read_text() for path in sorted(pruned.glob("rank-*"))] == ["2 1", "2 1"]
