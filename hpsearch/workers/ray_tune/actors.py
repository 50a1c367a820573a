"""What runs in Ray's actors: a Ray Tune trainable that trains one job after another without a new process.

The job trains in a thread, since it pushes reports where Tune pulls results. A result is one message as JSON; that Tune
asks for the next one is the answer `continue`; all else that it does with a trial means: stop, the checkpoint stands.

The other processes of a trial that has several are actors in its placement group, a rank each. Every rank runs the same
job, with the variables that torch's `env://` rendezvous reads (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT).
Rank 0, the trainable's own, speaks to the coordinator; the others hear its decisions.
"""

import json
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from hpsearch.errors import SearchFailedError
from hpsearch.jobs import Failed, Job, JobResult, ObjectiveSpec, Obstacle, Report, result_to_json
from hpsearch.records import Decision, Moment
from hpsearch.workers.failures import current_traceback, reason_of
from hpsearch.workers.job_runner import JobRunner
from hpsearch.workers.leftovers import adopt_marked_orphans
from hpsearch.workers.ray_tune.storage import Storage

STOP_SECONDS = 10.0
"""How long a stopped training may take to return before its process is given up."""
_TOLD_SECONDS = 30.0
"""Seconds from one word about the data to the next."""
_RETURN_SECONDS = 10.0
"""How long the other ranks may take to return from a job that rank 0 has left."""


class Companion:
    """One of the other ranks; it keeps its objective from job to job."""

    def __init__(self) -> None:
        adopt_marked_orphans()
        self._runner: JobRunner | None = None
        self._decisions: queue.Queue[Decision] = queue.Queue()

    def node(self) -> str:
        """Return the node that this process runs on."""
        return str(ray.get_runtime_context().get_node_id())

    def run(self, order: Mapping[str, Any], variables: Mapping[str, str]) -> None:
        """Run the job of an order as the rank that the variables say."""
        os.environ.update(variables)
        self._decisions = queue.Queue()
        self._runner = self._runner or JobRunner(Path(order["folder"]), ObjectiveSpec(**order["objective"]))
        self._runner.run(Job.from_json(order["job"]), self._report, lambda: None)

    def decide(self, decision: str) -> None:
        """Take rank 0's decision about the report that all ranks make."""
        self._decisions.put(Decision(decision))

    def _report(self, _: Report | Moment) -> Decision:
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


class JobThread:
    """One job, in a thread of its own."""

    def __init__(self, runner: JobRunner, job: Job, storage: Storage, companions: Companions) -> None:
        self._messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self._decisions: queue.Queue[Decision] = queue.Queue()
        self._runner = runner
        self._job = job
        self._storage = storage
        self._companions = companions
        self._asked = self._stopped = False
        self._obstacle: str | None = None
        """What the storage said when it failed."""
        self._told = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True, name=job.run)
        self._thread.start()

    def _run(self) -> None:
        self._say("begun")
        try:
            self._storage.fetch(self._job.run, former=True)
            result: JobResult = self._runner.run(self._job, self._report, lambda: self._say("started"))
            if self._obstacle is None:
                self._storage.leave(self._job.run)
        except SearchFailedError as error:
            self._obstacle = str(error)
        except BaseException as error:  # noqa: BLE001 -- nothing may end this thread without a word
            result = Failed(reason_of(error), details=current_traceback())
        if self._obstacle is not None:  # the storage failed, not the training: it goes on another time
            result = Obstacle(self._obstacle)
        self._say("ended", **result_to_json(result))

    def _say(self, kind: str, **fields: Any) -> None:
        self._messages.put({"kind": kind, **fields})

    def _report(self, report: Report | Moment) -> Decision:
        """Answer a report; what is told in between stays here, where each message would be a step of Tune's.

        Now and then it is said how far the data are: their time is limited while nothing is heard of them. What is to
        be said once, such as a damaged checkpoint, goes on.
        """
        if self._stopped:
            return Decision.PAUSE
        if isinstance(report, Moment):
            if report.note or (report.preparing and time.monotonic() - self._told > _TOLD_SECONDS):
                self._told = time.monotonic()
                self._say("moment", **asdict(report))
            return Decision.CONTINUE
        try:
            self._storage.keep(self._job.run)
        except SearchFailedError as error:
            self._obstacle, self._stopped = str(error), True
            decision = Decision.PAUSE
        else:
            self._say("report", **asdict(report))
            decision = self._decisions.get()
        self._companions.decide(decision)
        return decision

    def next_message(self) -> dict[str, Any]:
        """Let the training go on, and return what it says next."""
        if self._asked:
            self._decisions.put(Decision.CONTINUE)
        message = self._messages.get()
        self._asked = message["kind"] == "report"
        return message

    def stop(self) -> bool:
        """Have the training return at its next report; say whether it did."""
        self._stopped = True
        self._decisions.put(Decision.PAUSE)
        self._thread.join(STOP_SECONDS)
        return not self._thread.is_alive()


class JobTrainable(tune.Trainable):
    """Ray Tune's face of a worker. `config` has `order`, JSON: the job, the objective, folders, resources."""

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """Reserve a bundle for each process of the trial, together if they fit on a node."""
        order = json.loads(config["order"])
        return tune.PlacementGroupFactory([order["bundle"]] * order["processes"], strategy="PACK")

    def setup(self, config: dict[str, Any]) -> None:
        """Begin the actor's first job."""
        adopt_marked_orphans()
        order = json.loads(config["order"])
        self._runner = JobRunner(Path(order["folder"]), ObjectiveSpec(**order["objective"]))
        self._companions = Companions(order["processes"])
        self._begin(order)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin the next job in the same process, unless the last one hangs: then this process is of no more use.

        The order comes again to another process. To return False, as Tune offers, would lose it without a word.
        """
        if not self._training.stop():
            _end()
        self._begin(json.loads(new_config["order"]))
        return True

    def _begin(self, order: Mapping[str, Any]) -> None:
        self._companions.begin(order, lost=_end)
        storage = Storage(Path(order["folder"]), order["storage"])
        self._training = JobThread(self._runner, Job.from_json(order["job"]), storage, self._companions)

    def step(self) -> dict[str, Any]:
        """Return the training's next message."""
        message = self._training.next_message()
        return {"message": json.dumps(message), "done": message["kind"] == "ended"}

    def cleanup(self) -> None:
        """End the training that is under way."""
        self._training.stop()


def _end() -> None:
    """End this process at once: the coordinator takes that for a loss, and the job goes on from its checkpoint."""
    os._exit(1)
