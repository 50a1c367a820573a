"""Files of workers that do not share the experiment's folder."""

import os
import tempfile
from pathlib import Path

import pytest

from hpsearch.errors import HpsearchError
from hpsearch.experiment.artifacts import artifact_files, write_heat_map
from hpsearch.experiment.layout import ARTIFACTS, BEST, CHECKPOINT, OUTPUT, PREVIOUS, PREVIOUS_BEST
from hpsearch.experiment.reading import read_resolved
from hpsearch.records import HeatMap, Outcome
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from hpsearch.workers.ray_tune.storage import Storage
from tests.ray_cluster import own_cluster
from tests.toy_spaces import write_space

RUN = "trials/0000"


def write(folder: Path, **contents: str) -> Path:
    """Write a run's files: `checkpoint`, `best`, `output`."""
    names = {"checkpoint": CHECKPOINT, "best": BEST, "output": OUTPUT}
    (folder / RUN).mkdir(parents=True, exist_ok=True)
    for name, text in contents.items():
        (folder / RUN / names[name]).write_text(text)
    return folder


def read(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((folder / RUN).iterdir())}


@pytest.fixture(params=["path", "pyarrow", "fsspec"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    place = tmp_path / "storage"
    return {"path": str(place), "pyarrow": place.as_uri(), "fsspec": f"local://{place}"}[request.param]


def test_one_machine_takes_up_what_another_kept(tmp_path: Path, uri: str) -> None:
    one, other = write(tmp_path / "one", checkpoint="step 2", best="step 1"), tmp_path / "other"
    Storage(one, uri).keep(RUN)
    Storage(other, uri).fetch(RUN)
    assert read(other) == {BEST: "step 1", CHECKPOINT: "step 2"}


def test_what_changes_is_kept_again(tmp_path: Path, uri: str) -> None:
    one, other = write(tmp_path / "one", checkpoint="step 2", best="step 1"), tmp_path / "other"
    storage = Storage(one, uri)
    storage.keep(RUN)
    write(one, checkpoint="step 3", output="said")
    storage.keep(RUN)
    Storage(other, uri).fetch(RUN)
    assert read(other) == {BEST: "step 1", CHECKPOINT: "step 3", OUTPUT: "said"}


def test_two_generations_are_kept_until_the_run_is_over(tmp_path: Path, uri: str) -> None:
    one, two, three = write(tmp_path / "one", checkpoint="1", best="1"), tmp_path / "two", tmp_path / "three"
    storage = Storage(one, uri)
    storage.keep(RUN)
    write(one, checkpoint="2")
    storage.keep(RUN)
    other = Storage(two, uri)
    other.fetch(RUN, former=True)
    assert read(two) == {BEST: "1", CHECKPOINT: "2", PREVIOUS: "1"}
    other.keep(RUN)  # nothing has changed: the generation before is still there
    write(two, checkpoint="3", best="3")
    other.keep(RUN)
    Storage(three, uri).fetch(RUN, former=True)
    assert read(three) == {BEST: "3", CHECKPOINT: "3", PREVIOUS: "2", PREVIOUS_BEST: "1"}
    Storage(tmp_path / "four", uri).fetch(RUN, over=True)
    Storage(tmp_path / "five", uri).fetch(RUN, former=True)
    assert read(tmp_path / "four") == read(tmp_path / "five") == {BEST: "3", CHECKPOINT: "3"}


def test_artifacts_are_kept_too(tmp_path: Path, uri: str) -> None:
    one, other = write(tmp_path / "one", checkpoint="step 2"), tmp_path / "other"
    write_heat_map(one / RUN, "bias", HeatMap("bias", {"": ((1.0,),)}), picture=b"picture")
    Storage(one, uri).keep(RUN)
    Storage(other, uri).fetch(RUN)
    assert (other / RUN / ARTIFACTS / "bias.png").read_bytes() == b"picture"
    assert [path.name for path in artifact_files(other / RUN)] == ["bias.json", "bias.png"]


def test_a_run_that_nobody_kept_is_nothing(tmp_path: Path, uri: str) -> None:
    Storage(tmp_path / "one", uri).fetch(RUN)
    assert read(tmp_path / "one") == {}


@pytest.mark.parametrize("newer", ["stored", "local"])
def test_after_a_crash_the_newer_state_holds(tmp_path: Path, uri: str, newer: str) -> None:
    one, experiment = write(tmp_path / "one", checkpoint="stored"), write(tmp_path / "two", checkpoint="local")
    Storage(one, uri).keep(RUN)
    age = -1000 if newer == "stored" else 1000
    path = experiment / RUN / CHECKPOINT
    os.utime(path, (path.stat().st_mtime + age,) * 2)
    Storage(experiment, uri).settle(RUN)
    Storage(tmp_path / "third", uri).fetch(RUN)
    assert path.read_text() == newer
    assert read(tmp_path / "third")[CHECKPOINT] == newer


def test_who_leaves_a_run_leaves_nothing_here(tmp_path: Path, uri: str) -> None:
    one, other = write(tmp_path / "one", checkpoint="step 2"), tmp_path / "other"
    Storage(one, uri).leave(RUN)
    assert not (one / RUN).exists()
    Storage(other, uri).fetch(RUN)
    assert read(other) == {CHECKPOINT: "step 2"}


@pytest.mark.slow
def test_a_search_keeps_its_files_there(tmp_path: Path) -> None:
    """Workers train elsewhere; the experiment's folder gets what they wrote, and so does a confirmation."""
    path = write_space(tmp_path, trials=2, more="confirm: {top: 1, seeds: 1}")
    place = tmp_path / "storage"
    space = load_space(path, overrides=["search.engine=ray", f"search.storage={place.as_uri()}"])
    with own_cluster(cpus=1):
        record = run(space, folder=tmp_path / "toy", options=RunOptions()).record
    runs = [*record.trials, *record.replicates]
    assert [each.outcome for each in runs] == [Outcome.COMPLETE] * 3
    (stored,) = place.iterdir()
    for each in runs:
        assert {CHECKPOINT, BEST, OUTPUT} <= {file.name for file in (tmp_path / "toy" / each.run).iterdir()}
        assert (stored / each.run / BEST).read_bytes() == (tmp_path / "toy" / each.run / BEST).read_bytes()
    scratch = Path(tempfile.gettempdir()) / f"hpsearch-{read_resolved(tmp_path / 'toy')['id']}"
    assert not [path for path in scratch.rglob("*") if path.is_file()]


def test_without_a_uri_nothing_is_copied(tmp_path: Path) -> None:
    one = write(tmp_path / "one", checkpoint="step 2")
    storage = Storage(one, None)
    storage.keep(RUN)
    storage.fetch(RUN)
    storage.settle(RUN)
    assert read(one) == {CHECKPOINT: "step 2"}


def test_a_scheme_that_nobody_knows_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(HpsearchError, match="the storage nowhere://x cannot be opened"):
        Storage(tmp_path, "nowhere://x")
