"""The workers of every engine keep one contract; each test starts new ones, those of other processes in slow tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hpsearch.experiment.layout import LOG
from hpsearch.experiment.log import Log
from hpsearch.jobs import ObjectiveSpec, Workers
from hpsearch.running.loading import load_space
from hpsearch.testing import WorkersSuite
from hpsearch.workers.engines import EngineContext, open_workers
from tests.ray_cluster import own_cluster
from tests.toy_spaces import write_space


def opened(engine: str, folder: Path, objective: ObjectiveSpec, *, in_process: bool = False) -> Workers:
    space = load_space(write_space(folder), overrides=[f"search.engine={engine}", "search.workers=2"])
    (folder / LOG).touch()
    lock = (folder / "lock").open("w").fileno()
    return open_workers(
        EngineContext(folder, Log(folder / LOG), space, objective, lock=lock, jobs=2, in_process=in_process)
    )


class TestThisProcess(WorkersSuite):
    separate = False

    def open(self, folder: Path, objective: ObjectiveSpec) -> Workers:
        return opened("local", folder, objective, in_process=True)


@pytest.mark.slow
class TestLocal(WorkersSuite):
    def open(self, folder: Path, objective: ObjectiveSpec) -> Workers:
        return opened("local", folder, objective)


@pytest.fixture(scope="class")
def cluster() -> Iterator[None]:
    with own_cluster(cpus=2):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
class TestRay(WorkersSuite):
    def open(self, folder: Path, objective: ObjectiveSpec) -> Workers:
        return opened("ray", folder, objective)
