import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from hpsearch.errors import ExperimentError, TrackingError
from hpsearch.experiment.artifacts import write_heat_map
from hpsearch.experiment.events import BeginEvent, DropEvent, ExploitEvent
from hpsearch.experiment.layout import CONFIG, LOG, METRICS, RESOLVED, SPACE, TRACKING, trial_run
from hpsearch.experiment.log import Log
from hpsearch.records import HeatMap, Outcome
from hpsearch.tracking.mlflow.sink import mlflow_mirror
from hpsearch.tracking.mlflow.store import ARTIFACTS, DATABASE, chosen_uri, default_uri
from hpsearch.tracking.mlflow.table_store import TableStore
from tests.logs import read_log
from tests.tracking.folders import BEST_TRIAL, UNFINISHED_TRIAL, ExperimentFolder, grow_shortly, sync
from tests.tracking.reading import Reading

Read = Callable[[], Reading]


@pytest.fixture
def finished(folder: ExperimentFolder) -> ExperimentFolder:
    grow_shortly(folder)
    return folder


RUNS = ["baseline-sloreta", "confirm-0001-seed-000", "confirm-0001-seed-001", "line"]
RUNS_OF_FINISHED = [*RUNS, "trial-0000", "trial-0001", "trial-0002"]


def test_every_run_is_nested_below_the_experiment(mirrored: Reading) -> None:
    assert mirrored.names == [*RUNS, *(f"trial-{number:04d}" for number in range(UNFINISHED_TRIAL + 1))]
    parents = {run.data.tags.get("mlflow.parentRunId") for name, run in mirrored.runs.items() if name != "line"}
    assert parents == {mirrored.parent.info.run_id}
    assert "mlflow.parentRunId" not in mirrored.parent.data.tags


def test_every_outcome_has_its_status(mirrored: Reading) -> None:
    seen = {
        run.data.tags["hpsearch.outcome"]: run.info.status
        for run in mirrored.runs.values()
        if "hpsearch.outcome" in run.data.tags
    }
    failed = dict.fromkeys(("diverged", "out_of_memory", "timed_out", "failed", "lost"), "FAILED")
    assert seen == dict.fromkeys(("complete", "pruned", "stopped"), "FINISHED") | failed
    unfinished = mirrored.runs[f"trial-{UNFINISHED_TRIAL:04d}"]
    assert (unfinished.info.status, unfinished.info.end_time) == ("RUNNING", None)
    assert mirrored.runs["trial-0002"].data.tags["hpsearch.reason"] == "why pruned"


def test_times_are_those_of_the_log(finished: ExperimentFolder, read: Read) -> None:
    sync(finished.path)
    events = list(read_log(finished.path / LOG))
    run = read().runs["trial-0001"].info
    own = [event for event in events if event.get("run") == trial_run(1)]
    assert (run.start_time, run.end_time) == (round(own[0]["time"] * 1000), round(own[-1]["time"] * 1000))
    parent = read().parent.info
    assert (parent.start_time, parent.end_time) == tuple(round(events[n]["time"] * 1000) for n in (0, -1))


def test_parameters_are_the_whole_configuration_in_dotted_names(mirrored: Reading) -> None:
    run = mirrored.runs["trial-0001"]
    assert run.data.params == {"train.learning_rate": "0.1", "train.epochs": "4", "data.sizes": "[1, 2]"}
    assert run.data.tags["hpsearch.seed"] == "101"
    assert run.data.tags["hpsearch.attempts"] == "1"


@pytest.mark.parametrize("content", ["", '{"config": {"train": {"epo', "[]", "{}", '{"config": 3}'])
def test_a_damaged_configuration_costs_what_the_log_does_not_have(
    content: str, finished: ExperimentFolder, read: Read
) -> None:
    (finished.path / trial_run(1) / CONFIG).write_text(content)
    sync(finished.path)
    assert read().runs["trial-0001"].data.params == {"train.learning_rate": "0.1"}
    assert len(read().runs["trial-0000"].data.params) == 3


def test_what_a_kill_left_of_a_copy_is_removed(finished: ExperimentFolder, read: Read) -> None:
    sync(finished.path)
    artifacts = Path(unquote(urlparse(read().runs["trial-0001"].info.artifact_uri).path))
    (artifacts / f".{CONFIG}.4711.tmp").write_text("{")
    (finished.path / TRACKING).unlink()
    sync(finished.path)
    assert [path.name for path in artifacts.iterdir() if path.name.startswith(".")] == []


def test_histories_have_their_steps(mirrored: Reading) -> None:
    assert mirrored.history("trial-0000", "val/loss") == [(1, 0.9), (2, 0.5), (3, 0.6), (4, 0.7)]
    assert mirrored.history("trial-0000", "seconds") == [(1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4)]
    assert mirrored.history("trial-0000", "objective") == [(4, 0.5)]  # its course is val/loss


def test_the_page_of_the_experiment_says_what_is_searched_and_what_is_best(mirrored: Reading) -> None:
    assert mirrored.tags["mlflow.experimentKind"] == "custom_model_development"  # opens on the runs
    assert mirrored.tags["hpsearch.metric"] == "val/loss"
    assert (mirrored.tags["hpsearch.best"], mirrored.tags["hpsearch.best_run"]) == ("0.2", "trial-0001")
    described = mirrored.tags["mlflow.note.content"]
    assert "minimize val/loss" in described
    assert "Best: **0.2** in trial-0001 (train.learning_rate = 0.1)." in described


def test_the_parent_says_what_came_out_and_where_it_came_from(mirrored: Reading) -> None:
    parent = mirrored.parent
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["best_objective"] == 0.2
    assert parent.data.metrics["trials/complete"] == 2
    assert parent.data.metrics["trials/diverged"] == 1
    assert parent.data.metrics["trials/unfinished"] == 1
    tags = parent.data.tags
    assert tags["hpsearch.best_run"] == "trial-0001"
    assert tags["hpsearch.best.train.learning_rate"] == "0.1"
    assert tags["mlflow.source.git.commit"] == "c0ffee"
    assert tags["hpsearch.version.torch"] == "2.9.0"
    assert set(mirrored.files("line")) == {SPACE, RESOLVED}


def test_best_checkpoints_are_artifacts(mirrored: Reading) -> None:
    assert mirrored.files("trial-0001")["best.pt"] == f"checkpoint of {trial_run(BEST_TRIAL)}"
    assert mirrored.files("confirm-0001-seed-001")["best.pt"] == "checkpoint of confirm/0001/seed-001"
    assert set(mirrored.files("trial-0000")) == {CONFIG}


def test_what_a_run_shows_is_mirrored_when_it_has_ended(folder: ExperimentFolder, read: Read) -> None:
    grow_shortly(folder)
    for number in (BEST_TRIAL, 2):  # the second has not ended yet
        write_heat_map(folder.path / trial_run(number), "bias", HeatMap("bias", {"": ((1.0,),)}), picture=b"picture")
    sync(folder.path)
    mirrored = read()
    assert mirrored.files("trial-0001")["artifacts/bias.png"] == "picture"
    assert "artifacts/bias.json" in mirrored.files("trial-0001")
    assert set(mirrored.files("trial-0002")) == {CONFIG}


def test_scores_of_replicates_and_baselines_are_metrics(mirrored: Reading) -> None:
    assert mirrored.history("confirm-0001-seed-001", "test/loss") == [(1, 1.3)]
    assert mirrored.runs["baseline-sloreta"].data.metrics == {"val/auc": 0.7, "test/auc": 0.6}


def test_not_a_number_and_infinity_arrive(folder: ExperimentFolder, read: Read) -> None:
    run = trial_run(0)
    folder.ask(run, 0)
    folder.row(run, 1, **{"val/loss": math.nan, "up": math.inf, "down": -math.inf})
    sync(folder.path)
    reading = read()
    assert math.isnan(reading.history("trial-0000", "val/loss")[0][1])
    assert reading.history("trial-0000", "up")[0][1] > 1e308
    assert reading.history("trial-0000", "down")[0][1] < -1e308


def test_twice_is_once(finished: ExperimentFolder, read: Read) -> None:
    sync(finished.path)
    before = read().everything()
    sync(finished.path)
    assert read().everything() == before


def test_lost_state_is_found_again(finished: ExperimentFolder, read: Read) -> None:
    sync(finished.path)
    before = read().everything()
    (finished.path / TRACKING).unlink()
    sync(finished.path)
    assert read().everything() == before


def test_growing_line_by_line_gives_the_same(folder: ExperimentFolder, root: Path, other: Path) -> None:
    grow_shortly(folder)
    lines = (folder.path / LOG).read_bytes().splitlines(keepends=True)
    rows = {path: path.read_bytes().splitlines(keepends=True) for path in folder.path.rglob(METRICS)}
    for path in (folder.path / LOG, *rows):
        path.write_bytes(b"")
    mirror = mlflow_mirror(folder.path)
    for line in lines:
        event = json.loads(line)
        if event["event"] == "report":
            path, step = folder.path / event["run"] / METRICS, event["step"]
            path.write_bytes(b"".join(rows[path])[: len(b"".join(rows[path][:step])) + 30])
        with (folder.path / LOG).open("ab") as file:
            file.write(line)
        mirror.catch_up()
    mirror.close()
    sync(folder.path, f"sqlite:///{other}")
    assert Reading(default_uri(root), "line").everything() == Reading(f"sqlite:///{other}", "line").everything()


def crash_after(monkeypatch: pytest.MonkeyPatch, method: str, calls: int) -> None:
    """Let the store's method do its work, and the process die right after it, at the given call."""
    real, left = getattr(TableStore, method), [calls]

    def dying(self: TableStore, *arguments: object, **named: object) -> object:
        result = real(self, *arguments, **named)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(TableStore, method, dying)


@pytest.mark.parametrize(
    ("method", "calls"),
    [
        ("flush", 1),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in (("create_run", 3), ("log", 8), ("log_file", 5), ("set_status", 3), ("flush", 2))
        ),
    ],
)
def test_a_crash_between_mlflow_and_the_state_doubles_nothing(
    finished: ExperimentFolder,
    read: Read,
    other: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    calls: int,
) -> None:
    with monkeypatch.context() as patched:
        crash_after(patched, method, calls)
        mirror = mlflow_mirror(finished.path)
        with pytest.raises(KeyboardInterrupt):
            mirror.catch_up(final=True)
        mirror.close()
    sync(finished.path)
    sync(finished.path, f"sqlite:///{other}")
    assert read().names == RUNS_OF_FINISHED
    assert read().everything() == Reading(f"sqlite:///{other}", "line").everything()


def test_a_row_written_again_after_a_crash_comes_once(folder: ExperimentFolder, read: Read) -> None:
    """Everything was killed: MLflow holds step 3, the state does not, and the trial went on from step 2."""
    run = trial_run(0)
    folder.ask(run, 0)
    folder.evaluate(run, 1, 0.9)
    folder.evaluate(run, 2, 0.8)
    sync(folder.path)
    state = (folder.path / TRACKING).read_bytes()
    kept = (folder.path / run / METRICS).stat().st_size
    folder.evaluate(run, 3, 0.7)
    sync(folder.path)
    (folder.path / TRACKING).write_bytes(state)
    os.truncate(folder.path / run / METRICS, kept)
    folder.log.append(BeginEvent(run=run, attempt=2))
    folder.row(run, 3, **{"val/loss": 0.7, "seconds": 77.7})
    folder.row(run, 4, **{"val/loss": 0.6})
    sync(folder.path)
    assert read().history("trial-0000", "val/loss") == [(1, 0.9), (2, 0.8), (3, 0.7), (4, 0.6)]
    assert read().runs["trial-0000"].data.tags["hpsearch.attempts"] == "2"


def test_a_metrics_file_that_became_shorter_is_read_again(folder: ExperimentFolder, read: Read) -> None:
    run = trial_run(0)
    folder.ask(run, 0)
    mirror = mlflow_mirror(folder.path)
    for step in (1, 2, 3):
        folder.row(run, step)
    mirror.catch_up()
    os.truncate(folder.path / run / METRICS, 0)
    for step in (1, 2, 3, 4):
        folder.row(run, step, seconds=10.123 + step)
    mirror.catch_up()
    mirror.close()
    assert [step for step, _ in read().history("trial-0000", "train/loss")] == [1, 2, 3, 4]


def test_a_torn_line_waits_for_its_rest(folder: ExperimentFolder, read: Read) -> None:
    run = trial_run(0)
    folder.ask(run, 0)
    folder.row(run, 1)
    line = b'{"step":2,"seconds":0.2,"train/loss":0.5}\n'
    with (folder.path / run / METRICS).open("ab") as file:
        file.write(line[:20])
        file.flush()
        mirror = mlflow_mirror(folder.path)
        mirror.catch_up()
        assert [step for step, _ in read().history("trial-0000", "train/loss")] == [1]
        file.write(line[20:])
    mirror.catch_up()
    mirror.close()
    assert read().history("trial-0000", "train/loss") == [(1, 1.0), (2, 0.5)]


def test_a_run_taken_up_again_is_running(folder: ExperimentFolder, read: Read) -> None:
    run = folder.trial(0, Outcome.LOST, (0.9,))
    sync(folder.path)
    assert read().runs["trial-0000"].info.status == "FAILED"
    folder.log.append(BeginEvent(run=run, attempt=2))
    sync(folder.path)
    assert read().runs["trial-0000"].info.status == "RUNNING"
    folder.evaluate(run, 2, 0.8)
    folder.end(run, Outcome.COMPLETE, 0.8)
    sync(folder.path)
    assert read().runs["trial-0000"].info.status == "FINISHED"
    assert read().history("trial-0000", "objective") == [(1, 0.9), (2, 0.8)]


def test_a_value_without_a_report_and_one_behind_the_last_report(folder: ExperimentFolder, read: Read) -> None:
    folder.ask(trial_run(0), 0)
    folder.end(trial_run(0), Outcome.COMPLETE, 0.9, step=3)
    folder.ask(trial_run(1), 1)
    folder.evaluate(trial_run(1), 5, 0.7)
    folder.end(trial_run(1), Outcome.COMPLETE, 0.6, step=3)
    sync(folder.path)
    assert read().history("trial-0000", "objective") == [(3, 0.9)]
    assert read().runs["trial-0001"].data.metrics["objective"] == 0.6


def test_a_dropped_trial_is_neither_best_nor_counted(folder: ExperimentFolder, read: Read) -> None:
    folder.trial(0, Outcome.COMPLETE, (0.9,))
    dropped = [folder.trial(1, Outcome.COMPLETE, (0.1,)), folder.trial(2, None, (0.1,))]
    for run in dropped:
        folder.log.append(DropEvent(run=run, reason="model.width is gone"))
    sync(folder.path)
    reading = read()
    assert reading.parent.data.tags["hpsearch.best_run"] == "trial-0000"
    assert reading.parent.data.metrics["trials/complete"] == 1
    assert reading.runs["trial-0001"].data.tags["hpsearch.dropped"] == "model.width is gone"
    assert [reading.runs[f"trial-000{number}"].info.status for number in (1, 2)] == ["FINISHED", "KILLED"]


def test_a_changed_parameter_is_not_written_again(folder: ExperimentFolder, read: Read) -> None:
    folder.trial(0, Outcome.COMPLETE, (0.9,))
    sync(folder.path)
    (folder.path / TRACKING).unlink()
    config = folder.path / trial_run(0) / CONFIG
    config.write_text(config.read_text().replace('"epochs": 4', '"epochs": 9, "new": 1'))
    sync(folder.path)
    assert read().runs["trial-0000"].data.params["train.epochs"] == "4"
    assert read().runs["trial-0000"].data.params["train.new"] == "1"


def test_more_than_a_batch_arrives(folder: ExperimentFolder, read: Read) -> None:
    run = trial_run(0)
    many = {f"layer-{number}": {"width": number, "note": "é" * 3000} for number in range(150)}
    folder.ask(run, 0, config={"model": many, "text": "x" * 7000})
    for step in range(1, 601):
        folder.row(run, step, **{"val/acc@5": step / 600})
    folder.row(run, 601, **{f"unit/{number}": float(number) for number in range(2300)})
    sync(folder.path)
    reading = read()
    data = reading.runs["trial-0000"].data
    assert len([key for key in data.params if key.startswith("model.")]) == 300
    assert len(data.params["text"]) == 6000
    assert len(reading.history("trial-0000", "val/acc_5")) == 600
    assert data.metrics["unit/2299"] == 2299


def test_a_run_deleted_in_mlflow_is_left_alone(folder: ExperimentFolder, read: Read) -> None:
    run = folder.trial(0, None, (0.9,))
    sync(folder.path)
    before = read()
    before.client.delete_run(before.runs["trial-0000"].info.run_id)
    folder.evaluate(run, 2, 0.8)
    folder.trial(1, Outcome.COMPLETE, (0.7,))
    sync(folder.path)
    assert read().names == ["line", "trial-0000", "trial-0001"]
    assert read().runs["trial-0000"].info.lifecycle_stage == "deleted"


def test_an_emptied_store_is_filled_again(finished: ExperimentFolder, other: Path) -> None:
    sync(finished.path)
    state = json.loads((finished.path / TRACKING).read_text())
    (finished.path / TRACKING).write_text(json.dumps(state | {"uri": f"sqlite:///{other}"}))
    sync(finished.path)
    assert len(Reading(f"sqlite:///{other}", "line").names) == len(RUNS_OF_FINISHED)


def test_another_uri_is_remembered_and_mirrored_from_the_start(
    finished: ExperimentFolder, other: Path, read: Read
) -> None:
    sync(finished.path)
    sync(finished.path, f"sqlite:///{other}")
    assert chosen_uri(finished.path, None) == f"sqlite:///{other}"
    assert Reading(f"sqlite:///{other}", "line").everything().keys() == read().everything().keys()


def test_two_mirrors_at_once_are_refused(finished: ExperimentFolder) -> None:
    first = mlflow_mirror(finished.path)
    first.catch_up()
    with pytest.raises(TrackingError, match="another process is mirroring"):
        sync(finished.path)
    first.close()
    sync(finished.path)


def test_the_environment_does_not_matter(
    finished: ExperimentFolder, read: Read, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "elsewhere")
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_LOGGING", "true")
    sync(finished.path)
    assert len(read().names) == len(RUNS_OF_FINISHED)
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:1"
    assert not (tmp_path / "mlruns").exists()


def test_a_folder_without_an_experiment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="is not an experiment"):
        mlflow_mirror(tmp_path).catch_up()


@pytest.mark.parametrize("copied", [False, True])
def test_a_store_that_was_moved_or_copied_keeps_its_artifacts_beside_it(
    finished: ExperimentFolder, root: Path, copied: bool
) -> None:
    sync(finished.path)
    before = Reading(default_uri(root), "line").files("trial-0001")
    new = root.with_name("new place #2")
    if copied:
        shutil.copytree(root, new)
    else:
        root.rename(new)
    kept = sorted(root.rglob("*")) if copied else []
    finished.path, finished.log = new / "line", Log(new / "line" / LOG)
    finished.trial(9, Outcome.COMPLETE, (0.5, 0.4))
    sync(finished.path)
    read = Reading(default_uri(new), "line")
    assert {Path(unquote(urlparse(run.info.artifact_uri).path)).parents[2] for run in read.runs.values()} == {
        new / ARTIFACTS
    }
    assert read.files("trial-0001") == before
    assert "config.json" in read.files("trial-0009")
    assert root.exists() is copied
    assert sorted(root.rglob("*") if copied else []) == kept


def test_a_damaged_database_is_a_tracking_error(finished: ExperimentFolder, root: Path) -> None:
    (root / DATABASE).write_bytes(b"this is no database" * 1000)
    with pytest.raises(TrackingError, match="is no database"):
        sync(finished.path)


def test_a_copys_metrics_are_read_from_its_new_file(folder: ExperimentFolder, read: Read) -> None:
    """Its own first line ended where in the donor's file the second one does."""
    donor, copy = trial_run(0), trial_run(1)
    for number, run in enumerate((donor, copy)):
        folder.ask(run, number)
    folder.evaluate(donor, 1, 0.5)
    folder.evaluate(donor, 2, 0.4)
    length = (folder.path / donor / METRICS).stat().st_size
    own = b'{"step":1,"seconds":0.1,"val/loss":0.9}'
    (folder.path / copy / METRICS).write_bytes(own.ljust(length - 1) + b"\n")
    sync(folder.path)
    folder.row(donor, 3, **{"val/loss": 0.3})
    (folder.path / copy / METRICS).write_bytes((folder.path / donor / METRICS).read_bytes())
    folder.log.append(ExploitEvent(run=copy, number=1, step=3, donor=donor, params={"train.learning_rate": 0.8}))
    sync(folder.path)
    assert read().history("trial-0001", "val/loss") == [(1, 0.9), (2, 0.4), (3, 0.3)]
    run = read().runs["trial-0001"].data
    assert run.params["train.learning_rate"] == "0.1"
    assert "0.8" in run.tags["hpsearch.exploit.000003"]
