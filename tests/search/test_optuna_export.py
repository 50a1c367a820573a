from collections import Counter
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from hpsearch.errors import HpsearchError
from hpsearch.experiment.addresses import sqlite_url
from hpsearch.records import Outcome
from hpsearch.search.optuna_export import export_optuna
from hpsearch.space import suggested
from tests.experiment_factory import TEXT, GrowingExperiment, curves_space, grow_search
from tests.logs import read_log


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> GrowingExperiment:
    growing = GrowingExperiment(tmp_path_factory.mktemp("experiments") / "curves")
    grow_search(growing, trials=30)
    growing.trial(30, (0.5,), outcome=None, params=growing.record.trials[0].params)
    return growing


@pytest.fixture(scope="module", params=["study.db", "study.log"])
def study(
    experiment: GrowingExperiment, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> optuna.Study:
    path = tmp_path_factory.mktemp("export") / request.param
    export_optuna(experiment.record, experiment.space, path)
    assert [file.name for file in path.parent.iterdir()] == [request.param]
    if path.suffix == ".log":
        backend = optuna.storages.journal.JournalFileBackend(str(path))
        return optuna.load_study(study_name="curves", storage=optuna.storages.JournalStorage(backend))
    return optuna.load_study(study_name="curves", storage=f"sqlite:///{path}")


def test_the_study_has_the_experiments_name_direction_and_metric(study: optuna.Study) -> None:
    assert study.direction is optuna.study.StudyDirection.MAXIMIZE
    assert study.metric_names == ["val/auc"]
    assert study.user_attrs["hpsearch:family"] == "curves"


def test_optunas_best_is_ours(experiment: GrowingExperiment, study: optuna.Study) -> None:
    best = experiment.record.best
    assert best is not None
    assert (study.best_trial.number, study.best_value) == (best.number, best.value)


def test_every_trial_comes_back_with_params_and_values(experiment: GrowingExperiment, study: optuna.Study) -> None:
    ranges = {parameter.path for parameter in experiment.space.parameters}
    for ours, theirs in zip(experiment.record.trials, study.trials, strict=True):
        assert theirs.params == suggested(experiment.space, ours.params)
        assert theirs.distributions.keys() == ours.params.keys() <= ranges
        assert str(theirs.intermediate_values) == str(dict(ours.history))  # text, because NaN is not NaN
    rate = study.trials[0].distributions["train.learning_rate"]
    assert rate == optuna.distributions.FloatDistribution(1e-5, 1e-1, log=True)
    assert study.trials[0].distributions["model.layers"] == optuna.distributions.IntDistribution(1, 8)


def test_every_outcome_has_a_state_and_keeps_its_name(experiment: GrowingExperiment, study: optuna.Study) -> None:
    states = {Outcome.COMPLETE: TrialState.COMPLETE, Outcome.PRUNED: TrialState.PRUNED, None: TrialState.RUNNING}
    for ours, theirs in zip(experiment.record.trials, study.trials, strict=True):
        assert theirs.state is states.get(ours.outcome, TrialState.FAIL)
        assert theirs.user_attrs.get("hpsearch:outcome") == ours.outcome
        assert theirs.user_attrs.get("hpsearch:reason") == ours.reason
    assert Counter(trial.state for trial in study.trials)[TrialState.FAIL] == 5


def test_a_pruned_trial_has_its_last_value(experiment: GrowingExperiment, study: optuna.Study) -> None:
    pruned = [trial for trial in experiment.record.trials if trial.outcome is Outcome.PRUNED]
    assert pruned
    assert all(study.trials[trial.number].value == trial.history[-1][1] for trial in pruned)


def test_times_are_those_of_the_log(experiment: GrowingExperiment, study: optuna.Study) -> None:
    events = [event for event in read_log(experiment.log.path) if event.get("run") == "trials/0003"]
    times = {event["event"]: event["time"] for event in events}
    trial = study.trials[3]
    assert trial.datetime_start is not None
    assert trial.datetime_complete is not None
    assert trial.datetime_start.timestamp() == pytest.approx(times["begin"], abs=1e-3)
    assert trial.datetime_complete.timestamp() == pytest.approx(times["outcome"], abs=1e-3)


def test_an_existing_file_is_kept(experiment: GrowingExperiment, tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    path.write_text("mine")
    for target in (path, f"sqlite:///{path}"):
        with pytest.raises(HpsearchError, match="exists"):
            export_optuna(experiment.record, experiment.space, target)
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("target", "message"), [("no/such/folder/a.db", "does not exist"), ("mysql://host/base", "not a file")]
)
def test_a_place_that_cannot_be_written_is_named(experiment: GrowingExperiment, target: str, message: str) -> None:
    with pytest.raises(HpsearchError, match=message):
        export_optuna(experiment.record, experiment.space, target)


def test_a_trial_that_does_not_fit_the_space_leaves_no_file(experiment: GrowingExperiment, tmp_path: Path) -> None:
    space = curves_space(tmp_path, TEXT.replace("[1, 8]", "[1, 2]"))
    with pytest.raises(HpsearchError, match=r"trial \d+ does not fit the space: model\.layers"):
        export_optuna(experiment.record, space, tmp_path / "study.db")
    assert [path.name for path in tmp_path.iterdir()] == ["curves.yaml"]


@pytest.mark.parametrize(
    "name", ["a%20b?c=d#e.db", *(pytest.param(each, marks=pytest.mark.slow) for each in ("a?b.db", "50%.db", "a#b.db"))]
)
def test_a_file_whose_name_means_something_else_in_a_url(
    experiment: GrowingExperiment, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "x?y"
    folder.mkdir()
    export_optuna(experiment.record, experiment.space, folder / name)
    assert [path.name for path in tmp_path.iterdir()] == ["x?y"]
    assert [path.name for path in folder.iterdir()] == [name]
    assert len(optuna.load_study(study_name="curves", storage=sqlite_url(folder / name)).trials) == 31
    with pytest.raises(HpsearchError, match="exists"):
        export_optuna(experiment.record, experiment.space, f"sqlite:///{folder / name}")
