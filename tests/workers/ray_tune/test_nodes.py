"""Several nodes: two raylets on this machine with resources of their own, one of which dies half-way."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hpsearch.experiment.events import Event, Notice, ReportEvent
from hpsearch.records import Outcome
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from hpsearch.workers.engines import Cluster
from hpsearch.workers.ray_tune.cluster import describe
from tests.logs import read_log
from tests.ray_cluster import importable_tests
from tests.toy_spaces import write_space

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster as Nodes

pytestmark = pytest.mark.slow


@pytest.fixture
def nodes() -> Iterator["Nodes"]:
    from ray.cluster_utils import Cluster as Nodes

    with importable_tests():
        cluster = Nodes(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        try:
            cluster.add_node(num_cpus=1, resources={"scratch": 2})
            yield cluster
        finally:
            cluster.shutdown()


class NodeDeath:
    """Ends a node's raylet, as a power cut would, once both nodes have reported."""

    def __init__(self, nodes: "Nodes") -> None:
        self._nodes = nodes
        self._heard: set[str] = set()
        self.happened = False

    def observe(self, event: Event | Notice) -> None:
        if not isinstance(event, ReportEvent):
            return
        self._heard.add(event.run)
        if len(self._heard) == 2 and event.step >= 3 and not self.happened:
            self.happened = True
            (worker,) = self._nodes.worker_nodes
            self._nodes.remove_node(worker, allow_graceful=False)


def test_a_search_outlives_a_node(tmp_path: Path, nodes: "Nodes") -> None:
    path = write_space(tmp_path, trials=4, workers="auto", epochs=6, data="data: {seconds: 1}")
    space = load_space(path, overrides=["search.engine=ray"])
    death = NodeDeath(nodes)
    options = RunOptions(cluster=Cluster(nodes.address), observers=[death])
    record = run(space, folder=tmp_path / "toy", options=options).record
    assert death.happened
    assert [trial.outcome for trial in record.trials] == [Outcome.COMPLETE] * 4
    assert [step for trial in record.trials for step, _ in trial.history] == [1, 2, 3, 4, 5, 6] * 4
    lost = [event for event in read_log(tmp_path / "toy" / "log.jsonl") if event["event"] == "lost"]
    assert len(lost) == 1
    assert lost[0]["reason"] in ("its node is out of reach", "its process died")  # whatever Ray notices first
    assert max(trial.attempts for trial in record.trials) == 2


def test_trials_are_placed_where_their_resources_are(tmp_path: Path, nodes: "Nodes") -> None:
    text = describe(Cluster(nodes.address), None)
    assert "2 fit at once" in text
    path = write_space(tmp_path, trials=3, workers="auto", data="data: {seconds: 0.1}")
    space = load_space(path, overrides=["search.engine=ray", "search.resources.custom={scratch: 2}"])
    record = run(space, folder=tmp_path / "toy", options=RunOptions(cluster=Cluster(nodes.address))).record
    assert [trial.outcome for trial in record.trials] == [Outcome.COMPLETE] * 3
    running = 0
    for event in read_log(tmp_path / "toy" / "log.jsonl"):  # only one node has the resource, once
        running += {"begin": 1, "outcome": -1}.get(event["event"], 0)
        assert running <= 1
