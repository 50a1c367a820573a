"""hpsearch from Python: the same road as the command line."""

from pathlib import Path

import pytest

import hpsearch
from tests.toy_spaces import write_space


def test_run_returns_the_experiment(tmp_path: Path) -> None:
    path = write_space(tmp_path, trials=9, more="confirm: {seeds: 2}")
    overrides = {"search.trials": 4, "train.learning_rate": {"log": [1e-2, 1e-1]}, "model.width": 2}
    experiment = hpsearch.run(
        path, root=tmp_path / "experiments", set=overrides, in_process=True, mlflow=False, quiet=True
    )
    assert experiment.name == "toy"
    assert list(experiment.trials["outcome"]) == ["complete"] * 4
    assert experiment.trials["params.train.learning_rate"].between(1e-2, 1e-1).all()
    assert "params.model.width" not in experiment.trials
    assert len(experiment.replicates) == 2
    assert experiment.best is not None

    more = hpsearch.confirm(experiment.folder, seeds=3, in_process=True, mlflow=False, quiet=True)
    assert len(more.replicates) == 3
    again = hpsearch.open(tmp_path / "experiments" / "toy")
    assert again.record == more.record


def test_a_mistake_in_an_override_is_named(tmp_path: Path) -> None:
    with pytest.raises(hpsearch.HpsearchError, match=r"epoch.*did you mean.*epochs"):
        hpsearch.run(write_space(tmp_path), root=tmp_path, set={"train.epoch": 3})


def test_every_public_name_can_be_had() -> None:
    for name in hpsearch.__all__:
        assert getattr(hpsearch, name) is not None
    assert set(hpsearch.__all__) <= set(dir(hpsearch))
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        hpsearch.runn  # noqa: B018 -- the access is what is tested
