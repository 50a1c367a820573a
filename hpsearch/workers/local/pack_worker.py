"""The worker's side of packs: it holds several jobs at once, and says of which job each message is."""

import contextlib
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from hpsearch.experiment.files import no_room
from hpsearch.experiment.layout import OUTPUT
from hpsearch.jobs import Failed, Job, JobResult, ObjectiveSpec, Obstacle, Report, result_to_json
from hpsearch.records import Decision, Moment
from hpsearch.workers.failures import current_traceback, reason_of
from hpsearch.workers.job_runner import resolve, wire_message
from hpsearch.workers.output import output_to


class Wire(Protocol):
    """The coordinator's end of the wire."""

    def send(self, kind: str, **fields: Any) -> None:
        """Send a message."""
        ...

    def receive(self) -> dict[str, Any]:
        """Wait for a message."""
        ...

    def waits(self) -> bool:
        """Check whether there is a message."""
        ...


class WireHost:
    """Hands a worker its jobs, and the coordinator what becomes of them."""

    def __init__(self, wire: Wire, folder: Path) -> None:
        self._wire = wire
        self._folder = folder
        self._jobs: deque[Job] = deque()
        self._over = False

    def take(self, *, wait: bool) -> Job | None:
        """Return the next job; None if there is none now, or with `wait` none any more."""
        while not self._jobs and not self._over and (wait or self._wire.waits()):
            self._keep(self._wire.receive())
        return self._jobs.popleft() if self._jobs else None

    def look(self) -> Job | None:
        """Wait for a job and return it without taking it."""
        job = self.take(wait=True)
        if job is not None:
            self._jobs.appendleft(job)
        return job

    def _keep(self, message: dict[str, Any]) -> None:
        if message["kind"] == "job":
            self._jobs.append(Job.from_json(message["job"]))
        else:
            self._over = True

    def started(self, job: Job) -> None:
        """Say that a job's data are loaded."""
        self._wire.send("started", run=job.run)

    def report(self, job: Job, report: Report | Moment) -> Decision:
        """Send a report, or a moment, and wait for its answer; jobs that come meanwhile are kept."""
        self._wire.send(run=job.run, **wire_message(report))
        while (message := self._wire.receive())["kind"] != "decision":
            self._keep(message)
        return Decision(message["decision"])

    def ended(self, job: Job, result: JobResult) -> None:
        """Say how a job ended."""
        self._wire.send("ended", run=job.run, **result_to_json(result))

    def lanes(self, count: int) -> None:
        """Say how many jobs this worker takes at once."""
        self._wire.send("lanes", count=count)

    def tell(self, text: str) -> None:
        """Say something to the user."""
        self._wire.send("text", text=text)

    def output(self, job: Job) -> AbstractContextManager[None]:
        """Send what is printed meanwhile to the job's own file."""
        return _output_to(self._folder / job.run / OUTPUT)


@contextlib.contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Send what is printed to the end of a file; on a full disk it is lost, as the job's own files will say."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(output_to(path))
        except OSError as error:
            if not no_room(error):
                raise
        yield


def serve_packs(wire: Wire, folder: Path, spec: ObjectiveSpec) -> None:
    """Serve jobs until asked to exit; an objective that cannot be made fails them."""
    host = WireHost(wire, folder)
    first = host.look()
    if first is None:
        return
    try:
        with host.output(first):
            objective = resolve(spec.target)(**spec.arguments)
    except BaseException as error:  # noqa: BLE001 -- a family that cannot be imported is the trial's failure
        reason, details, obstacle = reason_of(error), current_traceback(), no_room(error)
        while (job := host.take(wait=True)) is not None:
            host.ended(job, Obstacle(obstacle) if obstacle else Failed(reason, details=details))
        return
    objective.serve(host)
