"""A study in MLflow: its run, the runs of its arms below it, their trainings below those; whatever happens."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hpsearch.cli.main import app
from hpsearch.errors import ExperimentError
from hpsearch.experiment.events import EndEvent, SessionEvent
from hpsearch.experiment.layout import TRACKING
from hpsearch.readers import Wanted, mlflow_store
from hpsearch.records import Outcome
from hpsearch.tracking.mlflow.sink import StudyMirror
from hpsearch.tracking.mlflow.store import DATABASE, default_uri, open_store
from hpsearch.tracking.mlflow.ui import ui_command
from tests.toy_studies import write_study
from tests.tracking.folders import StudyFolder, sync, sync_study
from tests.tracking.mlflow.test_sink import crash_after
from tests.tracking.reading import Reading

Read = Callable[[], Reading]
OF_AN_ARM = ["baseline-sloreta", "confirm-0001-seed-000", "confirm-0001-seed-001", "trial-0000", "trial-0001"]
ALL = ["duel", *(f"duel/{arm}{run}" for arm in "ab" for run in ("", *(f"/{each}" for each in OF_AN_ARM)))]


@pytest.fixture
def study(root: Path) -> StudyFolder:
    return StudyFolder(root / "duel")


@pytest.fixture
def read(root: Path) -> Read:
    return lambda: Reading(default_uri(root), "duel", nested=True)


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> StudyFolder:
    """A whole study, mirrored once; for tests that only read."""
    root = tmp_path_factory.mktemp("answered")
    shutil.copy(empty_database, root / DATABASE)
    study = finished(StudyFolder(root / "duel"))
    sync_study(study.path)
    return study


def finished(study: StudyFolder) -> StudyFolder:
    for arm in ("a", "b"):
        study.finish(arm)
    study.answer()
    return study


def test_trainings_are_nested_in_arms_and_arms_in_the_study(answered: StudyFolder) -> None:
    reading = Reading(default_uri(answered.path.parent), "duel", nested=True)
    assert reading.names == ALL
    assert set(reading.statuses.values()) == {"FINISHED"}  # pruned ones too
    assert not list(answered.path.glob("mlflow*"))


def test_the_study_says_what_it_asks_and_what_came_out(answered: StudyFolder) -> None:
    reading = Reading(default_uri(answered.path.parent), "duel", nested=True)
    run = reading.runs["duel"]
    assert (run.info.status, run.info.start_time, run.info.end_time) == ("FINISHED", 1_000_500, 2_000_000_000_000)
    tags = {key.removeprefix("hpsearch."): text for key, text in run.data.tags.items()}
    assert (tags["kind"], tags["metric"], tags["goal"], tags["seed"]) == ("study", "test/loss", "minimize", "5")
    assert (tags["question"], tags["study_file"]) == ("Is a better than b?", "/home/me/is-a-better.yaml")
    assert (tags["answer"], tags["confirmatory"]) == ("a is better than b.", "true")
    assert run.data.tags["mlflow.note.content"] == "Is a better than b?\n\n**a is better than b.**"
    assert run.data.metrics == {"test/loss/a": 0.8, "test/loss/b": 0.9}
    assert reading.history("duel", "test/loss/a") == [(2, 0.8)]
    assert reading.files("duel").keys() == {"study.json", "result.json", "report/report.md"}
    inner = reading.client.list_artifacts(run.info.run_id, "report/figures")
    assert [file.path for file in inner] == ["report/figures/scores.svg"]


def test_an_arm_mirrored_alone_has_its_study_above_it(study: StudyFolder, read: Read) -> None:
    sync(study.finish("a").path)
    assert read().names == [name for name in ALL if not name.startswith("duel/b")]
    assert read().statuses["duel"] == "RUNNING"
    assert "hpsearch.answer" not in read().runs["duel"].data.tags


@pytest.mark.parametrize(
    ("why", "status"),
    [
        ("interrupted", "KILLED"),
        *(pytest.param(why, "FAILED", marks=pytest.mark.slow) for why in ("failed", "time")),
    ],
)
def test_the_status_is_that_of_its_arms(study: StudyFolder, read: Read, why: str, status: str) -> None:
    """Without a complete trial a search whose time is up has failed its study."""
    sync(study.finish("a").path)
    b = study.begin("b")
    b.trial(0, Outcome.PRUNED, (0.5,))
    sync(b.path)
    assert read().statuses["duel"] == "RUNNING"
    end = b.log.append(EndEvent(why=why))
    sync(b.path)
    assert read().statuses["duel"] == status
    assert read().runs["duel"].info.end_time == round(end.time * 1000)
    b.log.append(SessionEvent(version=1, host="here"))
    sync(b.path)
    assert read().statuses["duel"] == "RUNNING"
    b.trial(1, Outcome.COMPLETE, (0.5,))
    b.log.append(EndEvent(why="finished"))
    sync(b.path)
    assert read().statuses["duel"] == "RUNNING"
    study.answer()
    sync_study(study.path)
    assert read().statuses["duel"] == "FINISHED"


def test_time_that_was_used_up_with_a_result_is_no_failure(study: StudyFolder, read: Read) -> None:
    a = study.begin("a")
    a.trial(0, Outcome.COMPLETE, (0.5,))
    a.log.append(EndEvent(why="time"))
    sync(a.path)
    assert read().statuses["duel"] == "RUNNING"


def test_a_second_answer_stands_beside_the_first(study: StudyFolder, read: Read) -> None:
    finished(study)
    sync_study(study.path)
    study.answer("a equals b.", time=2.1e9, n=5)
    sync_study(study.path)
    reading = read()
    assert reading.runs["duel"].data.tags["hpsearch.answer"] == "a equals b."
    assert reading.history("duel", "test/loss/a") == [(2, 0.8), (5, 0.8)]
    assert reading.files("duel")["report/report.md"] == "# a equals b."


def test_arms_mirrored_at_once_make_one_study(study: StudyFolder, read: Read) -> None:
    arms = [study.finish(arm).path for arm in ("a", "b")]
    arms += [study.finish(f"c{number}").path for number in range(4)]
    with ThreadPoolExecutor(len(arms)) as pool:
        list(pool.map(sync, arms))
    reading = read()
    assert [name for name in reading.names if "/" not in name] == ["duel"]
    assert sum(name.count("/") == 1 for name in reading.names) == len(arms)


def test_twice_is_once_and_lost_states_are_found_again(study: StudyFolder, read: Read) -> None:
    finished(study)
    sync_study(study.path)
    before = read().everything()
    sync_study(study.path)
    assert read().everything() == before
    for state in study.path.rglob(TRACKING):
        state.unlink()
    sync_study(study.path)
    assert read().everything() == before


@pytest.mark.parametrize(
    ("method", "calls"),
    [
        ("flush", 1),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in (("create_run", 2), ("log", 1), ("log_file", 2), ("set_status", 1), ("flush", 2))
        ),
    ],
)
def test_a_crash_between_mlflow_and_the_states_doubles_nothing(
    study: StudyFolder, read: Read, other: Path, monkeypatch: pytest.MonkeyPatch, method: str, calls: int
) -> None:
    finished(study)
    with monkeypatch.context() as patched:
        crash_after(patched, method, calls)
        with pytest.raises(KeyboardInterrupt):
            sync_study(study.path)
    sync_study(study.path)
    sync_study(study.path, f"sqlite:///{other}")
    assert read().names == ALL
    assert read().everything() == Reading(f"sqlite:///{other}", "duel", nested=True).everything()


def test_an_emptied_store_is_filled_again(study: StudyFolder, read: Read, root: Path) -> None:
    finished(study)
    sync_study(study.path)
    before = read().everything()
    with closing(sqlite3.connect(root / DATABASE)) as connection, connection:
        for table in ("metrics", "latest_metrics", "params", "tags", "runs", "experiment_tags", "experiments"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 -- ours
    sync_study(study.path)
    assert read().everything() == before


def test_a_study_purged_in_mlflow_is_made_again_above_its_arms(study: StudyFolder, read: Read, root: Path) -> None:
    finished(study)
    sync_study(study.path)
    reading = read()
    purge(reading, root)
    sync_study(study.path)
    assert read().names == ALL
    assert read().statuses["duel"] == "FINISHED"


def purge(reading: Reading, root: Path) -> None:
    """Do what `mlflow gc` does with the study's run."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    run = reading.runs["duel"].info.run_id
    reading.client.delete_run(run)
    SqlAlchemyStore(default_uri(root), str(root / "mlartifacts"))._hard_delete_run(run)


def test_a_study_deleted_in_mlflow_is_left_alone(study: StudyFolder, read: Read) -> None:
    sync(study.finish("a").path)
    before = read()
    before.client.delete_run(before.runs["duel"].info.run_id)
    study.finish("b")
    study.answer()
    sync_study(study.path)
    assert [name for name in read().names if "/" not in name] == ["duel"]
    assert read().runs["duel"].info.lifecycle_stage == "deleted"
    assert "hpsearch.answer" not in read().runs["duel"].data.tags


def test_the_command_mirrors_a_study_or_an_arm(study: StudyFolder, read: Read) -> None:
    finished(study)
    arm = CliRunner().invoke(app, ["sync", str(study.path / "a")])
    assert arm.exit_code == 0, arm.output
    assert "duel/b" not in read().names
    whole = CliRunner().invoke(app, ["sync", str(study.path), "--to", "mlflow,tensorboard"])
    assert whole.exit_code == 0, whole.output
    assert f"tensorboard is up to date with {study.path}" in whole.output
    assert read().names == ALL
    assert sorted(path.parent.name for path in study.path.glob("*/tensorboard")) == ["a", "b"]


def test_what_is_no_study_is_refused(root: Path) -> None:
    with pytest.raises(ExperimentError, match="is not a study"):
        StudyMirror(root).catch_up()


def test_the_page_of_a_study_is_that_of_all_experiments(answered: StudyFolder) -> None:
    root = answered.path.parent
    assert ui_command(root, port=1) == ui_command(answered.path, port=1) == ui_command(answered.path / "a", port=1)


def test_read_from_the_store_a_study_is_its_arms(answered: StudyFolder) -> None:
    """Neither the study's run nor the arms' are trainings, though the study's has metrics."""
    found = mlflow_store.read(answered.path.parent / DATABASE, Wanted())
    assert {run.experiment for run in found.runs} == {"a", "b", "sloreta (a)", "sloreta (b)"}
    assert len(found.runs) == 2 * len(OF_AN_ARM)
    assert found.main == "test/loss"


def test_a_store_of_ones_own_is_remembered_for_the_study_too(study: StudyFolder, other: Path) -> None:
    sync(study.finish("a").path, f"sqlite:///{other}")
    assert StudyMirror(study.path).uri == f"sqlite:///{other}"
    assert open_store(f"sqlite:///{other}", study.path.parent / "duel").experiment != "0"


@pytest.mark.slow
def test_a_study_that_was_run_is_in_mlflow_with_its_report(root: Path, tmp_path: Path) -> None:
    file = write_study(tmp_path, trials=1, seeds=2)
    places = ["--root", str(root), "--out", str(tmp_path / "report"), "--name", "duel", "--quiet"]
    run = CliRunner().invoke(app, ["study", str(file), "--in-process", *places])
    assert run.exit_code == 0, run.output
    reading = Reading(default_uri(root), "duel", nested=True)
    assert set(reading.statuses.values()) == {"FINISHED"}
    assert {name for name in reading.names if name.count("/") == 1} == {"duel/sgd", "duel/adamw"}
    assert reading.files("duel")["report/report.md"] == (tmp_path / "report" / "report.md").read_text()
    comparison = json.loads((tmp_path / "report" / "compare.json").read_text())
    means = {each["name"]: each["mean"] for each in comparison["experiments"]}
    assert reading.runs["duel"].data.metrics == {f"test/loss/{name}": mean for name, mean in means.items()}
    assert "Which?" in reading.runs["duel"].data.tags["mlflow.note.content"]
