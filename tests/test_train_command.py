"""`hpsearch train`: one configuration, to its end."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hpsearch.errors import ExperimentError, HpsearchError, SpaceError
from hpsearch.experiment.events import BeginEvent, Event, Notice
from hpsearch.experiment.reading import read_metrics
from hpsearch.records import Outcome
from hpsearch.running.chosen import train
from hpsearch.running.runner import RunOptions, run
from hpsearch.running.session import SessionResult
from hpsearch.space import only, read_params
from tests.toy_spaces import toy_space

PARAMS = {
    "model.start": 0.5,
    "model.width": 3,
    "train.learning_rate": 0.1,
    "train.optimizer": "sgd",
    "train.optimizer.sgd.momentum": 0.5,
}
Train = Callable[..., SessionResult]


@pytest.fixture
def trained(tmp_path: Path) -> Train:
    def call(**arguments: object) -> SessionResult:
        space = toy_space(tmp_path, pruner="median", epochs=4)
        options = RunOptions(in_process=True)
        return train(space, PARAMS, folder=tmp_path / "final", **{"options": options, **arguments})  # type: ignore[arg-type]

    return call


def test_one_trial_with_just_these_values_to_its_end(trained: Train) -> None:
    (trial,) = trained().record.trials
    assert (dict(trial.params), trial.outcome) == (PARAMS, Outcome.COMPLETE)
    assert [row["step"] for row in read_metrics(Path(trained().record.folder), trial.run)] == [1, 2, 3, 4]


def test_the_test_split_is_scored_only_when_asked_and_without_training_again(trained: Train, tmp_path: Path) -> None:
    assert trained().record.replicates == ()
    begun: list[Event | Notice] = []

    class Observer:
        def observe(self, event: Event | Notice) -> None:
            begun.append(event)

    record = trained(test=True, options=RunOptions(in_process=True, observers=(Observer(),))).record
    (replicate,) = record.replicates
    assert "test/loss" in replicate.scores
    assert replicate.seed == record.trials[0].seed
    assert replicate.value == record.trials[0].value
    rows = [read_metrics(tmp_path / "final", run) for run in (record.trials[0].run, replicate.run)]
    assert rows[0] == rows[1]  # with their seconds: nothing was trained again
    assert [event.run for event in begun if isinstance(event, BeginEvent)] == [replicate.run]
    again = trained(test=True).record
    assert again.replicates == record.replicates


def test_another_configuration_in_the_same_folder_is_refused(trained: Train, tmp_path: Path) -> None:
    trained()
    other = {**PARAMS, "model.width": 2}
    with pytest.raises(ExperimentError, match="another configuration"):
        train(toy_space(tmp_path), other, folder=tmp_path / "final", options=RunOptions(in_process=True))
    searched = tmp_path / "searched"
    run(toy_space(tmp_path, trials=2), folder=searched, options=RunOptions(in_process=True, confirm=False))
    with pytest.raises(ExperimentError, match="another configuration"):
        train(toy_space(tmp_path), PARAMS, folder=searched, options=RunOptions(in_process=True))


def test_values_outside_the_space_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HpsearchError, match=r"model\.width"):
        only(toy_space(tmp_path), {**PARAMS, "model.width": 99})


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_a_file_of_values_is_read(tmp_path: Path, suffix: str) -> None:
    space, file = toy_space(tmp_path), tmp_path / f"params.{suffix}"
    lines = "".join(f"{name}: {value}\n" for name, value in PARAMS.items())
    file.write_text(json.dumps(PARAMS) if suffix == "json" else lines, encoding="utf-8")
    assert read_params(file, space) == PARAMS


def test_every_mistake_in_a_file_has_its_place(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("model.wdth: 3\nmodel.start: 7\ntrain.learning_rate: 0.1\n", encoding="utf-8")
    with pytest.raises(SpaceError) as caught:
        read_params(file, toy_space(tmp_path))
    told = str(caught.value).splitlines()
    assert told[0].startswith(
        f"{file}:1:1: params: model.wdth is not a range of this space, did you mean 'model.width'"
    )
    assert told[1].startswith(f"{file}:2:14: params: model.start 7 is not in")
    file.write_text("train.learning_rate: 0.1\n", encoding="utf-8")
    with pytest.raises(SpaceError, match=r"params\.yaml:1:1: params: model\.width has no value"):
        read_params(file, toy_space(tmp_path))
