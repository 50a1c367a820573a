"""Workers in this very process, for a debugger: the same interface without processes."""

from hpsearch.jobs import Job, JobListener, ObjectiveFunction, ObjectiveSpec, Report
from hpsearch.records import Decision, Moment
from hpsearch.workers.job_runner import make_objective, run_job


class InProcessWorkers:
    """Runs one job at a time in this process: slower to fail, easier to debug."""

    def __init__(self, spec: ObjectiveSpec) -> None:
        self._spec = spec
        self._objective: ObjectiveFunction | None = None
        self._job: Job | None = None

    @property
    def idle(self) -> int:
        """One, when nothing waits to be run."""
        return int(self._job is None)

    def start(self, job: Job) -> None:
        """Keep the job for `serve`."""
        self._job = job

    def serve(self, listener: JobListener, *, timeout: float) -> None:
        """Run the job that was started, from beginning to end."""
        del timeout  # nothing to wait for: the job runs here and now
        job = self._job
        if job is None:
            return
        self._objective = self._objective or make_objective(self._spec)

        def report(told: Report | Moment) -> Decision:
            return listener.moment(job, told) if isinstance(told, Moment) else listener.reported(job, told)

        result = run_job(self._objective, job, report, lambda: listener.started(job))
        self._job = None
        listener.ended(job, result)

    def kill(self, job: Job) -> None:
        """Not possible from within: a job in this process ends at its next report."""
        raise AssertionError(f"{job.run} runs in this process and cannot be killed")

    def close(self) -> None:
        """Forget the objective and the data it holds."""
        self._objective = None
