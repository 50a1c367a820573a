"""The test split stays sealed through any number of challenges, and every opening counts."""

import json
from pathlib import Path

import pytest

import hpsearch
from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import LEDGER
from hpsearch.experiment.log import read_state
from hpsearch.referee.trainings import experiment_of
from tests.referee.campaigns import QUIETLY, challenge, open_title, write_project

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
