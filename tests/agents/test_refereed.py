"""Champion and challenge by tools: planned, started by a token for the code as it was, and answered."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import hpsearch
from tests.agents.calling import Call, ToolRefusedError, calling
from tests.referee.campaigns import change_code, open_title, write_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    write_project(folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def call(project: Path) -> Iterator[Call]:
    with calling(project) as called:
        yield called


def test_a_challenge_is_planned_and_starts_only_for_the_code_that_was(call: Call, project: Path) -> None:
    with pytest.raises(ToolRefusedError, match="there is no champion"):
        call("champion")
    open_title()
    shown = call("champion")
    told = hpsearch.champion().history.model_dump(mode="json")
    assert shown == {name: each for name, each in told.items() if name != "version"}
    with pytest.raises(ToolRefusedError, match=r"2 seeds can never be .* allow more with most="):
        call("plan_challenge", note="a larger rate", changes={"rate": 0.8}, most=2)
    plan = call("plan_challenge", note="a larger rate", changes={"rate": 0.8}, most=8)
    assert plan["most"] == 8
    assert plan["known"] is None
    assert {"--note=a larger rate", "--set=rate=0.8", "--most=8", "--json"} <= {*plan["command"]}
    change_code(project, 0.4)
    with pytest.raises(ToolRefusedError, match="what was planned has changed since: plan again"):
        call("start", token=plan["token"])
    assert call("champion")["challenges"] == []


def test_it_is_about_the_whole_project(tmp_path: Path, project: Path) -> None:
    open_title()
    (tmp_path / ".git").mkdir()
    with calling(project) as call, pytest.raises(ToolRefusedError, match="start the server for"):
        call("plan_challenge", note="x")


@pytest.mark.slow
def test_a_challenge_is_answered(call: Call) -> None:
    open_title()
    plan = call("plan_challenge", note="a larger rate", changes={"rate": 0.8})
    run = call("start", token=plan["token"])["run"]
    for _ in range(10):
        told = call("watch", run=run, wait=30)
        if not told["runs"]:
            break
    assert (told["exit_status"], told["answer"]["decision"], told["answer"]["note"]) == (0, "accepted", "a larger rate")
    assert call("champion")["champion"]["contender"] == 1
