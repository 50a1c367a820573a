"""The workers of this machine where each trains several jobs at once (`search.pack`)."""

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from hpsearch.jobs import Job, JobListener, Lost, ObjectiveSpec, result_from_json
from hpsearch.workers.job_runner import answer_of
from hpsearch.workers.local.processes import EarlyServer, Launcher, WorkerProcess
from hpsearch.workers.machine import Share


class _PackProcess:
    """A process with the jobs it has. It takes one until it has said how many it can."""

    def __init__(self, process: WorkerProcess, share: Share) -> None:
        self.process = process
        self.share = share
        self.lanes = 1
        self.jobs: dict[str, Job] = {}

    @property
    def free(self) -> int:
        """How many more jobs it takes."""
        return max(0, self.lanes - len(self.jobs))


class PackedWorkers:
    """A process for each share of the machine, which holds as many jobs as it says.

    When a process is lost, so are all its jobs; each of them is then trained in a process that has no other, so that a
    job that ends its process every time does so to itself only.
    """

    def __init__(
        self,
        folder: Path,
        spec: ObjectiveSpec,
        shares: Sequence[Share],
        *,
        inherited: Sequence[int] = (),
        early: EarlyServer | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._folder = folder
        self._spec = spec
        self._launcher = Launcher(spec, shares, inherited=inherited, early=early)
        self._free_shares = list(reversed(shares))
        self._processes: list[_PackProcess] = []
        self._careful: set[str] = set()
        """The runs whose process was lost while it had others."""
        self._held: deque[Job] = deque()
        """Those of them that wait for an empty process."""
        self._lost: deque[tuple[Job, Lost]] = deque()
        self._tell = tell
        self._told: set[str] = set()

    @property
    def idle(self) -> int:
        """How many more jobs can be started now."""
        if self._held or self._lost:
            return 0
        return len(self._free_shares) + sum(each.free for each in self._processes if not self._is_careful(each))

    def _is_careful(self, each: _PackProcess) -> bool:
        return not self._careful.isdisjoint(each.jobs)

    def start(self, job: Job) -> None:
        """Give the job to a process that trains its shape and has a free lane, or else to the one with most."""
        if job.run in self._careful:
            self._held.append(job)
            self._start_held()
            return
        shape = _shape(job)
        free = [each for each in self._processes if each.free and not self._is_careful(each)]
        same = [each for each in free if any(_shape(other) == shape for other in each.jobs.values())]
        empty = [each for each in free if not each.jobs]
        if same:
            self._give(same[0], job)
        elif empty or self._free_shares:
            self._give(empty[0] if empty else self._new(), job)
        else:
            self._give(max(free, key=lambda each: each.free), job)

    def _new(self) -> _PackProcess:
        share = self._free_shares.pop()
        made = _PackProcess(WorkerProcess(self._folder, self._spec, share, self._launcher, packs=True), share)
        self._processes.append(made)
        return made

    def _give(self, each: _PackProcess, job: Job) -> None:
        each.jobs[job.run] = job
        each.process.send(kind="job", job=job.to_json())

    def _start_held(self) -> None:
        while self._held:
            empty = next((each for each in self._processes if not each.jobs), None)
            if empty is None and not self._free_shares:
                return
            self._give(empty or self._new(), self._held.popleft())

    def serve(self, listener: JobListener, *, timeout: float) -> None:
        """Wait for messages from any worker and tell the listener."""
        while self._lost:
            listener.ended(*self._lost.popleft())
        places = {each.process.connection: each for each in self._processes}
        for connection in wait(list(places), timeout):
            each = places[connection]  # type: ignore[index] # wait() returns the very objects it was given
            if each in self._processes:
                self._hear(each, listener)
        self._start_held()

    def _hear(self, each: _PackProcess, listener: JobListener) -> None:
        message = each.process.receive()
        if message is None:
            self._end(each, f"its process ended ({each.process.kill()})")
            while self._lost:
                listener.ended(*self._lost.popleft())
            return
        kind = message.pop("kind")
        if kind == "lanes":
            each.lanes = message["count"]
        elif kind == "text":
            self._tell_once(message["text"])
        else:
            self._hear_of(each, each.jobs[message.pop("run")], kind, message, listener)

    def _hear_of(
        self, each: _PackProcess, job: Job, kind: str, message: Mapping[str, Any], listener: JobListener
    ) -> None:
        if kind in ("report", "moment"):
            each.process.send(kind="decision", decision=answer_of(listener, job, kind, message))
        elif kind == "started":
            listener.started(job)
        else:
            del each.jobs[job.run]
            self._careful.discard(job.run)
            listener.ended(job, result_from_json(message))

    def _tell_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._tell(text)

    def _end(self, each: _PackProcess, how: str, *, but: Job | None = None) -> None:
        """Forget a process that is gone; its jobs are lost, but for one."""
        self._processes.remove(each)
        self._free_shares.append(each.share)
        jobs = [job for job in each.jobs.values() if job is not but]
        if len(each.jobs) > 1:
            self._careful |= {job.run for job in jobs}
        self._lost += [(job, Lost(how)) for job in jobs]

    def kill(self, job: Job) -> None:
        """End the process of a job at once; the others it has are lost, and go on from their checkpoints."""
        if job in self._held:
            self._held.remove(job)
            return
        each = next(each for each in self._processes if each.jobs.get(job.run) is job)
        each.process.kill()
        self._end(each, f"its process was ended with {job.run}", but=job)

    def close(self) -> None:
        """End all processes: idle ones by themselves, all at a time, busy ones at once."""
        for each in self._processes:
            if not each.jobs:
                each.process.dismiss()
        for each in self._processes:
            if each.jobs:
                each.process.kill()
            else:
                each.process.close()
        self._processes.clear()
        self._launcher.close()


def _shape(job: Job) -> str:
    """Return what trainings of one shape have in common, as far as a configuration tells: all but fractions."""
    return json.dumps(_whole(job.config), sort_keys=True)


def _whole(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _whole(each) for name, each in value.items()}
    return None if isinstance(value, float) else value
