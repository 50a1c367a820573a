"""What `show` and `compare` make of a study's folder."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hpsearch.api.compare import compare_sources
from hpsearch.api.compared import report_folder
from hpsearch.cli.main import app
from hpsearch.comparing import Question
from hpsearch.console.watching import look
from hpsearch.errors import ExperimentError
from hpsearch.experiment.activity import activity, locked, state_of
from hpsearch.experiment.events import EndEvent
from hpsearch.experiment.layout import baselines_run, replicate_run
from hpsearch.experiment.reading import read_experiment
from hpsearch.readers.shelf import read_sources
from hpsearch.records import Fold, Outcome
from hpsearch.report.comparison.files import compare_json
from hpsearch.running.runner import RunOptions
from hpsearch.studies.forecast import forecast_study
from hpsearch.studies.plan import StudyPlan
from hpsearch.studies.progress import progress_of
from hpsearch.studies.report import StudyReport
from hpsearch.studies.run import run_study
from tests.folded_spaces import folded_study
from tests.toy_studies import toy_study, with_options
from tests.tracking.folders import BEST_TRIAL, StudyFolder

HERE = with_options(RunOptions(in_process=True))
Done = tuple[Path, StudyReport]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    home = tmp_path_factory.mktemp("study")
    study = toy_study(home, trials=2, seeds=2)
    end = run_study(study, folder=home / "experiments" / "which", run_arm=HERE, command="hpsearch study")
    assert end.report is not None
    return home / "experiments" / "which", end.report


def test_compared_again_a_study_says_what_its_report_says(done: Done) -> None:
    folder, report = done
    compare_again(folder, report, Question(margin=0.1))
    assert report_folder([folder]) != Path("reports") / folder.name


@pytest.mark.slow
def test_compared_again_a_study_on_folds_says_what_its_report_says(tmp_path: Path) -> None:
    study = folded_study(tmp_path)
    end = run_study(study, folder=tmp_path / "x" / "y", run_arm=HERE, command="")
    assert end.report is not None
    compare_again(tmp_path / "x" / "y", end.report, Question(margin=study.settings.decide.margin))


def test_a_baseline_on_seeds_and_on_folds_is_two_as_the_arm_beside_it_is(tmp_path: Path) -> None:
    study = StudyFolder(tmp_path / "duel")
    a = study.finish("a")
    place = Fold(folds=2, repeat=0, fold=1)
    for run in (replicate_run(BEST_TRIAL, place), f"{baselines_run(place)}/sloreta"):
        a.ask(run, BEST_TRIAL, replicate=0, fold=place)
        a.end(run, Outcome.COMPLETE, scores={"test/loss": 0.5})
    runs = [run for run in read_sources([str(study.path)]).runs if run.search is None]
    found = [(run.experiment, run.fold, run.deterministic) for run in runs]
    searched = [("a", None, False), ("a", None, False), ("a (2 folds)", "1/2", False)]
    assert found == [*searched, ("floor", None, True), ("floor (2 folds)", "1/2", False)]


def compare_again(folder: Path, report: StudyReport, question: Question) -> None:
    """Compare all but the methods, in which only the report tells the study's plan and how it was kept."""
    told = compare_json(replace(report.evidence.comparison, methods=None))
    for source in (folder, folder.parent):
        assert compare_json(replace(compare_sources([source], question).comparison, methods=None)) == told


def test_arms_of_two_studies_that_are_called_alike_are_told_apart(tmp_path: Path) -> None:
    for name in ("one", "two"):
        study = StudyFolder(tmp_path / name)
        for arm in ("a", "b"):
            study.finish(arm)
    found = read_sources([str(tmp_path)])
    arms = [f"{name}/{arm}" for name in ("one", "two") for arm in ("a", "b", "floor")]
    assert list(dict.fromkeys(run.experiment for run in found.runs)) == arms
    assert [record.name for record in found.experiments] == [arm for arm in arms if "floor" not in arm]
    alone = read_sources([str(tmp_path / "one"), str(tmp_path / "two" / "a")])
    assert {run.experiment for run in alone.runs} == {"one/a", "b", "floor", "two/a", "sloreta (a)"}


def test_a_score_that_is_no_number_is_null_in_json(tmp_path: Path) -> None:
    study = StudyFolder(tmp_path / "duel")
    a = study.begin("a")
    a.trial(BEST_TRIAL, Outcome.COMPLETE, (0.8, 0.2))
    run = replicate_run(BEST_TRIAL, 0)
    a.ask(run, BEST_TRIAL, replicate=0)
    a.end(run, Outcome.COMPLETE, 0.25, scores={"test/loss": math.nan})
    said = CliRunner().invoke(app, ["show", str(study.path), "--json"]).output
    arm = json.loads(said, parse_constant=pytest.fail)["arms"][0]
    assert (arm["replicates"], arm["mean"], arm["best"]) == (1, None, 0.2)


def test_a_study_is_shown_with_its_arms(done: Done) -> None:
    folder, report = done
    assert report.answer in " ".join(shown(folder).split())
    sgd, adamw, mean = progress_of(folder).arms
    assert (sgd.state, sgd.trials, sgd.begun, sgd.replicates) == ("finished", 2, 2, 2)
    means = {each.name: each.mean for each in report.evidence.comparison.experiments}
    assert {arm.name: arm.mean for arm in (sgd, adamw, mean)} == means
    assert "mean test/loss" in shown(folder)
    assert mean.state == "scored"


def shown(folder: Path, *options: str) -> str:
    result = CliRunner().invoke(app, ["show", str(folder), *options], env={"COLUMNS": "150"})
    assert result.exit_code == 0, result.output
    return result.stdout


def test_test_scores_are_shown_with_the_result_and_not_before(tmp_path: Path) -> None:
    """The replicates of one arm are scored; whoever saw their mean would have looked, and study.json would not know."""
    study, folder = toy_study(tmp_path, trials=1, seeds=2), tmp_path / "x"
    run_study(study, folder=folder, run_arm=HERE, only="sgd", command="")
    assert "mean test/loss" not in shown(folder)
    assert "The arms' test/loss is shown with the result." in shown(folder)
    arms = json.loads(shown(folder, "--json"))["arms"]
    assert [(arm["replicates"], arm["mean"]) for arm in arms] == [(2, None), (0, None), (0, None)]
    assert arms[2]["state"] == "scored"


@pytest.mark.slow
def test_the_scores_shown_are_those_of_the_report_whatever_else_was_trained(tmp_path: Path) -> None:
    """More replicates of which nobody has seen the result, and then a longer search with another winner."""
    folder = tmp_path / "x"
    for trials in (1, 6):
        study = toy_study(tmp_path, trials=trials, seeds=2)
        end = run_study(study, folder=folder, run_arm=HERE, command="")
        assert end.report is not None
        run_study(study, folder=folder, run_arm=HERE, only="sgd", seeds=4, command="")
        means = {each.name: each.mean for each in end.report.evidence.comparison.experiments}
        progress = progress_of(folder)
        assert {arm.name: arm.mean for arm in progress.arms} == means
        assert progress.arms[0].replicates == 4
    assert len({run.number for run in read_experiment(folder / "sgd").replicates}) == 2


@pytest.mark.parametrize(
    ("why", "state"), [("finished", "finished"), ("time", "finished: time is up"), ("failed", "failed")]
)
def test_how_a_session_ended_is_said(why: str, state: str, tmp_path: Path) -> None:
    a = StudyFolder(tmp_path / "duel").begin("a")
    a.trial(0, Outcome.COMPLETE, (0.5,))
    record = read_experiment(a.path)
    a.log.append(EndEvent(why=why))
    assert state_of(a.path) == state
    assert activity(read_experiment(a.path)) == state
    assert activity(record) == state  # it has ended since it was read


@pytest.mark.slow
def test_a_plan_has_the_replicates_that_were_looked_at(tmp_path: Path) -> None:
    """As many as a run would have; after a change to another kind of replicates the earlier looks count no more."""
    study, folder = toy_study(tmp_path, trials=1, seeds=2), tmp_path / "x"
    run_study(study, folder=folder, run_arm=HERE, seeds=4, command="")
    before = (folder / "study.json").read_bytes()
    extended = forecast_study(study, folder=folder, probe=None)
    assert replicates_of(extended) == {4}
    assert extended.notes[0] == "4 replicates were looked at before, and are kept"
    assert replicates_of(forecast_study(study, folder=folder, seeds=3, probe=None)) == {4}
    assert replicates_of(forecast_study(study, folder=folder, seeds=5, probe=None)) == {5}
    assert replicates_of(
        forecast_study(folded_study(tmp_path, replicates="{folds: 2}"), folder=folder, probe=None)
    ) == {2}
    assert (folder / "study.json").read_bytes() == before
    again = run_study(study, folder=folder, run_arm=HERE, command="")
    assert again.report is not None
    assert [each.n for each in again.report.evidence.comparison.experiments] == [4, 4, 1]


def replicates_of(plan: StudyPlan) -> set[int]:
    return {plan.power.replicates, *(arm.replicates for arm in plan.arms)}


def test_an_arm_is_said_to_be_where_it_is(tmp_path: Path) -> None:
    study = StudyFolder(tmp_path / "duel")
    assert [arm.state for arm in progress_of(study.path).arms] == ["not begun"] * 3
    a = study.begin("a")
    assert state_of(a.path) == "killed"
    with locked(a.path):
        assert state_of(a.path) == activity(read_experiment(a.path)) == "running"
    a.log.append(EndEvent(why="interrupted"))
    assert [arm.state for arm in progress_of(study.path).arms] == ["interrupted", "not begun", "not scored"]


def test_what_takes_an_experiment_names_the_arms_of_a_study(done: Done) -> None:
    with pytest.raises(ExperimentError, match=r"is a study; its arms are experiments; .* holds: adamw, sgd"):
        look(done[0])
