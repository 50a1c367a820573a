"""The card of a model that was confirmed on folds: what the replicates were, and intervals that know they overlap."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import hpsearch
from hpsearch.experiment.reading import read_experiment
from hpsearch.final.export import export_model
from hpsearch.running.chosen import confirm
from hpsearch.running.runner import RunOptions, run
from tests.folded_spaces import folded_space


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment whose winner was trained on each of three folds of two divisions."""
    home = tmp_path_factory.mktemp("folded")
    run(folded_space(home), folder=home / "x", options=RunOptions(in_process=True))
    return home / "x"


def test_intervals_are_corrected_for_the_overlap_of_the_folds(folder: Path, tmp_path: Path) -> None:
    """Nadeau and Bengio (2003): the variance of the mean is s^2 (1/n + test/train)."""
    card = export_model(folder, tmp_path / "m").card
    assert card.selection is not None
    replicates = read_experiment(folder).replicates
    values = np.array([each.scores["test/loss"] for each in replicates])
    ratio = np.mean([each.test_size for each in replicates]) / np.mean([each.train_size for each in replicates])
    half = stats.t.ppf(0.975, 5) * np.sqrt(values.var(ddof=1) * (1 / 6 + ratio))
    score = card.selection["scores"]["test/loss"]
    assert (score["n"], score["mean"]) == (6, pytest.approx(values.mean()))
    assert score["ci95"] == pytest.approx((values.mean() - half, values.mean() + half), rel=1e-3)
    assert card.selection["baselines"].keys() == {"frequency (3 folds)"}
    page = (tmp_path / "m" / "card.md").read_text()
    assert "trained again 6 times, each time tested once on a fold of all the data" in page
    assert "fresh seeds" not in page
    assert "further seeds" not in page
    assert "hold for this configuration on further samples of this data set" in page
    assert "the test scores are each from a fold of all the data" in page
    assert "from 12 examples" not in page


def test_scores_on_folds_are_told_from_the_weights_own(folder: Path, tmp_path: Path) -> None:
    replicate = read_experiment(folder).replicates[0]
    first = export_model(folder, tmp_path / "m", run=replicate.run).card.limits[0]
    assert f"its own test scores are from {replicate.test_size} examples" in first
    assert "the others each from a fold of all the data" in first


def test_beside_scores_on_seeds_nothing_is_from_folds(folder: Path, tmp_path: Path) -> None:
    """A method's mean over folds is no comparison for a mean over seeds: they were tested on other data."""
    both = Path(shutil.copytree(folder, tmp_path / "x"))
    confirm(both, seeds=2, options=RunOptions(in_process=True))
    record = read_experiment(both)
    card = export_model(both, tmp_path / "m").card
    assert card.selection is not None
    values = [each.scores["test/loss"] for each in record.replicates if each.fold is None]
    assert (len(values), card.selection["replicates"]) == (2, "seed")
    assert card.selection["scores"]["test/loss"]["mean"] == pytest.approx(np.mean(values))
    (method,) = (each for each in record.baselines if each.fold is None)
    assert card.selection["baselines"] == {"frequency": {"test/loss": method.scores["test/loss"]}}
    assert "every test score is from 12 examples" in card.limits[0]
    assert "on further seeds" in card.limits[-1]
    on_fold = export_model(both, tmp_path / "n", run=record.replicates[-1].run).card
    assert "from 20 examples, the others from the test split of the search" in on_fold.limits[0]


def test_a_training_on_a_fold_comes_back_with_the_data_of_its_fold(folder: Path, tmp_path: Path) -> None:
    replicate = read_experiment(folder).replicates[4]
    card = export_model(folder, tmp_path / "m", run=replicate.run).card
    trained = hpsearch.load_model(tmp_path / "m", home="/")
    assert trained.scores() == {"loss": replicate.scores["test/loss"]} == {"loss": card.scores["test/loss"]}
    assert len(trained.splits()["test"]) == replicate.test_size
    assert card.fingerprint != export_model(folder, tmp_path / "n").card.fingerprint
