"""The engine's end of Ray Tune: the Workers contract, kept by a cluster."""

import contextlib
import queue
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.errors import HpsearchError, SearchFailedError
from hpsearch.experiment.events import TextNotice
from hpsearch.experiment.reading import read_resolved
from hpsearch.jobs import (
    Ending,
    Job,
    JobListener,
    Lost,
    Obstacle,
    OutOfMemory,
    Report,
    Workers,
    result_from_json,
    stopped,
)
from hpsearch.records import Decision, Moment
from hpsearch.workers.engines import EngineContext
from hpsearch.workers.machine import core_count
from hpsearch.workers.ray_tune.cluster import ClusterNode, Connection, Demand, demand_of, import_ray, living_nodes, room
from hpsearch.workers.ray_tune.storage import Storage

if TYPE_CHECKING:
    from hpsearch.workers.ray_tune.tuning import Tuning

_LOOK_SECONDS = 2.0
"""How often the cluster is asked for its nodes: they come and go."""
GONE_SECONDS = 30.0
"""After how long without any living node the cluster is gone: its raylets have died, say, and nothing starts again."""
CLOSE_SECONDS, GONE_CLOSE_SECONDS = 60.0, 5.0
"""How long Tune may take to end what it has begun, on a cluster that lives and on one that is gone."""
_FALSE_STARTS = 2
_NODE_MEMORY = "address the out of memory issue"
"""What Ray says when its memory monitor has ended a process, and only then."""
_SHARE = "hpsearch.workers.ray_tune.node_data:shared"


def open_workers(context: EngineContext) -> Workers:
    """Return workers on a cluster, which is joined when the first job comes.

    Raises:
        HpsearchError: The command asks for trials in this process.

    """
    if context.in_process:
        raise HpsearchError("the engine ray runs trials in processes of its own; --in-process goes with local")
    return TuneWorkers(context)


class TuneWorkers:
    """Trials on Ray Tune. A job is an order with a ticket, since a job that was lost is ordered again."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._search = context.space.search
        self._storage = Storage(context.folder, _place(context))
        self._storage.try_out()
        self._jobs: dict[int, Job] = {}
        self._settled: set[str] = set()
        self._false_starts: Counter[str] = Counter()
        self._tickets = 0
        self._looked = float("-inf")
        self._alive = time.monotonic()
        """When the cluster had a living node last."""
        self._nodes = self._slots = 0
        self._stack = contextlib.ExitStack()
        self._ray: Any = None

    def _join(self) -> None:
        """Join the cluster and start Tune.

        Raises:
            HpsearchError: There is no such cluster, or no node has room for a trial.

        """
        address = self._context.cluster.address
        text = f"joining the Ray cluster at {address}" if address else "starting Ray on this machine"
        for observer in self._context.observers:
            observer.observe(TextNotice(text))
        self._ray = import_ray(self._context.cluster)  # first, since it sets what Ray reads when it is imported
        from hpsearch.workers.ray_tune.tuning import Tuning, Wire

        self._connection = Connection(self._context.cluster, cpus=self._own_cpus())
        self._alive = time.monotonic()
        self._stack.callback(self._connection.close)
        nodes = living_nodes(self._ray)
        self._demand = demand_of(self._search.resources, nodes)
        if not room(self._demand, nodes):
            raise HpsearchError(_no_room_sentence(self._demand, nodes))
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="hpsearch-tune-"))
        self._wire = Wire()
        tuning = Tuning(self._wire, Path(folder))
        self._stack.callback(self._end, tuning)

    def _own_cpus(self) -> int:
        """Return the CPUs that a cluster of our own offers: the machine's, or as many as the wanted workers occupy."""
        resources = self._search.resources
        workers = self._search.workers if isinstance(self._search.workers, int) else 1
        return max(core_count(), int(workers * resources.processes * max(1.0, resources.cpus)))

    @property
    def idle(self) -> int:
        """How many more jobs fit on the cluster now, and are wanted."""
        if self._ray is None:
            self._join()
        self._look()
        wanted = self._search.workers if isinstance(self._search.workers, int) else self._slots
        return max(0, min(wanted, self._slots) - len(self._jobs))

    def _look(self) -> None:
        """Count the nodes and what they have room for.

        Raises:
            SearchFailedError: For a while there has been none, so that nothing will ever be trained.
        """
        now = time.monotonic()
        if now - self._looked <= _LOOK_SECONDS:
            return
        nodes = living_nodes(self._ray)
        self._looked, self._nodes, self._slots = now, len(nodes), room(self._demand, nodes)
        if nodes:
            self._alive = now
        elif now - self._alive > GONE_SECONDS:
            self._connection.is_gone = True
            raise SearchFailedError(
                f"the Ray cluster has had no living node for {GONE_SECONDS:g} s; nothing that was finished is lost, "
                "and the same command goes on from here"
            )

    def start(self, job: Job) -> None:
        """Order a job."""
        if job.run not in self._settled:
            self._settled.add(job.run)
            self._storage.settle(job.run)
        else:
            self._storage.keep(job.run, copied=True)  # only a copy of another run changes here
        self._tickets += 1
        self._jobs[self._tickets] = job
        self._wire.most = max(self._wire.most, len(self._jobs))
        self._wire.orders.put(self._order(job))

    def _order(self, job: Job) -> dict[str, Any]:
        """Return all that an actor has to know, as plain data."""
        folder = self._context.folder.resolve()
        storage = _place(self._context)
        if storage is not None:  # the worker's machine need not have the experiment's folder
            folder = Path(tempfile.gettempdir()) / f"hpsearch-{_identity(self._context)}"
        spec = self._context.objective
        share = _SHARE if self._slots > self._nodes else None  # a node's only worker has nobody to share with
        placed = {"folder": str(folder), "threads": self._demand.threads, "share": share, "pauses_unheard": True}
        arguments = {name: placed.get(name, value) for name, value in spec.arguments.items()}
        return {
            "ticket": self._tickets,
            "job": job.to_json(),
            "objective": {"target": spec.target, "arguments": arguments},
            "folder": str(folder),
            "storage": storage,
            "bundle": dict(self._demand.bundle),
            "processes": self._demand.processes,
        }

    def serve(self, listener: JobListener, *, timeout: float) -> None:
        """Hand on what the trials said; wait for the first of them to speak."""
        if self._ray is None:  # paused before it began
            return
        self._look()
        with contextlib.suppress(queue.Empty):
            news = self._wire.news.get(timeout=timeout)
            while True:
                self._hear(news.ticket, dict(news.message), listener, news.answer)
                news = self._wire.news.get_nowait()

    def _hear(
        self, ticket: int, message: dict[str, Any], listener: JobListener, answer: "queue.Queue[bool] | None"
    ) -> None:
        kind = message.pop("kind")
        if kind == "broken":
            raise SearchFailedError(f"Ray Tune has stopped: {message['reason']}")
        job = self._jobs.get(ticket)
        if job is None:  # it was killed
            if answer:
                answer.put(False)
        elif kind == "ended":
            result = result_from_json(message)
            self._forget(ticket, kept=not isinstance(result, Obstacle), over=isinstance(result, Ending))
            listener.ended(job, result)
        elif kind == "lost":
            self._lose(ticket, job, listener, message["reason"])
        else:
            assert answer is not None  # noqa: S101 -- ours: Tune's scheduler asks with every report
            decision = self._answer(job, kind, message, listener)
            answer.put(decision is Decision.CONTINUE)
            if decision is not Decision.CONTINUE:
                result = stopped(decision, seconds=message["seconds"])
                self._forget(ticket, kept=True, over=isinstance(result, Ending))
                listener.ended(job, result)

    def _answer(self, job: Job, kind: str, message: dict[str, Any], listener: JobListener) -> Decision:
        if kind == "report":
            return listener.reported(job, Report(**message))
        if kind == "started":
            listener.started(job)
        if kind == "moment":
            listener.moment(job, Moment(**message))
        return Decision.CONTINUE

    def _lose(self, ticket: int, job: Job, listener: JobListener, reason: str) -> None:
        """Tell of an order that failed outside its training: memory of the node, or a process or node that died.

        One that never spoke was not begun: its process hung in the job before, or could not start. It is ordered again.
        """
        spoke = ticket in self._wire.actors
        self._forget(ticket)
        if not spoke and self._false_starts[job.run] < _FALSE_STARTS:
            self._false_starts[job.run] += 1
            self.start(job)
        elif _NODE_MEMORY in reason:
            listener.ended(job, OutOfMemory("its node ran out of memory, and Ray ended its process"))
        else:
            listener.ended(job, Lost(_death(reason)))

    def _forget(self, ticket: int, *, kept: bool = False, over: bool = False) -> None:
        """Take an order's files and forget it; what is not `kept` need not be in the storage."""
        job = self._jobs.pop(ticket)
        self._wire.actors.pop(ticket, None)
        self._storage.fetch(job.run, kept=kept, over=over)

    def kill(self, job: Job) -> None:
        """End the process of a job at once; Tune will start another one."""
        ticket = next(ticket for ticket, running in self._jobs.items() if running is job)
        actor = self._wire.actors.get(ticket)
        try:
            self._forget(ticket)
        finally:
            if actor is not None:
                self._ray.kill(actor)

    def _end(self, tuning: "Tuning") -> None:
        """End Tune and what it trains; where it does not come to an end, its cluster is gone."""
        patience = GONE_CLOSE_SECONDS if self._connection.is_gone else CLOSE_SECONDS
        if not tuning.close(self._kill_all, patience=patience):
            self._connection.is_gone = True

    def _kill_all(self) -> None:
        for job in list(self._jobs.values()):
            with contextlib.suppress(SearchFailedError):  # said already; what is kept is fetched another time
                self.kill(job)

    def close(self) -> None:
        """End what runs, Tune, and the cluster if it is our own."""
        self._stack.close()


def _identity(context: EngineContext) -> str:
    return str(read_resolved(context.folder)["id"])


def _place(context: EngineContext) -> str | None:
    """Return the location of the experiment's files in the storage."""
    storage = context.space.search.storage
    return f"{storage.rstrip('/')}/{context.folder.name}-{_identity(context)[:8]}" if storage else None


def _no_room_sentence(demand: Demand, nodes: list[ClusterNode]) -> str:
    offers = "; ".join(
        f"{node.address}: " + ", ".join(f"{amount:g} {name}" for name, amount in sorted(node.offers.items()))
        for node in nodes
    )
    return f"no room on the cluster for a trial of {demand} (search.resources); its nodes have {offers}"


def _death(reason: str) -> str:
    """Shorten what Ray says about an actor's end."""
    if "worker process has died" in reason or "died unexpectedly" in reason:
        return "its process died"
    if "is unavailable" in reason or "its node has died" in reason:
        return "its node is out of reach"
    last = [line.strip() for line in reason.splitlines() if line.strip()]
    return f"its worker failed: {last[-1] if last else 'no reason given'}"
