"""Jobs and results as they cross processes and stand in files."""

import json
from typing import get_args

import pytest

from hpsearch.jobs import (
    BaselinesScored,
    Completed,
    ConfigChange,
    Diverged,
    Failed,
    Job,
    JobKind,
    JobResult,
    Lost,
    Obstacle,
    OutOfMemory,
    Paused,
    Pruned,
    TimedOut,
    result_from_json,
    result_to_json,
    stopped,
)
from hpsearch.records import Decision, Fold

SEEDS = {"initialisation": 1, "order": 2}
JOBS = {
    JobKind.TRIAL: Job("trials/0003", 3, {"x": 1}, {"x": 1, "y": 2}, SEEDS, changes=(ConfigChange(2, {"x": 2}, {}),)),
    JobKind.REPLICATE: Job(
        "confirm/0003/1", 3, {"x": 1}, {}, SEEDS, JobKind.REPLICATE, replicate=0, fold=Fold(5, repeat=1, fold=0)
    ),
    JobKind.BASELINES: Job("confirm/baselines", 3, {}, {}, SEEDS, JobKind.BASELINES, fold=Fold(5, repeat=1, fold=2)),
}
RESULTS: list[JobResult] = [
    Completed("stopped early", seconds=2.5, scores={"test/loss": 0.5}, sizes={"train_size": 8}, data={"source": {}}),
    BaselinesScored(seconds=1.0, scores={"knn:5/euclid": {"val": {"top/5": 0.5}, "test": {"top/5": 0.25}}}),
    Pruned(seconds=1.0, data={"source": {"a": "b"}}),
    TimedOut("no report within 3 s", seconds=3.0),
    Diverged("loss became inf"),
    OutOfMemory("MemoryError: ", details="Traceback ..."),
    Failed("DataError: no file", details="Traceback ...", mistake=True),
    Lost("its process ended (signal SIGKILL)"),
    Paused(4.0),
    Obstacle("No space left on device"),
]


@pytest.mark.parametrize("job", JOBS.values(), ids=str)
def test_a_job_comes_back_from_its_json(job: Job) -> None:
    assert Job.from_json(json.loads(json.dumps(job.to_json()))) == job


def test_the_json_of_a_job_is_that_of_earlier_versions() -> None:
    written = {kind: job.to_json() for kind, job in JOBS.items()}
    names = ["run", "number", "params", "config", "seeds", "replicate", "fold", "baselines", "changes"]
    assert [list(content) for content in written.values()] == [names] * 3
    assert [content["baselines"] for content in written.values()] == [False, False, True]
    assert written[JobKind.REPLICATE]["replicate"] == 0
    assert written[JobKind.REPLICATE]["fold"] == {"folds": 5, "repeat": 1, "fold": 0}
    assert json.loads(json.dumps(written[JobKind.TRIAL]["changes"])) == [{"step": 2, "params": {"x": 2}, "config": {}}]


def test_a_job_of_before_there_were_folds_and_changes_is_read() -> None:
    content = {"run": "trials/0000", "number": 0, "params": {}, "config": {}, "seeds": SEEDS}
    assert Job.from_json(content) == Job("trials/0000", 0, {}, {}, SEEDS)
    assert Job.from_json({**content, "replicate": 0, "baselines": False}).kind is JobKind.REPLICATE


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)
def test_a_result_comes_back_from_its_json(result: JobResult) -> None:
    assert result_from_json(json.loads(json.dumps(result_to_json(result)))) == result


def test_every_kind_of_result_is_tried_here() -> None:
    assert {type(result) for result in RESULTS} == set(get_args(JobResult))


def test_an_answer_that_stops_a_training_is_its_result() -> None:
    results = [stopped(decision, seconds=2.0) for decision in Decision if decision is not Decision.CONTINUE]
    assert results == [Pruned(seconds=2.0), Paused(2.0), TimedOut(seconds=2.0)]


def test_a_job_whose_kind_and_replicate_disagree_is_refused() -> None:
    """Such a job would be trained, and never scored on the test split."""
    with pytest.raises(AssertionError):
        Job("confirm/0003/seed-000", 3, {}, {}, SEEDS, replicate=0)
    with pytest.raises(AssertionError):
        Job("confirm/0003/seed-000", 3, {}, {}, SEEDS, JobKind.REPLICATE)
