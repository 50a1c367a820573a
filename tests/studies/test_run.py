"""A study from its file to its report: equal treatment, the plan kept in sight, the same report whatever breaks."""

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hpsearch.cleaning import markdown as escaped
from hpsearch.comparing.comparison import Verdict
from hpsearch.errors import ExperimentError
from hpsearch.experiment.events import Event, Notice, ReportEvent
from hpsearch.experiment.reading import read_experiment
from hpsearch.records import ExperimentRecord
from hpsearch.running.runner import RunOptions
from hpsearch.studies.history import plan_of
from hpsearch.studies.reading import load_study
from hpsearch.studies.report import StudyReport, cover_of, study_json, study_markdown
from hpsearch.studies.run import StudyEnd, run_study
from hpsearch.studies.study import Form, Study
from tests.running.sessions import Terminal, open_terminal
from tests.toy_studies import toy_study, with_options, write_study

FAST = {"trials": 2, "seeds": 2}
NOISE = Path(__file__).with_name("noise_family.py")


def go(study: Study, folder: Path, *, seeds: int | None = None) -> StudyEnd:
    return run_study(
        study, folder=folder, seeds=seeds, run_arm=with_options(RunOptions(in_process=True)), command="hpsearch study"
    )


def reported(study: Study, folder: Path, *, seeds: int | None = None) -> StudyReport:
    report = go(study, folder, seeds=seeds).report
    assert report is not None
    return report


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Path, StudyReport]:
    home = tmp_path_factory.mktemp("study")
    study = toy_study(home, **FAST)
    return study, home / "done", reported(study, home / "done")


@pytest.mark.parametrize(
    ("form", "begins"),
    [
        (Form.FULL, ""),
        (Form.QUICK, "On a small scale: this is the quick"),
        (Form.STANDARD, "This is the standard form"),
    ],
)
def test_the_report_says_how_large_the_study_was(
    form: Form, begins: str, done: tuple[Study, Path, StudyReport]
) -> None:
    report = replace(done[2], form=form)
    said = cover_of(report).scale
    assert said.startswith(begins)
    assert bool(said) == (form is not Form.FULL)
    assert (study_json(report)["quick"], study_json(report)["standard"]) == (form is Form.QUICK, form is Form.STANDARD)


def test_a_plan_knows_its_form_and_earlier_plans_stay_as_they_were(done: tuple[Study, Path, StudyReport]) -> None:
    study, _, _ = done
    plans = {form: plan_of(replace(study, form=form), study.settings.confirm) for form in Form}
    assert [plan["quick"] for plan in plans.values()] == [False, False, True]
    assert {form for form, plan in plans.items() if "standard" in plan} == {Form.STANDARD}


def test_all_arms_are_treated_alike(done: tuple[Study, Path, StudyReport]) -> None:
    study, folder, report = done
    records: list[ExperimentRecord] = [read_experiment(folder / arm.name) for arm in study.searched]
    assert [len(record.trials) for record in records] == [2, 2]
    seeds = [[replicate.seed for replicate in record.replicates] for record in records]
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0])) == 2
    comparison = report.evidence.comparison
    assert [(each.name, each.n) for each in comparison.experiments] == [("sgd", 2), ("adamw", 2), ("mean", 1)]
    assert all(pair.paired for pair in comparison.pairs)
    for record, summary in zip(records, comparison.experiments[:2], strict=True):
        assert sorted(summary.values) == sorted(run.scores["test/loss"] for run in record.replicates)
    (baseline,) = records[0].baselines
    assert comparison.experiments[2].values == (baseline.scores["test/loss"],)


def test_the_report_says_what_was_planned_and_spent(done: tuple[Study, Path, StudyReport]) -> None:
    text = study_markdown(done[2])
    assert text.startswith("# Which?\n\n**")
    assert text.count(escaped(done[2].answer)) == 1
    assert "| sgd | 2 | 2 complete | 6 epochs | 6 epochs |" in text
    assert "smallest difference that matters: 0.1" in text
    assert done[2].confirmatory
    assert "Changes of the plan" not in text


def test_a_second_run_trains_nothing_and_says_the_same(done: tuple[Study, Path, StudyReport]) -> None:
    study, folder, report = done
    before = (folder / "sgd" / "log.jsonl").read_text()
    again = reported(study, folder)
    assert study_markdown(again) == study_markdown(report)
    added = (folder / "sgd" / "log.jsonl").read_text().removeprefix(before)
    assert {json.loads(line)["event"] for line in added.splitlines()} == {"session", "end"}


def test_a_plan_changed_after_the_result_was_seen_is_shown_and_exploratory(tmp_path: Path) -> None:
    reported(toy_study(tmp_path, **FAST), tmp_path / "x")
    report = reported(toy_study(tmp_path, **FAST, margin=0.3), tmp_path / "x")
    assert not report.confirmatory
    assert report.changes[0] == "decide.margin: 0.1 -> 0.3 (after a result could be seen)"
    assert "exploratory, not confirmatory" in report.answer
    back = reported(toy_study(tmp_path, **FAST), tmp_path / "x")
    assert back.changes[1] == "decide.margin: 0.3 -> 0.1 (after a result could be seen)"
    assert not back.confirmatory


def test_a_plan_changed_before_any_result_is_shown_and_confirmatory(tmp_path: Path) -> None:
    stopped = run_study(
        toy_study(tmp_path, **FAST), folder=tmp_path / "x", run_arm=Interrupting(0), command="hpsearch study"
    )
    assert stopped.interrupted
    report = reported(toy_study(tmp_path, **FAST, margin=0.3), tmp_path / "x")
    assert report.changes == ["decide.margin: 0.1 -> 0.3 (before any result could be seen)"]
    assert report.confirmatory


@pytest.mark.slow
def test_more_replicates_keep_the_first_and_make_it_exploratory(tmp_path: Path) -> None:
    study = toy_study(tmp_path, **FAST)
    first = reported(study, tmp_path / "x")
    more = reported(study, tmp_path / "x", seeds=4)
    values = [report.evidence.comparison.experiments[0].values for report in (first, more)]
    assert set(values[0]) < set(values[1])
    assert len(values[1]) == 4
    assert not more.confirmatory
    assert more.changes[0] == "replicates.seeds: 2 -> 4 (after a result could be seen)"
    assert "extended from 2 to 4" in more.changes[1]
    assert more.command.endswith("--seeds 4")
    assert study_markdown(reported(study, tmp_path / "x")) == study_markdown(more)  # what was seen stays seen


def test_more_replicates_from_the_start_are_a_plan(tmp_path: Path) -> None:
    report = reported(toy_study(tmp_path, **FAST), tmp_path / "x", seeds=3)
    assert report.confirmatory
    assert report.evidence.comparison.experiments[0].n == 3
    assert report.changes == ["replicates.seeds: 2 -> 3 (before any result could be seen)"]
    assert ("test of each pair", "paired t, two-sided") in report.plan
    assert {pair.test for pair in report.evidence.comparison.pairs} == {"paired t"}


@pytest.mark.slow
def test_scores_of_one_arm_are_a_result_that_could_be_seen(tmp_path: Path) -> None:
    first = toy_study(tmp_path, **FAST)
    run_arm = with_options(RunOptions(in_process=True))
    run_study(first, folder=tmp_path / "x", run_arm=run_arm, only="sgd", command="hpsearch study")
    report = reported(toy_study(tmp_path, **FAST, margin=0.3), tmp_path / "x")
    assert report.changes[0] == "decide.margin: 0.1 -> 0.3 (after a result could be seen)"
    assert not report.confirmatory


def test_the_searched_arms_are_ranked_too_where_a_classical_method_is_best(
    done: tuple[Study, Path, StudyReport],
) -> None:
    report = done[2]
    assert len(report.answers) == 1
    experiments = report.evidence.comparison.experiments
    best = [replace(each, mean=-1.0) if each.name == "mean" else each for each in experiments]
    comparison = replace(report.evidence.comparison, experiments=tuple(best))
    answers = replace(report, evidence=replace(report.evidence, comparison=comparison)).answers
    assert answers[0].startswith("mean has the best mean test/loss, -1")
    assert answers[1] == f"Of the searched arms: {report.answers[0].replace(' and mean', '')}"


class Interrupting:
    """Runs arms in this process, and presses Ctrl-C at the n-th report of any of them."""

    def __init__(self, after: int) -> None:
        self._left = after

    def observe(self, event: Event | Notice) -> None:
        if isinstance(event, ReportEvent):
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGINT)
                self._left = 10**9

    def __call__(self, arm, folder):  # type: ignore[no-untyped-def]
        return with_options(RunOptions(in_process=True, observers=(self,)))(arm, folder)


@pytest.mark.parametrize("after", [2, 10, 14])
def test_interrupted_it_goes_on_to_the_same_report(
    after: int, done: tuple[Study, Path, StudyReport], tmp_path: Path
) -> None:
    study = toy_study(tmp_path, **FAST)
    run_arm = Interrupting(after)
    stopped = run_study(study, folder=tmp_path / "x", run_arm=run_arm, command="hpsearch study")
    assert stopped == StudyEnd(interrupted=True)
    assert study_markdown(reported(study, tmp_path / "x")) == study_markdown(done[2])


def test_a_folder_that_is_no_study_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "thesis.tex").touch()
    with pytest.raises(ExperimentError, match="is not a study"):
        go(toy_study(tmp_path), tmp_path / "x")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with open_terminal(tmp_path) as opened:
        yield opened


REPORT = ("report.md", "compare.json", "figures/scores.svg")


def study_files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / "reports" / "study" / name).read_bytes() for name in REPORT}


@pytest.mark.slow
def test_killed_at_many_moments_it_ends_in_the_same_bytes(terminal: Terminal, tmp_path: Path) -> None:
    write_study(tmp_path, **FAST)
    terminal.run("study", "study.yaml", "--name", "study")
    whole = study_files(tmp_path)
    for event in (3, 11, 19, 26):
        name = f"killed-{event}"
        terminal.run("study", "study.yaml", "--name", name, status=-signal.SIGKILL, event=event)
        terminal.run("study", "study.yaml", "--name", name)
        found = {each: (tmp_path / "reports" / name / each).read_bytes() for each in REPORT}
        assert found == {each: text.replace(b"--name study", f"--name {name}".encode()) for each, text in whole.items()}


def test_winners_that_were_trained_for_different_lengths_are_tested_and_it_is_said(tmp_path: Path) -> None:
    path = write_study(tmp_path, **FAST)
    path.write_text(path.read_text().replace("{train.optimizer: adamw}", "{train.epochs: 2}"))
    comparison = reported(load_study(path), tmp_path / "x").evidence.comparison
    assert comparison.pairs[0].test == "paired t"
    assert "the trainings differ in length (sgd 3, adamw 2)" in comparison.warnings[0]


NULL = """\
question: Does nothing matter?
metric: {{name: test/loss}}
arms:
  a: {{space: noise.yaml{a}}}
  b: {{space: noise.yaml{b}}}
budget: {{trials: 2}}
replicates: {{seeds: 5}}
decide: {{margin: 0.01}}
seed: {seed}
"""
LABELS = {"a": ", set: {data.label: a}", "b": ", set: {data.label: b}"}
SAME = {"a": "", "b": ""}


def null_study(folder: Path, *, seed: int, arms: dict[str, str]) -> StudyReport:
    """Run a study whose arms differ in nothing that matters."""
    (folder / "noise.yaml").write_text(
        f"family: {NOISE}:Noise\nobjective: {{metric: val/loss}}\nsearch: {{sampler: random, pruner: none}}\n"
        "model: {start: {float: [-1, 1]}}\n"
    )
    path = folder / f"null-{seed}.yaml"
    path.write_text(NULL.format(seed=seed, **arms))
    return reported(load_study(path), folder / path.stem)


@pytest.mark.slow
def test_a_null_study_finds_nothing(tmp_path: Path) -> None:
    """Two arms with chance alone between them: at the level of 5% one of 20 studies calls one of them better."""
    found = [null_study(tmp_path, seed=seed, arms=LABELS).evidence.comparison for seed in range(20)]
    verdicts = [pair.verdict for comparison in found for pair in comparison.pairs]
    assert len(verdicts) == 20
    assert sum(verdict in (Verdict.NOT_ENOUGH_EVIDENCE, Verdict.EQUIVALENT) for verdict in verdicts) >= 18
    assert all(pair.p is not None for comparison in found for pair in comparison.pairs)


@pytest.mark.slow
def test_a_study_of_one_space_against_itself_finds_nothing(tmp_path: Path) -> None:
    """Equal seeds and spaces give equal arms: there is not even chance between them."""
    for seed in range(20):
        report = null_study(tmp_path, seed=seed, arms=SAME)
        (pair,) = report.evidence.comparison.pairs
        assert (pair.verdict, pair.p, pair.identical) == (Verdict.NOT_ENOUGH_EVIDENCE, None, True)
        assert "identical in all 5 pairs" in study_markdown(report)
