"""Workers of several processes: each has its rank, one speaks for all, and what ends one ends all."""

from collections.abc import Iterator

import pytest

from hpsearch.jobs import Failed, ObjectiveSpec
from hpsearch.workers.local import processes
from hpsearch.workers.local.workers import ProcessWorkers
from hpsearch.workers.machine import Share, shares
from tests.running.sessions import MARK, REPOSITORY, Terminal
from tests.workers.test_local_workers import Crew


@pytest.fixture
def crew(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crew]:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv(MARK, terminal.mark)
    spec = ObjectiveSpec("tests.running.objectives:make_ranked", {"folder": str(terminal.folder), "threads": 1})
    workers = ProcessWorkers(terminal.folder, spec, [Share(threads=1)], processes=2)
    try:
        yield Crew(workers, terminal.folder)
    finally:
        workers.close()
        terminal.wait_until_alone()


def test_every_process_has_its_rank_and_rank_0_speaks(crew: Crew) -> None:
    for _ in range(2):
        job = crew.run()
        assert crew.scores(job)["rank"] == 0.0
        assert sorted(path.read_text() for path in (crew.folder / job.run).glob("rank-*")) == ["0 of 2", "1 of 2"]
    assert [step for _, step in crew.hearing.reports] == [1, 1]
    assert len((crew.folder / "loads").read_text(encoding="utf-8").split()) == 2  # the same two processes for both jobs
    assert crew.workers.idle == 1


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_dies_ends_the_job_as_lost(rank: int, crew: Crew) -> None:
    job = crew.run("segfault", rank=rank)
    assert crew.hearing.losses == {job.run: f"its process of rank {rank} ended (signal SIGSEGV)"}
    assert crew.run().run in crew.hearing.endings  # the share of the machine is free again


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_fails_ends_the_job_with_its_error_though_the_others_hang(rank: int, crew: Crew) -> None:
    ended = crew.hearing.endings[crew.run("fail", rank=rank, others="sleep").run]
    assert isinstance(ended, Failed)
    assert ended.reason.startswith("SystemExit: 3")
    assert crew.run().run in crew.hearing.endings


def test_the_cause_is_told_not_that_the_others_are_gone(crew: Crew) -> None:
    ended = crew.hearing.endings[crew.run("fail_late", rank=1, others="lose").run]
    assert isinstance(ended, Failed)
    assert ended.reason.startswith("SystemExit: 3")


@pytest.mark.parametrize("hangs", [0, 1])
def test_a_process_that_does_not_return_is_ended(hangs: int, crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_RETURN_SECONDS", 0.3)
    job = crew.run("sleep", rank=hangs, others="lose")
    assert crew.hearing.losses == {job.run: "another process is gone"}
    assert crew.run().run in crew.hearing.endings


def test_all_processes_of_a_killed_job_end(crew: Crew) -> None:
    job = crew.start("sleep", rank=1, others="sleep")
    crew.serve_until(lambda: crew.hearing.reports)
    crew.workers.kill(job)
    assert crew.run().run in crew.hearing.endings


@pytest.mark.parametrize(
    ("visible", "workers", "processes", "gpus"),
    [
        ("0,1,2,3", "auto", 2, ["0,1", "2,3"]),
        ("0,1,2,3", 1, 4, ["0,1,2,3"]),
        ("0", "auto", 2, ["0"]),
        ("0,1", 2, 2, ["0,1", "0,1"]),
        ("", 2, 2, [None, None]),
    ],
)
def test_the_gpus_of_a_group(
    visible: str, workers: int | str, processes: int, gpus: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [share.gpu for share in shares(workers, jobs=9, processes=processes)] == gpus
