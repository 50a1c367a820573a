"""The test split stays sealed through any number of challenges, and every opening counts."""

import json
from pathlib import Path

import pytest

import hpsearch
from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import LEDGER
from hpsearch.experiment.log import read_state
from hpsearch.referee.ledger import Challenge, Decision, Verdict, append, read_title
from hpsearch.referee.trainings import experiment_of
from tests.referee.campaigns import CODE, QUIETLY, challenge, open_title, write_project

TITLE = Path("experiments/champion-space")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scores_in(folder: Path) -> list[str]:
    """Return the runs of a title with test scores."""
    runs = [run for each in (0, 1) for run in read_state(experiment_of(folder, each) / "log.jsonl").runs.values()]
    return [run.run for run in runs if run.scores]


def test_challenges_leave_the_test_split_sealed_and_confirm_opens_it(project: Path) -> None:
    open_title()
    with pytest.raises(HpsearchError, match="the first champion of space still has the title"):
        hpsearch.champion().confirm(**QUIETLY)
    challenge(set={"rate": 0.8})
    assert scores_in(TITLE) == []
    said: list[str] = []
    opened = hpsearch.champion().confirm(**QUIETLY, tell=said.append)
    assert said == []
    assert opened.result is not None
    assert opened.result.metric == "test/score"
    assert opened.result.improvement == pytest.approx(0.3)
    assert len(opened.result.first) == 3
    assert opened.worth.startswith("The first opening")
    size = (TITLE / LEDGER).stat().st_size
    assert hpsearch.champion().confirm(**QUIETLY) == opened
    assert (TITLE / LEDGER).stat().st_size == size
    challenge(set={"rate": 1.2})
    second = hpsearch.champion().confirm(**QUIETLY, tell=said.append)
    assert (second.number, second.present) == (2, 2)
    assert "may have been chosen by them" in second.worth
    assert said == [second.worth]
    fresh = {*(opened.result.first), *(second.result.first if second.result else ())}
    assert len(fresh) == 6
    assert [each.number for each in hpsearch.champion().history.openings] == [1, 2]


def test_an_opening_counts_from_the_moment_it_begins(project: Path) -> None:
    """What was seen before a crash has been seen."""
    open_title()
    challenge(set={"rate": 0.8})
    opened = hpsearch.champion().confirm(**QUIETLY)
    lines = (TITLE / LEDGER).read_bytes().splitlines(keepends=True)
    assert json.loads(lines[-2])["event"] == json.loads(lines[-1])["event"] == "opening"
    (TITLE / LEDGER).write_bytes(b"".join(lines[:-1]))
    (told,) = hpsearch.champion().history.openings
    assert told.result is None
    again = hpsearch.champion().confirm(**QUIETLY)
    assert again.result == opened.result
    assert again.number == 1


def test_a_program_whose_pattern_has_no_test_score_is_told_so_before_anything_is_trained(project: Path) -> None:
    (project / "prog.py").write_text("import sys\nprint('score', float(sys.argv[1]) + int(sys.argv[2]) % 7 / 1000)\n")
    lines = ["family: command", "objective: {metric: score, goal: maximize}", "search: {workers: 1}"]
    lines += ["command: 'python3 prog.py {rate} {seed}'", r"metrics: {pattern: 'score (?P<score>\S+)'}", "rate: 0.5"]
    (project / "space.yaml").write_text("\n".join(lines))
    open_title(seeds=2)
    assert challenge(set={"rate": 0.9}).decision == "accepted"
    before = (TITLE / LEDGER).read_bytes()
    with pytest.raises(HpsearchError, match="has no group test__score, so that test/score is never heard"):
        hpsearch.champion().confirm(**QUIETLY)
    assert (TITLE / LEDGER).read_bytes() == before


def test_a_function_that_reports_no_test_score_is_trained_once_and_then_told_so(project: Path) -> None:
    write_project(project, code=CODE.replace("if report.tests:", "if False:"))
    open_title()
    challenge(set={"rate": 0.9})
    for _ in range(2):
        with pytest.raises(HpsearchError, match="the first training told no test/score"):
            hpsearch.champion().confirm(**QUIETLY)
    assert len([*(experiment_of(TITLE, 0) / "confirm").rglob("config.json")]) == 1
    assert not (experiment_of(TITLE, 1) / "confirm").exists()


def test_trainings_of_an_opening_that_failed_are_repeated(project: Path) -> None:
    away = project.parent / "away"
    code = CODE.replace("import random", "import os\nimport random")
    tests = f"    if report.tests and os.path.exists({str(away)!r}):\n        raise OSError\n    if report.tests:"
    write_project(project, code=code.replace("    if report.tests:", tests))
    open_title()
    challenge(set={"rate": 0.8})
    away.touch()
    with pytest.raises(HpsearchError, match="fewer than two seeds have a test/score of both champions: failed"):
        hpsearch.champion().confirm(**QUIETLY)
    away.unlink()
    opened = hpsearch.champion().confirm(**QUIETLY)
    assert opened.number == 1
    assert opened.result is not None
    assert len(opened.result.first) == 3
    assert opened.result.p is None  # all gains are .3, but for their rounding
    assert opened.result.interval is None


def test_the_first_champion_may_have_won_the_title_back(project: Path) -> None:
    open_title()
    challenge(set={"rate": 0.8})
    title, _ = read_title(TITLE)
    back = Challenge(number=2, contender=0, champion=1, reign=1, level=0.05, margin=0.01, most=6)
    title.follow(append(TITLE / LEDGER, back))
    title.follow(append(TITLE / LEDGER, Verdict(challenge=2, decision=Decision.ACCEPTED, reason="")))
    with pytest.raises(HpsearchError, match="the first champion of space has won the title back"):
        hpsearch.champion().confirm(**QUIETLY)
