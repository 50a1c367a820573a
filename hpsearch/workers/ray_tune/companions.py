"""The other processes of a trial that has several: Ray actors in the trial's placement group, a rank each.

Every rank runs the same job, with the variables that torch's `env://` rendezvous reads (RANK, WORLD_SIZE, LOCAL_RANK,
MASTER_ADDR, MASTER_PORT). Rank 0, the trainable's own, speaks to the coordinator; the others hear its decisions.
"""

import os
import queue
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from hpsearch.jobs import Job, ObjectiveSpec, Report
from hpsearch.records import Decision
from hpsearch.workers.running import Runner

_RETURN_SECONDS = 10.0
"""How long the other ranks may take to return from a job that rank 0 has left."""


class Companion:
    """One of the other ranks; it keeps its objective from job to job."""

    def __init__(self) -> None:
        self._runner: Runner | None = None
        self._decisions: queue.Queue[Decision] = queue.Queue()

    def node(self) -> str:
        """Return the node that this process runs on."""
        return str(ray.get_runtime_context().get_node_id())

    def run(self, order: Mapping[str, Any], variables: Mapping[str, str]) -> None:
        """Run the job of an order as the rank that the variables say."""
        os.environ.update(variables)
        self._decisions = queue.Queue()
        self._runner = self._runner or Runner(Path(order["folder"]), ObjectiveSpec(**order["objective"]))
        self._runner.run(Job.from_json(order["job"]), self._report, lambda: None)

    def decide(self, decision: str) -> None:
        """Take rank 0's decision about the report that all ranks make."""
        self._decisions.put(Decision(decision))

    def _report(self, _: Report) -> Decision:
        return self._decisions.get()


class Companions:
    """The other ranks of a trainable's trials, seen from rank 0; there are none for a trial of one process."""

    def __init__(self, processes: int) -> None:
        group = ray.util.get_current_placement_group()
        self._others = [_start(group, index) for index in range(1, processes)]
        self._running: list[Any] = []

    def begin(self, order: Mapping[str, Any], lost: Callable[[], None]) -> None:
        """Start the job on every other rank, and give this process its own rank; `lost` is called when one dies."""
        if not self._others:
            return
        try:
            ray.get(self._running, timeout=_RETURN_SECONDS)
        except ray.exceptions.GetTimeoutError:
            lost()
        nodes = [
            str(ray.get_runtime_context().get_node_id()),
            *ray.get([other.node.remote() for other in self._others]),
        ]
        shared = {
            "WORLD_SIZE": str(len(nodes)),
            "MASTER_ADDR": str(ray.util.get_node_ip_address()),  # type: ignore[no-untyped-call] # Ray's
            "MASTER_PORT": str(_free_port()),
        }
        places = [
            {**shared, "RANK": str(rank), "LOCAL_RANK": str(nodes[:rank].count(node))}
            for rank, node in enumerate(nodes)
        ]
        own, *rest = places
        os.environ.update(own)
        pairs = zip(self._others, rest, strict=True)
        self._running = [other.run.remote(dict(order), place) for other, place in pairs]
        threading.Thread(target=_watch, args=(self._running, lost), daemon=True, name="companions").start()

    def decide(self, decision: Decision) -> None:
        """Let the other ranks do what this one does."""
        for other in self._others:
            other.decide.remote(decision.value)


def _start(group: Any, index: int) -> Any:
    """Start a process in a bundle of the trial's placement group, with all that the bundle reserves."""
    bundle = dict(group.bundle_specs[index])
    strategy = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=index)
    options = {
        "num_cpus": bundle.pop("CPU", 0),
        "num_gpus": bundle.pop("GPU", 0),
        "resources": bundle,
        "max_concurrency": 2,  # it hears decisions while it trains
        "scheduling_strategy": strategy,
    }
    return ray.remote(Companion).options(**options).remote()


def _watch(running: list[Any], lost: Callable[[], None]) -> None:
    """Wait for the other ranks to return; a rank that died leaves the rest waiting for it in a collective."""
    try:
        ray.get(running)
    except ray.exceptions.RayError:
        lost()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
