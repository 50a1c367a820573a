"""hpsearch from Python: the same road as the command line."""

from pathlib import Path

import numpy as np
import pytest

import hpsearch
from hpsearch.api.arguments import settings_of
from hpsearch.space.search_settings import confirmation
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


def test_values_may_be_numpys_and_paths_and_one_override_may_stand_alone(tmp_path: Path) -> None:
    path = write_space(tmp_path, epochs=1, more="confirm: null")
    rates = {"choice": np.array([0.25, 0.5])}
    values = {"model.width": np.int64(3), "train.learning_rate": rates, "train.optimizer": "sgd"}
    assert settings_of({**values, "data.marker": tmp_path})[-1] == f"data.marker={tmp_path}"
    assert hpsearch.check(path, set=values)[0].ranges == 2
    assert hpsearch.check(path, set="model.width=3")[0].ranges == hpsearch.check(path)[0].ranges - 1
    best = {"model.start": np.float64(0.5), "train.learning_rate": np.float64(0.25)}
    given = {"set": {"train.optimizer": "sgd"}, "root": tmp_path, "in_process": True, "mlflow": False, "quiet": True}
    trained = hpsearch.train(path, params={**best, "model.width": np.int64(3)}, **given)
    assert trained.trials["params.model.width"].tolist() == [3]
    with pytest.raises(hpsearch.HpsearchError, match=r"model.width: <object .* is nothing that a space file can hold"):
        hpsearch.check(path, set={"model.width": object()})


@pytest.mark.parametrize(
    ("wrong", "least"),
    [({"top": 0}, 1), ({"seeds": 0}, 1), ({"folds": 1}, 2), ({"folds": 2, "repeats": 0}, 1)],
)
def test_numbers_of_replicates_that_are_too_small_are_named(wrong: dict[str, int], least: int) -> None:
    with pytest.raises(hpsearch.HpsearchError, match=f"{[*wrong][-1]} is .: at least {least} is needed"):
        confirmation(**{"top": 1, "seeds": None, "folds": None, "repeats": None, **wrong})


def test_a_mistake_in_an_override_is_named(tmp_path: Path) -> None:
    with pytest.raises(hpsearch.HpsearchError, match=r"epoch.*did you mean.*epochs"):
        hpsearch.run(write_space(tmp_path), root=tmp_path, set={"train.epoch": 3})


def test_every_public_name_can_be_had() -> None:
    for name in hpsearch.__all__:
        assert getattr(hpsearch, name) is not None
    assert set(hpsearch.__all__) <= set(dir(hpsearch))
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        hpsearch.runn  # noqa: B018 -- the access is what is tested
