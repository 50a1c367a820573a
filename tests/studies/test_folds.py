"""A study on folds: every arm on the same folds, the corrected tests, more repeats, the same bytes whatever breaks."""

import json
import math
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from hpsearch.comparing.question import Unit
from hpsearch.errors import HpsearchError
from hpsearch.experiment.reading import read_experiment
from hpsearch.running.chosen import confirm
from hpsearch.running.runner import RunOptions
from hpsearch.studies.forecast import forecast_study, overlap_of
from hpsearch.studies.reading import load_study
from hpsearch.studies.replicates import replication_of
from hpsearch.studies.report import StudyReport, study_markdown
from hpsearch.studies.run import run_study
from hpsearch.studies.study import Study
from tests.folded_spaces import folded_study, write_folded_study
from tests.running.sessions import Terminal, open_terminal
from tests.toy_studies import toy_study, with_options

HERE = RunOptions(in_process=True)


def reported(study: Study, folder: Path, *, seeds: int | None = None, repeats: int | None = None) -> StudyReport:
    run_arm = with_options(HERE)
    end = run_study(study, folder=folder, seeds=seeds, repeats=repeats, run_arm=run_arm, command="hpsearch study")
    assert end.report is not None
    return end.report


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Path, StudyReport]:
    home = tmp_path_factory.mktemp("study")
    study = folded_study(home)
    return study, home / "done", reported(study, home / "done")


def test_the_unit_is_the_fold_and_the_test_is_corrected_for_overlap(done: tuple[Study, Path, StudyReport]) -> None:
    """Nadeau and Bengio 2003: the variance of the mean is s^2 (1/n + n_test/n_train), from the formula by hand."""
    study, folder, report = done
    comparison = report.evidence.comparison
    assert comparison.unit is Unit.FOLD
    assert [(each.name, each.n) for each in comparison.experiments] == [("sgd", 4), ("adamw", 4), ("frequency", 4)]
    records = [read_experiment(folder / arm.name) for arm in study.searched]
    a, b = (np.array([run.scores["test/loss"] for run in record.replicates]) for record in records)
    c = np.array([baseline.scores["test/loss"] for baseline in records[0].baselines])
    assert {(run.train_size, run.test_size) for run in records[0].replicates} == {(24, 30)}  # 60 points, 6 for val
    for pair, difference in zip(comparison.pairs, (a - b, a - c, b - c), strict=True):
        assert pair.test == "corrected resampled t"
        assert pair.paired
        error = math.sqrt(difference.var(ddof=1) * (1 / 4 + 30 / 24))
        assert pair.statistic == pytest.approx(difference.mean() / error)
        assert pair.p == pytest.approx(2 * stats.t.sf(abs(difference.mean() / error), 3))


def test_the_plan_s_overlap_is_that_of_the_test(done: tuple[Study, Path, StudyReport]) -> None:
    study, folder, _ = done
    sizes = {(run.test_size or 0) / (run.train_size or 0) for run in read_experiment(folder / "sgd").replicates}
    (ratio,) = sizes
    assert overlap_of(study)[0] == pytest.approx(ratio)


def test_all_arms_have_the_same_folds_and_seeds(done: tuple[Study, Path, StudyReport]) -> None:
    study, folder, _ = done
    one, other = (
        [
            (job["seeds"], job["config"]["data"])
            for job in (
                json.loads((folder / arm.name / run.run / "config.json").read_text())
                for run in read_experiment(folder / arm.name).replicates
            )
        ]
        for arm in study.searched
    )
    assert one == other
    assert len(one) == 4


def test_the_report_says_what_folds_mean(done: tuple[Study, Path, StudyReport]) -> None:
    text = study_markdown(done[2])
    assert "2 folds of the data, divided 2 times: 4 trainings of each winner" in text
    assert "chosen on data of which the folds' test parts hold some" in text
    assert "the claim is about samples from this data set" in text
    assert "frequency is the classical method frequency, which learns and is scored on the same folds as sgd." in text
    assert "hold for these winners on further samples of this data set" in text


@pytest.mark.slow
def test_five_repeats_of_two_folds_are_decided_by_the_f_of_that_design(tmp_path: Path) -> None:
    report = reported(folded_study(tmp_path, replicates="{folds: 2, repeats: 5}"), tmp_path / "x")
    assert {pair.test for pair in report.evidence.comparison.pairs} == {"5x2cv F"}
    assert [each.n for each in report.evidence.comparison.experiments] == [10, 10, 10]


@pytest.mark.slow
def test_more_repeats_keep_the_first_and_make_it_exploratory(tmp_path: Path) -> None:
    study = folded_study(tmp_path, replicates="{folds: 2}")
    first = reported(study, tmp_path / "x")
    more = reported(study, tmp_path / "x", repeats=2)
    values = [report.evidence.comparison.experiments[0].values for report in (first, more)]
    assert values[0] == values[1][:2]
    assert len(values[1]) == 4
    assert more.changes[0] == "replicates.repeats: 1 -> 2 (after a result could be seen)"
    assert "extended from 2 to 4" in more.changes[1]
    assert not more.confirmatory
    assert study_markdown(reported(study, tmp_path / "x")) == study_markdown(more)  # what was seen stays seen


@pytest.mark.slow
def test_replicates_of_another_kind_in_the_folders_do_not_count(
    done: tuple[Study, Path, StudyReport], tmp_path: Path
) -> None:
    study = folded_study(tmp_path)
    report = reported(study, tmp_path / "done")
    for arm in study.searched:
        confirm(tmp_path / "done" / arm.name, seeds=2, options=HERE)
        confirm(tmp_path / "done" / arm.name, folds=3, options=HERE)
    again = reported(study, tmp_path / "done")
    assert again.evidence.comparison == report.evidence.comparison == done[2].evidence.comparison


@pytest.mark.slow
def test_seeds_after_folds_are_another_plan(tmp_path: Path) -> None:
    reported(folded_study(tmp_path), tmp_path / "x")
    report = reported(folded_study(tmp_path, replicates="{seeds: 2}"), tmp_path / "x")
    assert report.evidence.comparison.unit is Unit.SEED
    assert [each.n for each in report.evidence.comparison.experiments] == [2, 2, 1]
    assert "replicates.folds: 2 -> null (after a result could be seen)" in report.changes
    assert not report.confirmatory


def test_the_other_kind_of_replicates_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HpsearchError, match="--repeats divides the data into new folds"):
        reported(folded_study(tmp_path), tmp_path / "x", seeds=20)
    assert not (tmp_path / "x").exists()
    with pytest.raises(HpsearchError, match="this study's replicates are seeds: --seeds"):
        reported(toy_study(tmp_path), tmp_path / "x", repeats=2)


def test_replicates_are_never_fewer_than_were_looked_at(tmp_path: Path) -> None:
    study = folded_study(tmp_path, replicates="{folds: 4, repeats: 2}")
    assert replication_of(study).repeats == 2
    assert replication_of(study, repeats=3, looks=(8, 20)).repeats == 5
    assert replication_of(toy_study(tmp_path, seeds=3), seeds=5, looks=(3, 7)).seeds == 7


def test_the_plan_counts_folds_and_the_tests_of_baselines(tmp_path: Path) -> None:
    path = write_folded_study(tmp_path)
    text = path.read_text()
    path.write_text(text.replace("{baseline: frequency}", "{baseline: frequency}\n  again: {baseline: frequency}"))
    plan = forecast_study(load_study(path), folder=tmp_path / "x", repeats=3, probe=None)
    assert [arm.replicates for arm in plan.arms] == [6, 6]
    assert plan.power.tests == 6  # two baselines that learn in every fold vary, and are tested


def test_quick_takes_fewer_repeats(tmp_path: Path) -> None:
    study = load_study(write_folded_study(tmp_path), quick=True)
    assert (study.settings.replicates.folds, study.settings.replicates.repeats) == (2, 1)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with open_terminal(tmp_path) as opened:
        yield opened


@pytest.mark.slow
def test_killed_it_ends_in_the_same_bytes(terminal: Terminal, tmp_path: Path) -> None:
    write_folded_study(tmp_path)
    terminal.run("study", "study.yaml", "--name", "study")
    names = ("report.md", "compare.json")
    whole = {name: (tmp_path / "reports" / "study" / name).read_bytes() for name in names}
    for event in (9, 14, 19):
        name = f"killed-{event}"
        terminal.run("study", "study.yaml", "--name", name, status=-signal.SIGKILL, event=event)
        terminal.run("study", "study.yaml", "--name", name)
        found = {each: (tmp_path / "reports" / name / each).read_bytes() for each in names}
        assert found == {each: text.replace(b"--name study", f"--name {name}".encode()) for each, text in whole.items()}
