"""A factorial design against SciPy's tests of the averages and of the differences of differences."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from hpsearch.records import FinishedRun, Measurement
from hpsearch.running.runner import RunOptions
from hpsearch.studies.forecast import power_plan
from hpsearch.studies.reading import load_study
from hpsearch.studies.report import study_json, study_markdown
from hpsearch.studies.result import factor_reports
from hpsearch.studies.run import run_study
from hpsearch.studies.study import Study
from tests.studies.test_factors import write
from tests.toy_studies import with_options

SEEDS = 6


def cells(study: Study) -> tuple[np.ndarray, list[FinishedRun]]:
    """Return scores by (width, optimizer, seed), and them as runs."""
    scores = np.random.default_rng(0).normal(size=(2, 2, SEEDS)) + np.array([[0, 1], [3, 7]])[..., None]
    runs = [
        FinishedRun(
            experiment=arm.name, run=f"{arm.name}/{seed}", seed=seed, metrics={study.metric: Measurement(value)}
        )
        for arm, row in zip(study.searched, scores.reshape(4, SEEDS), strict=True)
        for seed, value in enumerate(row)
    ]
    return scores, runs


def test_main_effects_and_interaction_are_those_of_paired_t_tests(tmp_path: Path) -> None:
    study = load_study(write(tmp_path))
    scores, runs = cells(study)
    width, optimizer, interaction = factor_reports(study, runs)
    steps = scores[:, 1] - scores[:, 0]
    for report, expected in (
        (width, stats.ttest_rel(*scores.mean(axis=1))),
        (optimizer, stats.ttest_rel(*scores.mean(axis=0))),
        (interaction, stats.ttest_rel(*steps)),
    ):
        (pair,) = report.comparison.pairs
        assert pair.n == SEEDS
        assert pair.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert [each.name for each in width.comparison.experiments] == ["width=1", "width=2"]


def test_the_error_rate_is_shared_by_the_families_of_tests(tmp_path: Path) -> None:
    study = load_study(write(tmp_path))
    assert study.test_families == ("all pairs of arms", "width", "optimizer", "interaction")
    assert study.level == pytest.approx(0.05 / 4)
    three = load_study(write(tmp_path, ("[1, 2]", "[1, 2, 4]")))
    assert three.test_families == ("all pairs of arms", "width", "optimizer")
    alone = load_study(write(tmp_path), quick=True)
    assert alone.test_families == ("all pairs of arms",)
    assert factor_reports(alone, []) == []
    assert {report.comparison.alpha for report in factor_reports(study, cells(study)[1])} == {study.level}


def test_the_power_is_that_at_the_family_s_share_of_the_error_rate(tmp_path: Path) -> None:
    study = load_study(write(tmp_path))
    plan = power_plan(study, tmp_path / "none", replicates=10)
    assert plan.tests == 4 * 3 / 2 + 4  # pairs of cells, and each cell with the baseline
    assert plan.level == pytest.approx(0.05 / 4 / plan.tests)


def test_without_a_cell_s_replicates_the_interaction_is_left_out(tmp_path: Path) -> None:
    study = load_study(write(tmp_path))
    runs = [run for run in cells(study)[1] if run.experiment != "width=2,optimizer=adamw"]
    assert [report.name for report in factor_reports(study, runs)] == ["width", "optimizer"]


def test_a_factorial_study_reports_its_factors(tmp_path: Path) -> None:
    study = load_study(write(tmp_path))
    end = run_study(
        study, folder=tmp_path / "x", run_arm=with_options(RunOptions(in_process=True)), command="hpsearch study"
    )
    assert end.report is not None
    text = study_markdown(end.report)
    assert "**By width: " in text
    assert "## Interaction of width and optimizer" in text
    assert "0.0125 for each of 4 families of tests" in text
    assert set(study_json(end.report)["factors"]) == {"width", "optimizer", "interaction"}
