"""A job in a pack ends as it does alone: its reports, outcome, scores and files; and its neighbours notice nothing."""

import random
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import BEST, CHECKPOINT
from hpsearch.jobs import Completed, Diverged, Failed, Job, JobKind, JobResult, OutOfMemory, Pruned, Report
from hpsearch.records import Decision, Moment, Outcome, RunRecord
from hpsearch.running.loading import load_space
from hpsearch.running.objective import FamilyObjective
from hpsearch.running.packed_objective import PackedObjective
from hpsearch.running.runner import RunOptions, objective_spec, run
from hpsearch.seeds import Seeds
from hpsearch.space import Space
from tests.toy_spaces import toy_space, write_space

TIMES = ("examples_per_second",)


class Host:
    """Hands out jobs, and keeps what it hears; prunes the runs that it is told to."""

    def __init__(self, jobs: list[Job], prune: tuple[str, ...] = ()) -> None:
        self._jobs = deque(jobs)
        self._prune = prune
        self.reports: dict[str, list[Report]] = {}
        self.endings: dict[str, JobResult] = {}
        self.begun: list[str] = []
        self.texts: list[str] = []
        self.count = 0
        self.most = 0

    def take(self, *, wait: bool) -> Job | None:
        if not self._jobs:
            return None
        self.most = max(self.most, len(self.begun) + 1 - len(self.endings))
        return self._jobs.popleft()

    def started(self, job: Job) -> None:
        self.begun.append(job.run)

    def report(self, job: Job, report: Report | Moment) -> Decision:
        if isinstance(report, Moment):
            return Decision.CONTINUE
        self.reports.setdefault(job.run, []).append(report)
        return Decision.PRUNE if job.run in self._prune else Decision.CONTINUE

    def ended(self, job: Job, result: JobResult) -> None:
        self.endings[job.run] = result

    def lanes(self, count: int) -> None:
        self.count = count

    def tell(self, text: str) -> None:
        self.texts.append(text)

    def output(self, job: Job) -> AbstractContextManager[None]:
        return nullcontext()


def jobs(space: Space, changes: list[dict[str, Any]], **fields: Any) -> list[Job]:
    made = []
    for number, change in enumerate(changes):
        config = space.config({**(space.sample_feasible(_random()) or {}), "model.width": 2}).model_dump(mode="json")
        for path, value in change.items():
            section, name = path.split(".")
            config[section][name] = value
        seeds = Seeds.for_trial(0, number).model_dump()
        made.append(Job(f"trials/{number:04d}", number, {}, config, seeds, **fields))
    return made


def _random() -> random.Random:
    return random.Random(0)


def arguments(space: Space, folder: Path) -> dict[str, Any]:
    return dict(objective_spec(space, folder).arguments)


def numbers(reports: list[Report]) -> list[tuple[int, dict[str, float]]]:
    return [(each.step, {key: value for key, value in each.metrics.items() if key not in TIMES}) for each in reports]


def alone(space: Space, folder: Path, job: Job) -> tuple[JobResult, list[Report]]:
    seen: list[Report] = []

    def report(each: Report | Moment) -> Decision:
        seen.extend([each] if isinstance(each, Report) else ())
        return Decision.CONTINUE

    return FamilyObjective(**arguments(space, folder))(job, report, lambda: None), seen


RATES = [{"train.learning_rate": rate} for rate in (0.01, 0.03, 0.1, 0.2)]


@pytest.mark.parametrize("lanes", [1, 3, "auto"])
@pytest.mark.parametrize("kind", [JobKind.TRIAL, JobKind.REPLICATE])
def test_jobs_end_as_they_do_alone(tmp_path: Path, lanes: int | str, kind: JobKind) -> None:
    space = toy_space(tmp_path)
    given = jobs(space, RATES, kind=kind, replicate=0 if kind is JobKind.REPLICATE else None)
    host = Host(given)
    PackedObjective(lanes=lanes, **arguments(space, tmp_path / "packed")).serve(host)
    assert host.most == (lanes if isinstance(lanes, int) else min(host.count, len(given)))
    assert host.texts == []
    for job in given:
        result, reports = alone(space, tmp_path / "alone", job)
        found = host.endings[job.run]
        assert isinstance(found, Completed)
        assert isinstance(result, Completed)
        assert found.scores == pytest.approx(result.scores, rel=1e-4)
        assert (found.sizes, found.data) == (result.sizes, result.data)
        for (step, own), (same, wanted) in zip(numbers(host.reports[job.run]), numbers(reports), strict=True):
            assert step == same
            assert own == pytest.approx(wanted, rel=1e-4)
        assert {path.name for path in (tmp_path / "packed" / job.run).iterdir()} >= {CHECKPOINT, BEST}


def test_bad_ends_are_those_of_their_own_jobs(tmp_path: Path) -> None:
    space = toy_space(tmp_path)
    troubles = ("none", "exception", "diverge", "memory", "none", "none", "leave")
    given = jobs(space, [{"data.trouble": trouble} for trouble in troubles])
    host = Host(given, prune=(given[5].run,))
    PackedObjective(lanes=7, **arguments(space, tmp_path)).serve(host)
    kinds = [type(host.endings[job.run]) for job in given]
    assert kinds == [Completed, Failed, Diverged, OutOfMemory, Completed, Pruned, Failed]


def test_baselines_are_scored_and_what_cannot_be_packed_is_told_once(tmp_path: Path) -> None:
    space = toy_space(tmp_path)
    averaged = jobs(space, [{"train.ema": 0.9}, {"train.ema": 0.99}])
    baselines = Job("baselines", 9, {}, averaged[0].config, averaged[0].seeds, kind=JobKind.BASELINES)
    host = Host([*averaged, baselines])
    PackedObjective(lanes=4, **arguments(space, tmp_path)).serve(host)
    assert {ending.outcome for ending in host.endings.values()} == {Outcome.COMPLETE}  # type: ignore[union-attr]
    assert host.count == 1
    assert host.texts == ["trained alone, not in packs: it averages its weights (train.ema)"]


@pytest.mark.parametrize("overrides", [["search.engine=ray"], ["search.resources.processes=2"]])
def test_packs_are_for_single_processes_of_this_machine(tmp_path: Path, overrides: list[str]) -> None:
    space = load_space(write_space(tmp_path), overrides=["search.pack=4", *overrides])
    with pytest.raises(HpsearchError, match=r"search\.pack"):
        objective_spec(space, tmp_path, packs=True)


def test_off_is_off_in_yaml(tmp_path: Path) -> None:
    assert load_space(write_space(tmp_path), overrides=["search.pack=off"]).search.pack == "off"


def searched(tmp_path: Path, name: str, pack: str, **settings: Any) -> list[RunRecord]:
    space = load_space(write_space(tmp_path, **settings), overrides=[f"search.pack={pack}"])
    return list(run(space, folder=tmp_path / name, options=RunOptions(confirm=False)).record.trials)


@pytest.mark.slow
def test_a_search_in_packs_is_the_search(tmp_path: Path) -> None:
    settings = {"trials": 8, "width": "2", "workers": 2}
    single, packed = (searched(tmp_path, pack, pack, **settings) for pack in ("off", "4"))
    assert [trial.params for trial in packed] == [trial.params for trial in single]
    assert [trial.value for trial in packed] == pytest.approx([trial.value for trial in single], rel=1e-4)


@pytest.mark.slow
def test_a_job_that_ends_its_process_each_time_is_lost_alone(tmp_path: Path) -> None:
    data = "data: {trouble: {choice: [none, kill]}, size: 8}"
    names = ("none", "none", "kill", "none", "none", "none")
    start = "start: [" + ", ".join(f"{{data.trouble: {name}}}" for name in names) + "]"
    trials = searched(tmp_path, "toy", "3", trials=len(names), data=data, more=start)
    wanted = {"none": Outcome.COMPLETE, "kill": Outcome.LOST}
    assert [trial.outcome for trial in trials] == [wanted[name] for name in names]
    assert max(trial.attempts for trial in trials if trial.outcome is Outcome.COMPLETE) <= 2
