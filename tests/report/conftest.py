from collections.abc import Callable
from pathlib import Path

import pytest

from hpsearch.records import ExperimentRecord
from tests.experiment_factory import GrowingExperiment, grow_confirmation, grow_search


@pytest.fixture(scope="session")
def record(tmp_path_factory: pytest.TempPathFactory) -> ExperimentRecord:
    """30 trials with every outcome and one that is unfinished, three replicates, two baselines."""
    experiment = GrowingExperiment(tmp_path_factory.mktemp("experiments") / "curves")
    grow_search(experiment, trials=30)
    grow_confirmation(experiment)
    experiment.trial(30, (0.5,), outcome=None, params=experiment.record.trials[0].params)
    return experiment.record


@pytest.fixture
def copied(tmp_path: Path) -> ExperimentRecord:
    """Two trials, of which the second went on as a copy of the first."""
    experiment = GrowingExperiment(tmp_path / "curves")
    experiment.trial(0, (0.5, 0.6), outcome=None, params={"train.learning_rate": 1.0, "model.layers": 2})
    experiment.trial(1, (0.1, 0.2), outcome=None, params={"train.learning_rate": 0.1, "model.layers": 3})
    experiment.exploit(1, donor=0, step=2, params={"train.learning_rate": 0.8, "model.layers": 2})
    return experiment.record


@pytest.fixture
def grown(tmp_path: Path) -> Callable[..., ExperimentRecord]:
    """The record of trials made of (values, keyword arguments of `GrowingExperiment.trial`)."""

    def grow(*trials: tuple[tuple[float, ...], dict[str, object]]) -> ExperimentRecord:
        experiment = GrowingExperiment(tmp_path / "curves")
        for number, (values, arguments) in enumerate(trials):
            experiment.trial(number, values, **arguments)  # type: ignore[arg-type]
        return experiment.record

    return grow
