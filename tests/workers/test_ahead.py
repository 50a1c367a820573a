"""Idle workers begin with the replicates of whoever leads while the last trials of a search still run."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from hpsearch.experiment.log import Log
from hpsearch.jobs import Completed, Job, JobKind, JobListener, Paused, Report
from hpsearch.records import Decision
from hpsearch.search.sources import JobList
from hpsearch.workers.ahead import Ahead
from hpsearch.workers.coordinator import Coordinator, StopReason
from hpsearch.workers.ledger import Ledger, stored_job
from hpsearch.workers.limits import Limits
from tests.logs import read_log

TRIAL, LAST = (Job(f"trials/{number:04d}", number, {}, {}, {"initialisation": number}) for number in range(2))
Act = Callable[["Workers", JobListener], None]


def replicate(number: int, seed: int) -> Job:
    run = f"confirm/{number:04d}/seed-{seed:03d}"
    return Job(run, number, {}, {}, {"initialisation": seed}, JobKind.REPLICATE, replicate=seed)


class Workers:
    """Workers that do what a test has written down, one act for each time that they are served."""

    def __init__(self, *acts: Act, count: int) -> None:
        self.started: list[Job] = []
        self.decisions: list[Decision] = []
        self.running: dict[str, Job] = {}
        self.acts = list(acts)
        self._count = count

    @property
    def idle(self) -> int:
        return self._count - len(self.running)

    def start(self, job: Job) -> None:
        self.started.append(job)
        self.running[job.run] = job

    def serve(self, listener: JobListener, *, timeout: float) -> None:
        assert self.acts, f"nothing is written down for {list(self.running)}"
        self.acts.pop(0)(self, listener)

    def kill(self, job: Job) -> None:
        raise AssertionError(f"{job.run} may share its process with trials")

    def close(self) -> None:
        self.running.clear()


def ends(run: str, value: float = 1.0) -> Act:
    def act(workers: Workers, listener: JobListener) -> None:
        job = workers.running[run]
        listener.started(job)
        decision = listener.reported(job, Report(1, {"val/loss": value}, 1.0, final=True))
        workers.decisions.append(decision)
        del workers.running[run]
        listener.ended(job, Paused() if decision is Decision.PAUSE else Completed(scores={"test/loss": value}))

    return act


class Experiment:
    """Two trials, then two replicates of the better one."""

    def __init__(self, folder: Path, *acts: Act, workers: int = 2) -> None:
        self.folder = folder
        self.log = Log(folder / "log.jsonl")
        self.workers = Workers(*acts, count=workers)
        self.ledger = Ledger(folder, self.log, metric="val/loss", value_of=lambda history: (history[-1][1], 1))
        self.plans = 0
        self.ahead = Ahead(folder, self.workers, self.plan)

    def plan(self) -> Sequence[Job]:
        self.plans += 1
        ended = [run for run in self.log.state.runs.values() if run.run.startswith("trials/") and run.value is not None]
        best = min(ended, key=lambda run: run.value or 0.0, default=None)
        return [replicate(best.number, seed) for seed in range(2)] if best else []

    def run(self, jobs: Sequence[Job]) -> StopReason:
        return Coordinator(self.ledger, self.workers, Limits(), self.ahead).run(JobList(jobs))

    def search(self) -> None:
        assert self.run([TRIAL, LAST]) is StopReason.FINISHED

    def confirm(self) -> None:
        jobs = self.plan()
        self.ahead.decide(jobs, self.log.state.runs)
        assert self.run(jobs) is StopReason.FINISHED

    def told(self, kind: str) -> list[str]:
        """Return the runs of the log's events of a kind."""
        return [event["run"] for event in read_log(self.folder / "log.jsonl") if event["event"] == kind]


FIRST, SECOND = replicate(0, 0), replicate(0, 1)


def test_replicates_are_trained_ahead_with_the_test_split_sealed_and_unknown_to_the_log(tmp_path: Path) -> None:
    made = Experiment(tmp_path, ends(TRIAL.run, 1.0), ends(FIRST.run), ends(SECOND.run), ends(LAST.run, 2.0))
    made.search()
    ahead = [job for job in made.workers.started if job.run.startswith("confirm")]
    assert [job.run for job in ahead] == [FIRST.run, SECOND.run]
    assert {job.kind for job in ahead} == {JobKind.TRIAL}
    assert [job.seeds for job in ahead] == [FIRST.seeds, SECOND.seeds]
    assert made.told("ask") == made.told("outcome") == [TRIAL.run, LAST.run]
    assert made.plans == 1  # it changes with the end of a trial only


def test_those_of_the_winner_are_scored_when_their_training_has_ended(tmp_path: Path) -> None:
    """One has ended when the search has, the other goes on, and nobody begins it a second time meanwhile."""
    acts = [ends(TRIAL.run, 1.0), ends(FIRST.run), ends(LAST.run, 2.0)]
    made = Experiment(tmp_path, *acts, ends(FIRST.run), ends(SECOND.run), ends(SECOND.run))
    made.search()
    assert list(made.workers.running) == [SECOND.run]
    made.confirm()
    assert made.workers.started == [
        *(TRIAL, LAST, replace(FIRST, kind=JobKind.TRIAL, replicate=None)),
        *(replace(SECOND, kind=JobKind.TRIAL, replicate=None), FIRST, SECOND),
    ]
    assert made.told("outcome") == [TRIAL.run, LAST.run, FIRST.run, SECOND.run]


def test_those_of_a_trial_that_the_last_one_has_overtaken_leave_nothing_behind(tmp_path: Path) -> None:
    made = Experiment(tmp_path, ends(TRIAL.run, 1.0), ends(FIRST.run), ends(LAST.run, 0.5))
    made.search()
    assert list(made.workers.running) == [SECOND.run]
    made.ahead.decide(made.plan(), made.log.state.runs)
    assert not (tmp_path / FIRST.run).exists()
    ends(SECOND.run)(made.workers, Coordinator(made.ledger, made.workers, Limits(), made.ahead))
    assert made.workers.decisions[-1] is Decision.PAUSE
    assert not list(tmp_path.glob("confirm/*/*"))
    assert made.told("ask") == [TRIAL.run, LAST.run]


def test_a_session_that_ends_leaves_nothing_of_them_either(tmp_path: Path) -> None:
    made = Experiment(tmp_path, ends(TRIAL.run, 1.0), ends(LAST.run, 0.5))
    made.search()
    made.ahead.decide(made.plan(), made.log.state.runs)
    made.workers.close()
    made.ahead.close()
    assert not list(tmp_path.glob("confirm/*/*"))


def test_a_new_leader_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    third = replace(LAST, run="trials/0002", number=2)
    acts = [ends(TRIAL.run, 1.0), ends(LAST.run, 0.5), ends(FIRST.run), ends(third.run, 2.0)]
    made = Experiment(tmp_path, *acts, workers=3)
    assert made.run([TRIAL, LAST, third]) is StopReason.FINISHED
    assert made.workers.decisions[2] is Decision.PAUSE
    assert list(made.workers.running) == [replicate(1, 0).run, replicate(1, 1).run]
    assert not (tmp_path / FIRST.run).exists()


def test_a_leader_that_comes_back_waits_for_what_was_no_longer_wanted(tmp_path: Path) -> None:
    """The winner is the first after all: an overtaken replicate that still runs is taken up where it pauses."""
    made = Experiment(tmp_path, ends(TRIAL.run, 1.0), ends(LAST.run, 2.0))
    made.search()
    made.ahead.decide([replicate(1, 0)], made.log.state.runs)
    made.workers.acts += [ends(FIRST.run), ends(FIRST.run)]
    assert made.run([FIRST]) is StopReason.FINISHED
    assert (tmp_path / FIRST.run).exists()
    assert made.told("outcome") == [TRIAL.run, LAST.run, FIRST.run]


@pytest.mark.parametrize("same", [True, False])
def test_what_a_killed_session_had_begun_is_gone_on_with_only_if_it_is_the_same_training(
    same: bool, tmp_path: Path
) -> None:
    left = Experiment(tmp_path, ends(TRIAL.run, 1.0), ends(LAST.run, 2.0))
    left.search()  # FIRST runs ahead
    checkpoint = tmp_path / FIRST.run / "checkpoint.pt"
    checkpoint.touch()
    strange = tmp_path / replicate(1, 0).run
    strange.mkdir(parents=True)
    assert stored_job(tmp_path, FIRST.run) == FIRST
    left.log.close()
    made = Experiment(tmp_path)
    job = FIRST if same else replace(FIRST, config={"train": {"epochs": 9}})
    made.ahead.decide([job], made.log.state.runs)
    assert not strange.exists()
    made.workers = Workers(ends(FIRST.run), count=2)
    made.run([job])
    assert checkpoint.exists() is same
