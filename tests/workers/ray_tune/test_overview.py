"""What a trial occupies, how many fit on the nodes, and how `hpsearch cluster` shows it."""

import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from hpsearch.errors import SearchFailedError
from hpsearch.experiment.layout import LOG
from hpsearch.experiment.log import Log
from hpsearch.jobs import ObjectiveSpec
from hpsearch.space.search_settings import Resources, Search
from hpsearch.workers.engines import Cluster, EngineContext
from hpsearch.workers.machine import core_count
from hpsearch.workers.ray_tune import cluster
from hpsearch.workers.ray_tune.cluster import ClusterNode, Connection, Demand, demand_of, living_nodes, places, room
from hpsearch.workers.ray_tune.workers import TuneWorkers
from tests.toy_spaces import toy_space

PLAIN = ClusterNode("10.0.0.1", {"CPU": 4})
DOUBLE = ClusterNode("10.0.0.2", {"CPU": 16, "GPU": 2})


@pytest.mark.parametrize(
    ("resources", "nodes", "bundle"),
    [
        (Resources(), [PLAIN], {"CPU": 1}),
        (Resources(), [PLAIN, DOUBLE], {"CPU": 1, "GPU": 1}),
        (Resources(gpus=0), [DOUBLE], {"CPU": 1}),
        (Resources(gpus=2), [PLAIN], {"CPU": 1, "GPU": 2}),
        (Resources(cpus=0, trials_per_gpu=4), [DOUBLE], {"GPU": 0.25}),
        (Resources(cpus=2, custom={"scratch": 1}), [PLAIN], {"CPU": 2, "scratch": 1}),
        (Resources(cpus=0), [PLAIN], {}),
    ],
)
def test_a_trial_asks_for_a_gpu_where_there_are_any(
    resources: Resources, nodes: list[ClusterNode], bundle: dict[str, float]
) -> None:
    assert demand_of(resources, nodes) == Demand(bundle)


@pytest.mark.parametrize(
    ("bundle", "offers", "count"),
    [
        ({"CPU": 1}, {"CPU": 4}, 4),
        ({"CPU": 1.5}, {"CPU": 4}, 2),
        ({"CPU": 0.1}, {"CPU": 0.3}, 3),  # although 0.3 / 0.1 is less than 3
        ({"CPU": 8}, {"CPU": 4}, 0),
        ({"CPU": 1, "GPU": 1}, {"CPU": 16, "GPU": 2}, 2),
        ({"CPU": 4, "GPU": 0.5}, {"CPU": 8, "GPU": 2}, 2),
        ({"GPU": 0.5}, {"GPU": 2}, 4),
        ({"GPU": 0.6}, {"GPU": 2}, 2),  # none lies on both GPUs
        ({"GPU": 1 / 3}, {"GPU": 2}, 6),
        ({"GPU": 2}, {"GPU": 3}, 1),
        ({"GPU": 1}, {"CPU": 16}, 0),
        ({"CPU": 1, "scratch": 2}, {"CPU": 16, "scratch": 5}, 2),
        ({"scratch": 1}, {"CPU": 16}, 0),
    ],
)
def test_places_of_a_node(bundle: dict[str, float], offers: dict[str, float], count: int) -> None:
    assert places(bundle, offers) == count


def test_what_asks_for_nothing_fits_everywhere() -> None:
    assert places({}, {}) > 100
    assert room(Demand({}), [PLAIN]) > 100
    assert str(Demand({})) == "nothing"


def test_the_processes_of_a_trial_may_lie_on_several_nodes() -> None:
    three = ClusterNode("10.0.0.3", {"CPU": 3})
    assert room(Demand({"CPU": 1}), [three, three]) == 6
    assert room(Demand({"CPU": 1}, processes=2), [three, three]) == 3
    assert room(Demand({"CPU": 1}, processes=4), [three, three]) == 1
    assert room(Demand({"CPU": 2}, processes=3), [three, three]) == 0
    assert str(Demand({"CPU": 2, "GPU": 0.5}, processes=3)) == "3 processes of 2 CPU + 0.5 GPU"


def test_no_nodes_have_no_room() -> None:
    assert room(Demand({"CPU": 1}), []) == 0


def test_a_process_computes_with_the_cores_it_has() -> None:
    threads = {cpus: Demand({"CPU": cpus}).threads for cpus in (0.5, 1, 2.5, 4)}
    assert threads == {0.5: 1, 1: 1, 2.5: 2, 4: 4}
    assert Demand({"GPU": 1}).threads == 1


class FakeRay:
    """Answers as Ray does: with dead nodes, and with resources that it has made up for itself."""

    def nodes(self) -> list[dict[str, object]]:
        offered = {"CPU": 4.0, "scratch": 2.0}
        made_up = {
            "memory": 1e9,
            "object_store_memory": 1e9,
            "node:10.0.0.1": 1.0,
            "node:__internal_head__": 1.0,
            "accelerator_type:A100": 1.0,
            "CPU_group_0_1f": 1.0,
            "bundle_group_1f": 1000.0,
        }
        return [
            {"NodeManagerAddress": "10.0.0.1", "Alive": True, "Resources": offered | made_up},
            {"NodeManagerAddress": "10.0.0.9", "Alive": False, "Resources": offered},
        ]


def test_only_living_nodes_count_with_what_a_user_may_ask_for() -> None:
    assert living_nodes(FakeRay()) == [ClusterNode("10.0.0.1", {"CPU": 4.0, "scratch": 2.0})]


def described(monkeypatch: pytest.MonkeyPatch, search: Search | None) -> list[str]:
    """Return the overview of two nodes."""
    monkeypatch.setattr(cluster, "_nodes", lambda _: [DOUBLE, ClusterNode("10.0.0.1", {"CPU": 4, "scratch": 1})])
    return cluster.describe(Cluster("10.0.0.1:6379"), search).splitlines()


def test_the_overview_of_two_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    search = Search(trials=60, resources=Resources(cpus=2, gpus=0.5))
    assert described(monkeypatch, search) == [
        "node      CPU  GPU  scratch  processes",
        "10.0.0.1    4    0        1          0",
        "10.0.0.2   16    2        0          4",
        "",
        "A trial occupies 2 CPU + 0.5 GPU; 4 fit at once.",
        "The space asks for 60 trials with workers: auto, so 4 at a time.",
    ]


def test_workers_bound_the_trials_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    (*_, last) = described(monkeypatch, Search(workers=3, resources=Resources(gpus=0)))
    assert last == "The space asks for 50 trials with workers: 3, so 3 at a time."


def test_without_a_space_the_overview_is_of_a_plain_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    (*_, last) = described(monkeypatch, None)
    assert last == "A trial occupies 1 CPU + 1 GPU; 2 fit at once."


def test_without_an_address_it_is_of_this_machine() -> None:
    (head, row, *_) = cluster.describe(Cluster(), None).splitlines()
    assert head.split() == ["node", "CPU", "GPU", "processes"]
    assert row.split()[:3] == ["this", "machine", str(core_count())]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "no Ray cluster at 127.0.0.1:1: nothing answers"),
        pytest.param("ray://127.0.0.1:10001", "hpsearch joins a cluster", marks=pytest.mark.slow),
        pytest.param("nonsense", "no Ray cluster at nonsense", marks=pytest.mark.slow),
    ],
)
def test_a_wrong_address_is_said_in_a_sentence(address: str, said: str, tmp_path: Path) -> None:
    """In a process of its own: Ray reads settings when it is imported. Ray itself would go on trying for minutes."""
    command = [sys.executable, "-m", "hpsearch", "cluster", "--address", address]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=300)
    assert ended.returncode == 2
    assert ended.stdout == ""
    (sentence,) = ended.stderr.splitlines()
    assert sentence.startswith("hpsearch: ")
    assert said in sentence


class Dying(FakeRay):
    """A cluster whose nodes die, and come back if they are started again."""

    alive = True

    def nodes(self) -> list[dict[str, object]]:
        return [{**node, "Alive": self.alive and node["Alive"]} for node in super().nodes()]


def test_a_cluster_without_a_living_node_is_waited_for_a_while_and_then_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when its raylet was killed: Ray itself would wait for ever."""
    now, ray, connection = [0.0], Dying(), SimpleNamespace(is_gone=False)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with closing(Log(tmp_path / LOG)) as log:
        context = EngineContext(tmp_path, log, toy_space(tmp_path), ObjectiveSpec("x:y", {}), lock=-1)
        found = TuneWorkers(context)
        found._ray, found._connection, found._demand = ray, connection, Demand({"CPU": 1})  # type: ignore[assignment]

        def look(after: float) -> int:
            now[0] += after
            return found.idle

        assert look(0) == 1
        ray.alive = False
        assert [look(5) for _ in range(5)] == [0] * 5
        ray.alive = True
        assert look(5) == 1
        ray.alive = False
        assert [look(5) for _ in range(6)] == [0] * 6
        assert not connection.is_gone
        with pytest.raises(SearchFailedError, match="no living node for 30 s; nothing that was finished is lost"):
            look(5)
        assert connection.is_gone


@pytest.mark.parametrize("gone", [True, False])
def test_a_cluster_that_is_gone_is_left_within_bounded_time(gone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_LEAVING_SECONDS", 0.01)
    left, answer = threading.Event(), threading.Event()

    class Waiting:
        def shutdown(self) -> None:
            answer.wait(30 if gone else 0)
            left.set()

    connection = object.__new__(Connection)
    connection.is_gone = gone
    connection._shut_down(Waiting())
    assert left.is_set() is not gone
    answer.set()
