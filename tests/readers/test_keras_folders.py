"""Keras' TensorBoard callback writes `log_dir/train` and `log_dir/validation`: one run, not two."""

from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.scalar.metadata import create_summary_metadata
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util.tensor_util import make_tensor_proto

from hpsearch.readers.shelf import read_sources
from hpsearch.records import FinishedRun


def write_events(folder: Path, values: dict[str, list[float]]) -> None:
    """Write scalars as TensorFlow 2 does for Keras: tensors without dimensions, a step for each epoch."""
    writer = EventFileWriter(str(folder), filename_suffix=".v2")
    for tag, each in values.items():
        for step, value in enumerate(each):
            metadata = create_summary_metadata(tag, "")
            tensor = make_tensor_proto(np.float32(value))
            summary = Summary(value=[Summary.Value(tag=tag, tensor=tensor, metadata=metadata)])
            writer.add_event(Event(step=step, summary=summary))
    writer.close()


@pytest.fixture
def log_dir(tmp_path: Path) -> Path:
    """What `callbacks=[keras.callbacks.TensorBoard("logs/wide_seed_3")]` leaves; the tags are those of Keras 3."""
    folder = tmp_path / "logs" / "wide_seed_3"
    train = {"epoch_loss": [1.0, 0.5], "epoch_accuracy": [0.25, 0.75], "epoch_learning_rate": [0.125, 0.0625]}
    validation = {"epoch_loss": [1.5, 1.25], "epoch_accuracy": [0.5, 0.625]}
    validation |= {"evaluation_loss_vs_iterations": [1.5, 1.25]}
    write_events(folder / "train", train)
    write_events(folder / "validation", validation)
    return folder


def only_run(folder: Path) -> FinishedRun:
    (run,) = read_sources([str(folder)]).runs
    return run


def test_both_folders_are_one_run(log_dir: Path) -> None:
    for source in (log_dir, log_dir.parent):
        run = only_run(source)
        assert (run.experiment, run.run, run.seed) == ("wide", "wide_seed_3", 3)
    assert {name: measured.value for name, measured in run.metrics.items()} == {
        "train/epoch_loss": 0.5,
        "train/epoch_accuracy": 0.75,
        "train/epoch_learning_rate": 0.0625,
        "val/epoch_loss": 1.25,
        "val/epoch_accuracy": 0.625,
        "val/evaluation_loss_vs_iterations": 1.25,
    }
    assert list(run.histories["val/epoch_loss"].values) == [1.5, 1.25]


def test_events_beside_the_two_folders_belong_to_the_run(log_dir: Path) -> None:
    write_events(log_dir, {"my_scalar": [7.0]})
    metrics = only_run(log_dir).metrics
    assert metrics["my_scalar"].value == 7.0
    assert metrics["val/epoch_loss"].value == 1.25


@pytest.mark.parametrize(("first", "second"), [("train", "other"), ("validation", "valid")])
def test_folders_of_other_names_are_runs_of_their_own(tmp_path: Path, first: str, second: str) -> None:
    for name in (first, second):
        write_events(tmp_path / "logs" / name, {"epoch_loss": [1.0]})
    assert [run.run for run in read_sources([str(tmp_path)]).runs] == sorted([first, second])


def test_folders_without_a_common_tag_are_runs_of_their_own(tmp_path: Path) -> None:
    write_events(tmp_path / "logs" / "train", {"loss": [1.0]})
    write_events(tmp_path / "logs" / "validation", {"accuracy": [1.0]})
    assert [set(run.metrics) for run in read_sources([str(tmp_path)]).runs] == [{"loss"}, {"accuracy"}]
