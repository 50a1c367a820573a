"""The workers of this machine: persistent processes, or this very process for a debugger."""

from collections.abc import Sequence
from multiprocessing.connection import wait
from pathlib import Path

from hpsearch.errors import HpsearchError
from hpsearch.experiment.events import TextNotice
from hpsearch.jobs import (
    Job,
    JobListener,
    JobResult,
    Lost,
    ObjectiveSpec,
    Workers,
    result_from_json,
)
from hpsearch.space.search_settings import Resources, Search
from hpsearch.workers.engines import EngineContext
from hpsearch.workers.job_runner import answer_of
from hpsearch.workers.local.in_process import InProcessWorkers
from hpsearch.workers.local.packed import PackedWorkers
from hpsearch.workers.local.processes import EarlyServer, Launcher, WorkerGroup, WorkerProcess
from hpsearch.workers.machine import Share, shares


def open_workers(context: EngineContext) -> Workers:
    """Return the workers of this machine: processes, or this very process.

    Of the search's resources, only the part of a GPU and the number of processes mean something here.

    Raises:
        HpsearchError: The space or the command asks for a cluster, or for several processes in this one.

    """
    if context.cluster.address is not None:
        raise HpsearchError(
            f"the cluster at {context.cluster.address} is of no use to the engine local; say --engine ray"
        )
    resources = context.space.search.resources
    if resources.custom:
        raise HpsearchError("search.resources: custom resources need the engine ray")
    if context.in_process:
        if resources.processes > 1:
            raise HpsearchError("search.resources.processes: --in-process is a single process; leave one of them out")
        return InProcessWorkers(context.objective)
    placed = worker_shares(context.space.search, jobs=context.jobs)
    if "lanes" in context.objective.arguments:

        def tell(text: str) -> None:
            for observer in context.observers:
                observer.observe(TextNotice(text))

        return PackedWorkers(
            context.folder, context.objective, placed, inherited=[context.lock], early=context.early, tell=tell
        )
    return ProcessWorkers(
        context.folder,
        context.objective,
        placed,
        processes=resources.processes,
        inherited=[context.lock],
        early=context.early,
    )


def worker_shares(search: Search, *, jobs: int) -> list[Share]:
    """Return the share of this machine that each worker of a search gets, if at most `jobs` jobs run at once."""
    resources = search.resources
    return shares(search.workers, jobs=jobs, per_gpu=_trials_per_gpu(resources), processes=resources.processes)


def _trials_per_gpu(resources: Resources) -> int:
    share = resources.gpu_share(present=True)
    return int(1 / share) if 0 < share < 1 else 1


class ProcessWorkers:
    """A group of processes for each share of the machine, started when first needed and used for one job after another.

    A group has one process, unless the trainings of the experiment have several.
    """

    def __init__(
        self,
        folder: Path,
        spec: ObjectiveSpec,
        shares: Sequence[Share],
        *,
        processes: int = 1,
        inherited: Sequence[int] = (),
        early: EarlyServer | None = None,
    ) -> None:
        self._folder = folder
        self._spec = spec
        self._processes = processes
        self._launcher = Launcher(spec, shares, inherited=inherited, early=early)
        self._free_shares = list(reversed(shares))
        self._share_of: dict[WorkerGroup, Share] = {}

    @property
    def idle(self) -> int:
        """How many more jobs can be started now."""
        return len(self._free_shares) + sum(group.job is None for group in self._share_of)

    def start(self, job: Job) -> None:
        """Give the job to an idle group, or to a new one."""
        group = next((group for group in self._share_of if group.job is None), None)
        if group is None:
            share = self._free_shares.pop()
            group = WorkerGroup(self._folder, self._spec, share, self._launcher, size=self._processes)
            self._share_of[group] = share
        group.start(job)

    def serve(self, listener: JobListener, *, timeout: float) -> None:
        """Wait for messages from any worker and tell the listener."""
        places = {process.connection: (group, process) for group in self._share_of for process in group.processes}
        for connection in wait(list(places), timeout):
            group, process = places[connection]  # type: ignore[index] # wait() returns the very objects it was given
            if group in self._share_of:
                self._hear(group, process, listener)
        for group in [group for group in self._share_of if group.overdue]:
            self._end(group, group.result, listener)

    def _hear(self, group: WorkerGroup, process: WorkerProcess, listener: JobListener) -> None:
        message, job = process.receive(), group.job
        if message is None:
            self._forget(group)
            how = group.kill(process)
            if job is not None:
                listener.ended(job, Lost(how))
            return
        if job is None:
            raise AssertionError(f"a message from a worker without a job: {message}")
        kind = message.pop("kind")
        if kind in ("report", "moment"):
            process.send(decision=answer_of(listener, job, kind, message))
        elif kind == "started":
            if process is group.first:
                listener.started(job)
        else:
            group.returned(process, result_from_json(message))
            if group.settled:
                self._end(group, group.result, listener)

    def _end(self, group: WorkerGroup, result: JobResult, listener: JobListener) -> None:
        """Hand on how a job ended; processes that are still at it are of no more use."""
        job = group.job
        assert job is not None  # noqa: S101 -- ours: what ends was begun
        if group.complete:
            group.job = None
        else:
            self._forget(group)
            group.kill()
        listener.ended(job, result)

    def _forget(self, group: WorkerGroup) -> None:
        self._free_shares.append(self._share_of.pop(group))

    def kill(self, job: Job) -> None:
        """End the processes of a job at once; their share of the machine becomes free."""
        group = next(group for group in self._share_of if group.job is job)
        self._forget(group)
        group.kill()

    def close(self) -> None:
        """End all processes: idle ones by themselves, all at a time, busy ones at once."""
        for group in self._share_of:
            if group.job is None:
                group.dismiss()
        for group in self._share_of:
            if group.job is None:
                group.close()
            else:
                group.kill()
        self._share_of.clear()
        self._launcher.close()
