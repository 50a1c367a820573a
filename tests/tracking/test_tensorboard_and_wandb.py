"""TensorBoard's and wandb's mirrors, read back by TensorBoard itself and from wandb's offline files."""

import json
import os
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.metadata import SESSION_END_INFO_TAG, SESSION_START_INFO_TAG
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch import nn

from hpsearch.errors import TrackingError
from hpsearch.experiment.artifacts import write_histograms
from hpsearch.experiment.layout import trial_run
from hpsearch.readers.wandb_offline import _name, _records
from hpsearch.records import Outcome
from hpsearch.tracking.shelf import open_mirror
from hpsearch.training.measurements import look_at
from tests.tracking.folders import ExperimentFolder, grow_shortly


@pytest.fixture
def grown(tmp_path: Path) -> ExperimentFolder:
    return ExperimentFolder(tmp_path / "line")


def catch_up(name: str, folder: ExperimentFolder) -> None:
    mirror = open_mirror(name, folder.path)
    mirror.catch_up(final=True)
    mirror.close()


def events(folder: ExperimentFolder, run: str) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder.path / "tensorboard" / run))
    accumulator.Reload()
    return accumulator


def scalars(folder: ExperimentFolder, run: str, tag: str) -> list[tuple[int, float]]:
    return [(event.step, pytest.approx(event.value, rel=1e-6)) for event in events(folder, run).Scalars(tag)]


def hparams(folder: ExperimentFolder, run: str, tag: str) -> HParamsPluginData:
    return HParamsPluginData.FromString(events(folder, run).SummaryMetadata(tag).plugin_data.content)


def test_tensorboard_finds_scalars_by_our_names(grown: ExperimentFolder) -> None:
    grow_shortly(grown)
    catch_up("tensorboard", grown)
    run = trial_run(1)
    assert scalars(grown, run, "val/loss") == [(1, 0.8), (2, 0.2)]
    assert scalars(grown, run, "train/loss") == [(1, 1.0), (2, 0.5)]
    assert scalars(grown, trial_run(2), "val/loss") == [(1, 0.7)]
    assert scalars(grown, "confirm/0001/seed-001", "test/loss") == [(1, 1.3)]
    assert scalars(grown, "confirm/baselines/sloreta", "test/auc") == [(0, 0.6)]


def test_tensorboard_finds_parameters_and_outcomes(grown: ExperimentFolder) -> None:
    grown.trial(0, Outcome.COMPLETE, (0.9,))
    grown.trial(1, Outcome.DIVERGED, (0.9,))
    catch_up("tensorboard", grown)
    start = hparams(grown, trial_run(1), SESSION_START_INFO_TAG).session_start_info
    assert start.hparams["train.learning_rate"].number_value == 0.1
    assert start.hparams["data.sizes"].string_value == "[1, 2]"
    ends = [hparams(grown, trial_run(number), SESSION_END_INFO_TAG).session_end_info.status for number in range(2)]
    assert ends == [1, 2]  # STATUS_SUCCESS, STATUS_FAILURE


def test_a_second_catch_up_writes_nothing_twice_and_goes_on(grown: ExperimentFolder) -> None:
    run = grown.trial(0, None, (0.9, 0.5))
    catch_up("tensorboard", grown)
    catch_up("tensorboard", grown)
    assert len(list((grown.path / "tensorboard" / run).iterdir())) == 1
    grown.evaluate(run, 3, 0.4)
    grown.end(run, Outcome.COMPLETE, 0.4, step=3)
    catch_up("tensorboard", grown)
    assert scalars(grown, run, "val/loss") == [(1, 0.9), (2, 0.5), (3, 0.4)]


def test_tensorboard_finds_histograms(grown: ExperimentFolder) -> None:
    run = grown.trial(0, None, (0.9, 0.5))
    model = nn.Linear(50, 4)
    write_histograms(grown.path / run, 2, look_at(model))
    catch_up("tensorboard", grown)
    (event,) = events(grown, run).Histograms("weights/weight")
    assert event.step == 2
    assert event.histogram_value.num == 200
    assert sum(event.histogram_value.bucket) == 200
    assert event.histogram_value.sum == pytest.approx(float(model.weight.sum()), abs=200 * 0.3 / 30 / 2)


def test_tensorboard_finds_histograms_of_a_run_that_has_ended(grown: ExperimentFolder) -> None:
    run = grown.trial(0, None, (0.9, 0.5))
    write_histograms(grown.path / run, 2, look_at(nn.Linear(50, 4)))
    grown.end(run, Outcome.COMPLETE, 0.5)
    catch_up("tensorboard", grown)
    assert [event.step for event in events(grown, run).Histograms("weights/weight")] == [2]


def test_histograms_that_come_before_any_metric_have_the_time_of_the_run(grown: ExperimentFolder) -> None:
    run = trial_run(0)
    begun = grown.ask(run, 0)
    write_histograms(grown.path / run, 1, look_at(nn.Linear(50, 4)))
    catch_up("tensorboard", grown)
    (event,) = events(grown, run).Histograms("weights/weight")
    assert event.wall_time == pytest.approx(begun.time, abs=0.001)


def offline(folder: ExperimentFolder) -> dict[str, list]:
    runs: dict[str, list] = {}
    for file in sorted((folder.path / "wandb").glob("offline-run-*/run-*.wandb")):
        records = list(_records(file))
        (run,) = [record.run for record in records if record.WhichOneof("record_type") == "run"]
        runs.setdefault(run.display_name, []).extend(records)
        assert (run.project, run.run_group) == (os.environ.get("WANDB_PROJECT", "hpsearch"), "line")
    return runs


def history(records: list) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for record in records:
        if record.WhichOneof("record_type") == "history":
            row = {_name(item): json.loads(item.value_json) for item in record.history.item}
            for name, value in row.items():
                found.setdefault(name, []).append((row["_step"], value))
    return found


@pytest.mark.slow
def test_wandb_keeps_offline_runs_that_go_on_under_one_id(
    grown: ExperimentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "lines")
    monkeypatch.setenv("WANDB_TAGS", "a,b")
    monkeypatch.setenv("WANDB_NOTES", "why not")
    grown.trial(0, Outcome.COMPLETE, (0.9, 0.5))
    run = grown.trial(1, None, (0.8,))
    write_histograms(grown.path / run, 1, look_at(nn.Linear(5, 4)))
    catch_up("wandb", grown)
    grown.evaluate(run, 2, 0.4)
    grown.end(run, Outcome.COMPLETE, 0.4, step=2)
    catch_up("wandb", grown)
    runs = offline(grown)
    assert runs.keys() == {"trial-0000", "trial-0001"}
    assert history(runs["trial-0000"])["val/loss"] == [(1, 0.9), (2, 0.5)]
    assert history(runs["trial-0001"])["val/loss"] == [(1, 0.8), (2, 0.4)]
    assert any(name.startswith("weights/weight") for name in history(runs["trial-0001"]))
    heads = [record.run for record in runs["trial-0001"] if record.WhichOneof("record_type") == "run"]
    assert len({head.run_id for head in heads}) == 1
    assert (list(heads[0].tags), heads[0].notes) == (["a", "b"], "why not")


def test_without_the_package_wandb_says_what_to_install(
    grown: ExperimentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TrackingError, match=r'pip install "hpsearch\[wandb\]"'):
        open_mirror("wandb", grown.path)
