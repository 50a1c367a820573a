"""A listener for workers that are driven without a coordinator."""

from dataclasses import dataclass, field

from hpsearch.jobs import Job, JobResult, Lost, Report
from hpsearch.records import Decision, Moment


@dataclass
class Hearing:
    """A listener that takes notes and answers every report with `decision`."""

    decision: Decision = Decision.CONTINUE
    reports: list[tuple[str, int]] = field(default_factory=list)
    endings: dict[str, JobResult] = field(default_factory=dict)
    losses: dict[str, str] = field(default_factory=dict)

    def started(self, job: Job) -> None:
        pass

    def reported(self, job: Job, report: Report) -> Decision:
        self.reports.append((job.run, report.step))
        return self.decision

    def moment(self, job: Job, moment: Moment) -> Decision:
        return Decision.CONTINUE

    def ended(self, job: Job, result: JobResult) -> None:
        if isinstance(result, Lost):
            self.losses[job.run] = result.reason
        else:
            self.endings[job.run] = result
