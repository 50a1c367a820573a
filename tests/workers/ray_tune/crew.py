"""Ray's actors as workers, driven as the coordinator drives them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hpsearch.experiment.layout import LOG, OUTPUT
from hpsearch.experiment.log import Log
from hpsearch.jobs import Completed, Job, JobResult, ObjectiveSpec
from hpsearch.records import Decision
from hpsearch.running.loading import load_space
from hpsearch.workers.engines import EngineContext
from hpsearch.workers.ray_tune.workers import TuneWorkers
from tests.ray_cluster import own_cluster
from tests.running.hearing import Hearing
from tests.running.sessions import PATIENCE
from tests.toy_spaces import write_space


class Crew:
    """The workers, driven as the coordinator drives them."""

    def __init__(self, workers: TuneWorkers, folder: Path) -> None:
        self.workers = workers
        self.folder = folder
        self.hearing = Hearing()
        self._jobs = 0

    def start(self, deed: str, **params: object) -> Job:
        job = Job(f"trials/{self._jobs:04d}", self._jobs, {"deed": deed, **params}, config={}, seeds={})
        self._jobs += 1
        (self.folder / job.run).mkdir(parents=True)
        self.serve_until(lambda: self.workers.idle)
        self.workers.start(job)
        return job

    def serve_until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "it never came true"
            self.workers.serve(self.hearing, timeout=0.1)

    def run(self, deed: str, *, decision: Decision = Decision.CONTINUE, **params: object) -> JobResult | str:
        """Run a job to its end; return its result, or why it was lost."""
        self.hearing.decision = decision
        job = self.start(deed, **params)
        self.serve_until(lambda: job.run in self.hearing.endings or job.run in self.hearing.losses)
        return self.hearing.endings.get(job.run) or self.hearing.losses[job.run]

    def pid(self) -> float:
        ended = self.run("nothing")
        assert isinstance(ended, Completed)
        return ended.scores["pid"]

    def output(self) -> str:
        return (self.folder / f"trials/{self._jobs - 1:04d}" / OUTPUT).read_text(encoding="utf-8", errors="replace")


@contextmanager
def crew_of(folder: Path, target: str, *overrides: str, **arguments: Any) -> Iterator[Crew]:
    """Yield workers on a cluster of two CPUs that run the objective `target`."""
    space = load_space(write_space(folder), overrides=["search.engine=ray", *overrides])
    spec = ObjectiveSpec(target, {"folder": str(folder), **arguments})
    with own_cluster(cpus=2):
        actors = TuneWorkers(EngineContext(folder, Log(folder / LOG), space, spec, lock=-1))
        try:
            yield Crew(actors, folder)
        finally:
            actors.close()
