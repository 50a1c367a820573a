"""What pruning saved and risked, by numbers that were computed by hand."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from scipy.stats import spearmanr

from hpsearch.experiment.pruning import Agreement, Pruning, pruning_of, rank_correlation
from hpsearch.records import ExperimentRecord, Outcome
from hpsearch.report.experiment_view import show_experiment, show_json
from tests.experiment_factory import GrowingExperiment

WHOLE = [(0.1, 0.2, 0.3, 0.9), (0.2, 0.3, 0.4, 0.8), (0.3, 0.25, 0.4, 0.7), (0.4, 0.6, 0.7, 1.0), (0.5, 0.1, 0.2, 0.6)]
"""At step 1 their ranks are 1 2 3 4 5, at step 2 they are 2 4 3 5 1, and at the end 4 3 2 5 1."""
STOPPED = [(0.05,), (0.04,), (0.03,), (0.02, 0.05)]


def grown(folder: Path, whole: Sequence[Sequence[float]]) -> ExperimentRecord:
    experiment = GrowingExperiment(folder / "curves")
    for number, values in enumerate(whole):
        experiment.trial(number, values)
    for number, values in enumerate(STOPPED, start=len(whole)):
        experiment.trial(number, values, outcome=Outcome.PRUNED)
    experiment.trial(90, (0.1, 0.1, 0.1), outcome=Outcome.DIVERGED)
    experiment.trial(91, (0.1,), outcome=None)
    return experiment.record


def text(record: ExperimentRecord) -> str:
    console = Console(width=120)
    with console.capture() as captured:
        console.print(show_experiment(record))
    return captured.get()


def test_saved_is_what_the_stopped_lack_and_risked_is_told_by_the_order_of_the_others(tmp_path: Path) -> None:
    record = grown(tmp_path, WHOLE)
    found = pruning_of(record)
    # 5 x 4 + (1 + 1 + 1 + 2) + 3 steps were trained; 3 + 3 + 3 + 2 more would have been
    expected = Pruning(28, 11, 4, 5, (Agreement(1, 3, 5, pytest.approx(-0.4)), Agreement(2, 1, 5, pytest.approx(0.7))))
    assert found == expected
    assert "pruning saved 11 of 39 epochs (1.4x): 4 of 11 trials were stopped" in text(record)
    told = "rank correlation with the end: -0.40 at epoch 1 (3 stopped), 0.70 at epoch 2 (1 stopped), over 5 complete"
    assert told in text(record)
    assert show_json(record)["pruning"]["agreements"][1]["correlation"] == pytest.approx(0.7)


def test_too_few_complete_trials_tell_nothing(tmp_path: Path) -> None:
    assert "what it risked cannot be told from 4 complete trials" in text(grown(tmp_path, WHOLE[:4]))


def test_where_nothing_was_pruned_or_is_complete_nothing_is_said(tmp_path: Path) -> None:
    assert pruning_of(grown(tmp_path, [])) is None
    experiment = GrowingExperiment(tmp_path / "other")
    experiment.trial(0, WHOLE[0])
    assert pruning_of(experiment.record) is None
    assert "pruning" not in text(experiment.record)


def test_trials_that_only_reported_step_0_have_no_length_to_measure_by(tmp_path: Path) -> None:
    experiment = GrowingExperiment(tmp_path / "at once")
    experiment.trial(0, (0.1,))
    experiment.trial(1, (0.2,), outcome=Outcome.PRUNED)
    record = experiment.record
    at_once = [replace(trial, history=((0, 0.1),), step=0) for trial in record.trials]
    assert pruning_of(replace(record, trials=tuple(at_once))) is None


def test_the_rank_correlation_is_that_of_another_library() -> None:
    rng = random.Random(0)
    pairs = [(rng.randrange(6), rng.random()) for _ in range(40)]
    assert rank_correlation(pairs) == pytest.approx(spearmanr(*zip(*pairs, strict=True)).statistic)
    assert rank_correlation([(1.0, 2.0), (1.0, 3.0)]) is None
