"""Files of workers in a bucket of S3: one that works, refuses, fails for a while or for good, is gone, or is slow."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpsearch.errors import SearchFailedError
from hpsearch.experiment.layout import BEST, CHECKPOINT, LOG, OUTPUT, PREVIOUS, PREVIOUS_BEST
from hpsearch.experiment.log import read_state
from hpsearch.records import Outcome
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from hpsearch.workers.ray_tune.storage import Storage
from tests.ray_cluster import own_cluster
from tests.toy_spaces import write_space
from tests.workers.ray_tune.s3_server import BUCKET, FaultyS3, s3

RUN = "trials/0000"
URI = f"s3://{BUCKET}/hpsearch"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyS3]:
    with s3() as server:
        yield server


@pytest.fixture
def bucket(server: FaultyS3) -> FaultyS3:
    server.heal()
    server.seconds = 0.0
    server.vanish()
    server.make_bucket()
    server.requests.clear()
    return server


def write(folder: Path, text: str) -> Path:
    (folder / RUN).mkdir(parents=True, exist_ok=True)
    for name in (OUTPUT, BEST, CHECKPOINT):
        (folder / RUN / name).write_text(text)
    return folder


def test_a_file_costs_one_request_and_comes_back(bucket: FaultyS3, tmp_path: Path) -> None:
    Storage(write(tmp_path / "one", "kept"), URI).keep(RUN)
    assert [request.partition(" ")[0] for request in bucket.requests] == ["PUT"] * 3
    Storage(tmp_path / "other", URI).fetch(RUN, kept=True)
    assert {path.name: path.read_text() for path in (tmp_path / "other" / RUN).iterdir()} == dict.fromkeys(
        (OUTPUT, BEST, CHECKPOINT), "kept"
    )


def test_the_generation_before_is_kept_in_the_bucket(bucket: FaultyS3, tmp_path: Path) -> None:
    storage = Storage(write(tmp_path / "one", "first"), URI)
    storage.keep(RUN)
    write(tmp_path / "one", "second")
    storage.keep(RUN)
    Storage(tmp_path / "other", URI).fetch(RUN, former=True)
    found = {path.name: path.read_text() for path in (tmp_path / "other" / RUN).iterdir()}
    assert found == {
        **dict.fromkeys((OUTPUT, BEST, CHECKPOINT), "second"),
        **dict.fromkeys((PREVIOUS, PREVIOUS_BEST), "first"),
    }
    Storage(tmp_path / "third", URI).fetch(RUN, over=True)
    Storage(tmp_path / "fourth", URI).fetch(RUN, former=True)
    assert not (tmp_path / "fourth" / RUN / PREVIOUS).exists()


def test_a_bucket_that_refuses_is_one_sentence(bucket: FaultyS3, tmp_path: Path) -> None:
    bucket.fail(403)
    storage = Storage(write(tmp_path / "one", "kept"), URI)
    said = rf"the storage {URI} cannot be {{}} \(PermissionError: .*\); nothing that is finished is lost"
    for done, call in {"used": storage.try_out, "written": lambda: storage.keep(RUN)}.items():
        with pytest.raises(SearchFailedError, match=said.format(done)):
            call()
    with pytest.raises(SearchFailedError, match=said.format("read")):
        storage.fetch(RUN)


def test_errors_for_a_while_are_waited_for(bucket: FaultyS3, tmp_path: Path) -> None:
    bucket.fail(500, faults=3)
    Storage(write(tmp_path / "one", "kept"), URI).keep(RUN)
    bucket.fail(500, faults=2)
    Storage(tmp_path / "other", URI).fetch(RUN, kept=True)
    assert (tmp_path / "other" / RUN / CHECKPOINT).read_text() == "kept"


def test_a_bucket_that_was_never_there_is_said_before_anything_is_trained(bucket: FaultyS3, tmp_path: Path) -> None:
    space = load_space(write_space(tmp_path), overrides=["search.engine=ray", "search.storage=s3://nobodys/x"])
    with pytest.raises(SearchFailedError, match=r"the storage s3://nobodys/x.* cannot be used .*bucket does not exist"):
        run(space, folder=tmp_path / "toy", options=RunOptions())
    assert read_state(tmp_path / "toy" / LOG).runs == {}


def test_a_bucket_that_vanishes_is_missed_both_ways(bucket: FaultyS3, tmp_path: Path) -> None:
    storage = Storage(write(tmp_path / "one", "kept"), URI)
    storage.keep(RUN)
    bucket.vanish()
    with pytest.raises(SearchFailedError, match=r"cannot be read .*bucket does not exist"):
        Storage(tmp_path / "other", URI).fetch(RUN)
    write(tmp_path / "one", "more")
    with pytest.raises(SearchFailedError, match=r"cannot be written .*(bucket|Bucket)"):
        storage.keep(RUN)


def test_files_that_are_gone_are_missed(bucket: FaultyS3, tmp_path: Path) -> None:
    Storage(tmp_path / "other", URI).fetch(RUN)
    with pytest.raises(SearchFailedError, match=rf"cannot be read .*the files of {RUN} are gone"):
        Storage(tmp_path / "other", URI).fetch(RUN, kept=True)


def test_what_could_not_be_kept_is_kept_the_next_time(bucket: FaultyS3, tmp_path: Path) -> None:
    storage = Storage(write(tmp_path / "one", "kept"), URI)
    bucket.fail(403, after=1)
    with pytest.raises(SearchFailedError):
        storage.keep(RUN)
    bucket.heal()
    storage.keep(RUN)
    Storage(tmp_path / "other", URI).fetch(RUN)
    assert (tmp_path / "other" / RUN / CHECKPOINT).read_text() == "kept"


def test_what_cannot_be_fetched_whole_changes_nothing(bucket: FaultyS3, tmp_path: Path) -> None:
    Storage(write(tmp_path / "one", "new"), URI).keep(RUN)
    other = write(tmp_path / "other", "old")
    storage = Storage(other, URI)
    storage._download = lambda source, path, own=storage._download: (  # type: ignore[method-assign, misc]
        bucket.fail(403) if path.name == CHECKPOINT else None,
        own(source, path),
    )[1]
    with pytest.raises(SearchFailedError):
        storage.fetch(RUN)
    assert {(other / RUN / name).read_text() for name in (OUTPUT, BEST, CHECKPOINT)} == {"old"}


def test_a_search_on_a_slow_bucket_that_fails_midway_goes_on_and_equals_an_unbroken_one(
    bucket: FaultyS3, tmp_path: Path
) -> None:
    path = write_space(tmp_path, trials=3)
    overrides = ["search.engine=ray", "search.workers=1", f"search.storage={URI}"]
    bucket.seconds = 0.1
    folder = tmp_path / "toy"
    with own_cluster(cpus=1):
        bucket.fail(403, after=8, only="PUT")  # what is there can be read: the coordinator sees nothing of it
        with pytest.raises(SearchFailedError, match=rf"the storage {URI}.* cannot be"):
            run(load_space(path, overrides=overrides), folder=folder, options=RunOptions())
        bucket.heal()
        stopped = read_state(folder / LOG)
        finished = {each.run: each.value for each in stopped.runs.values() if each.ended}
        assert not [each for each in stopped.runs.values() if each.outcome not in (None, Outcome.COMPLETE)]
        record = run(load_space(path, overrides=overrides), folder=folder, options=RunOptions()).record
    assert [each.outcome for each in record.trials] == [Outcome.COMPLETE] * 3
    assert finished.items() <= {each.run: each.value for each in record.trials}.items()
    shutil.rmtree(folder)
    whole = run(load_space(path, overrides=["search.workers=1"]), folder=folder, options=RunOptions()).record
    assert [each.value for each in whole.trials] == [each.value for each in record.trials]
