"""hpsearch's own folders: what is a trial, what a replicate, what a baseline."""

import json
import shutil
from pathlib import Path

import pytest

from hpsearch.experiment.layout import replicate_run
from hpsearch.readers.shelf import Found, read_sources
from hpsearch.records import Fold, Goal, Outcome
from hpsearch.tracking.mlflow.store import DATABASE
from tests.experiment_factory import TEXT, GrowingExperiment, grow_confirmation, grow_search
from tests.tracking.folders import sync


@pytest.fixture
def experiment(tmp_path: Path) -> GrowingExperiment:
    growing = GrowingExperiment(tmp_path / "experiments" / "mine")
    grow_search(growing, trials=10)
    grow_confirmation(growing)
    return growing


def test_trials_belong_to_the_search_and_replicates_do_not(experiment: GrowingExperiment) -> None:
    found = read_sources([str(experiment.folder)])
    trials = [run for run in found.runs if run.search is not None]
    replicates = [run for run in found.runs if run.seed is not None and not run.deterministic]
    assert [run.trial for run in trials] == list(range(10))
    assert {run.search.metric for run in trials if run.search} == {"val/auc"}
    assert [(run.experiment, run.seed) for run in replicates] == [
        ("mine", replicate.seed) for replicate in experiment.record.replicates
    ]
    assert [run.metrics["test/auc"].value for run in replicates[:2]] == [0.8, 0.9]
    assert replicates[2].outcome == "failed"
    assert found.main == ("test/auc",)
    assert found.goals["test/auc"] is Goal.MAXIMIZE


def test_the_copies_among_mlflows_artifacts_are_not_read(experiment: GrowingExperiment) -> None:
    root = experiment.folder.parent
    shutil.copytree(experiment.folder, root / "mlartifacts" / "mine" / "0a1b" / "artifacts")
    assert [name for _, name in read_sources([str(root)]).readers] == ["hpsearch"]


def test_baselines_have_no_seed(experiment: GrowingExperiment) -> None:
    baselines = [run for run in read_sources([str(experiment.folder)]).runs if run.deterministic]
    assert [run.experiment for run in baselines] == ["sloreta (mine)", "<i>minimum norm</i> (mine)"]
    assert baselines[0].metrics["test/auc"].value == 0.6


def test_replicates_of_a_second_winner_are_beside_the_first(experiment: GrowingExperiment) -> None:
    second = experiment.record.ranked[1]
    experiment.replicate(second.number, 0, {"test/auc": 0.7})
    names = {run.experiment for run in read_sources([str(experiment.folder)]).runs if run.seed is not None}
    assert names == {"mine", f"mine#{second.number}"}


def test_the_mirror_beside_experiments_is_not_read_twice(experiment: GrowingExperiment) -> None:
    from mlflow.tracking import MlflowClient

    root = experiment.folder.parent
    MlflowClient(tracking_uri=f"sqlite:///{root}/mlflow.db").search_experiments()
    assert [name for _, name in read_sources([str(root)]).readers] == ["hpsearch"]
    assert [name for _, name in read_sources([str(root / "mlflow.db")]).readers] == ["mlflow"]


def test_its_mirror_is_compared_as_the_folder_is(experiment: GrowingExperiment, empty_database: Path) -> None:
    root = experiment.folder.parent
    shutil.copy(empty_database, root / DATABASE)
    sync(experiment.folder)
    store, folder = (read_sources([str(source)]) for source in (root / DATABASE, experiment.folder))
    assert store.main == folder.main == ("test/auc",)
    assert store.goals == folder.goals
    assert of_no_search(store) == of_no_search(folder)


def test_its_mirror_tells_folds_of_another_seed_as_the_folder_does(tmp_path: Path, empty_database: Path) -> None:
    experiment = GrowingExperiment(tmp_path / "mine", text=TEXT.replace("trials: 60", "trials: 60, seed: 7"))
    experiment.trial(0, (0.5,))
    place = Fold(folds=5, repeat=1, fold=3)
    run = replicate_run(0, place)
    experiment.ask(run, 0, {}, replicate=0, fold=place)
    experiment.end(run, Outcome.COMPLETE, (0.5,), scores={"test/auc": 0.8})
    shutil.copy(empty_database, tmp_path / DATABASE)
    sync(experiment.folder)
    for source in (tmp_path / DATABASE, experiment.folder):
        (found,) = (run for run in read_sources([str(source)]).runs if run.search is None)
        assert (found.fold, found.repeat) == ("3/5", "1 of seed 7")


def of_no_search(found: Found) -> list[tuple[object, ...]]:
    """Return what a comparison takes of the runs that are no trials."""
    kept = [run for run in found.runs if run.search is None]
    scores = [(run, measured.value if (measured := run.metrics.get("test/auc")) else None) for run in kept]
    return sorted((run.experiment, str(run.seed), run.deterministic, str(run.outcome), score) for run, score in scores)


def test_a_running_experiment_can_be_read(experiment: GrowingExperiment) -> None:
    experiment.trial(10, [0.5], outcome=None)
    with (experiment.folder / "log.jsonl").open("a") as file:
        file.write(json.dumps({"event": "report"})[:-3])
    found = read_sources([str(experiment.folder)])
    assert [run.dropped for run in found.runs if run.trial == 10] == ["it has not ended"]
    assert any("torn" in warning for warning in found.warnings)
