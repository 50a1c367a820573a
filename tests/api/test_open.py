import json
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch.api.open import OpenedExperiment, open_experiment
from hpsearch.errors import ExperimentError, HpsearchError
from hpsearch.experiment.files import write_json
from hpsearch.experiment.layout import RESOLVED
from hpsearch.health import Kind
from hpsearch.records import Outcome
from tests.experiment_factory import GrowingExperiment, grow_confirmation, grow_search


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    experiment = GrowingExperiment(tmp_path_factory.mktemp("experiments") / "curves")
    grow_search(experiment, trials=20)
    grow_confirmation(experiment)
    return experiment.folder


@pytest.fixture(scope="module")
def opened(folder: Path) -> OpenedExperiment:
    return open_experiment(folder)


def test_tables_and_the_best(opened: OpenedExperiment) -> None:
    assert opened.name == "curves"
    assert opened.best is not None
    assert opened.best == opened.record.best
    assert len(opened.trials) == 20
    assert list(opened.replicates["test/auc"].dropna()) == [0.8, 0.9]
    assert repr(opened).startswith(f"<experiment curves: 20 trials, 16 complete, best val/auc {opened.best.value:.4g}")


def test_the_name_is_known_inside_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert open_experiment(".").name == "curves"


def test_metrics_of_trials_and_replicates(opened: OpenedExperiment) -> None:
    metrics = opened.metrics(3)
    assert list(metrics.columns) == ["step", "seconds", "val/auc", "train/loss"]
    assert list(metrics["train/loss"]) == [1, 1 / 2, 1 / 3, 1 / 4]
    assert list(opened.metrics(0, replicate=1)["val/auc"]) == [0.5]
    with pytest.raises(HpsearchError, match="curves has no trials/0099; it has 20 trials"):
        opened.metrics(99)


def test_what_is_wrong_with_the_trials(opened: OpenedExperiment) -> None:
    diverged = {trial.number for trial in opened.record.trials if trial.outcome is Outcome.DIVERGED}
    assert diverged
    assert {finding.trial for finding in opened.health if finding.kind is Kind.DIVERGENCE} == diverged


def test_figures(opened: OpenedExperiment) -> None:
    assert opened.plot_history().axes[0].get_ylabel() == "val/auc"
    curves = opened.plot_learning_curves().axes[0]
    assert (curves.get_xlabel(), curves.get_ylabel()) == ("epoch", "val/auc")
    assert opened.plot_importance().axes[0].get_yticklabels()[0].get_text() == "learning_rate"
    assert opened.plot_slices().axes[0].get_xlabel() == "learning_rate"
    assert opened.plot_replicates().axes[0].get_ylabel() == "test/auc"


def test_learning_curves_show_the_metric_and_not_the_best_so_far(tmp_path: Path) -> None:
    experiment = GrowingExperiment(tmp_path / "curves")
    experiment.trial(0, (0.5, 0.9, 0.7))
    line = open_experiment(experiment.folder).plot_learning_curves().axes[0].lines[0]
    assert list(line.get_ydata()) == [0.5, 0.9, 0.7]


def test_steps_are_counted_in_the_unit_of_the_experiment(tmp_path: Path) -> None:
    folder = GrowingExperiment(tmp_path / "curves").folder
    assert open_experiment(folder).plot_learning_curves().axes[0].get_xlabel() == "epoch"
    write_json(folder / RESOLVED, {**json.loads((folder / RESOLVED).read_text()), "unit": "step"})
    assert open_experiment(folder).plot_learning_curves().axes[0].get_xlabel() == "step"


def test_notebooks_get_escaped_html(tmp_path: Path) -> None:
    experiment = GrowingExperiment(tmp_path / "<b>curves")
    evil = {"<script>alert(1)</script>": "<img src=x onerror=alert(1)>"}
    experiment.trial(0, (0.5,), params=evil, reason="<script>2</script>")
    shown = open_experiment(experiment.folder)._repr_html_()
    assert "&lt;b&gt;curves" in shown
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown
    assert not any(tag in shown for tag in ("<b>", "<script", "<img"))


def test_notebooks_show_a_figure_without_pyplot(folder: Path) -> None:
    assert open_experiment(folder).plot_history()._repr_png_().startswith(b"\x89PNG")


def test_an_experiment_without_results_can_be_looked_at(tmp_path: Path) -> None:
    opened = open_experiment(GrowingExperiment(tmp_path / "curves").folder)
    assert opened.best is None
    assert "0 trials" in opened._repr_html_()
    assert opened.importance == {}
    for plot in (opened.plot_history, opened.plot_learning_curves, opened.plot_importance, opened.plot_slices):
        assert plot().axes[0].texts


def test_what_is_no_experiment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="is not an experiment"):
        open_experiment(tmp_path)


def test_looking_needs_no_torch_no_mlflow_and_no_window(folder: Path) -> None:
    heavy = ("torch", "mlflow", "optuna", "matplotlib.pyplot")
    code = f"""
import sys
from hpsearch.experiment.files import write_json
from hpsearch.experiment.layout import RESOLVED
from hpsearch.api.open import open_experiment
opened = open_experiment({str(folder)!r})
assert "pandas" not in sys.modules and "matplotlib" not in sys.modules
opened.trials, opened.replicates, opened.metrics(0), opened._repr_html_()
opened.plot_history(), opened.plot_learning_curves(), opened.plot_replicates()
print([name for name in {heavy!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
