"""What programs read: one JSON object with a version and a schema, and an exit status for each decision."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import hpsearch
from hpsearch.cli import app
from hpsearch.errors import HpsearchError
from hpsearch.referee.ledger import Decision
from hpsearch.referee.shapes import SHAPES, STATUSES, referee_schema
from tests.referee.campaigns import QUIETLY, challenge, open_title, write_project

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "docs" / "reference" / "referee-schema.json"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*words: object) -> tuple[int, str]:
    """Run a command in this process; return its exit status and what it prints on stdout."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


def test_the_committed_schema_is_current() -> None:
    """`hpsearch schema referee > docs/reference/referee-schema.json` writes it."""
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == json.loads(json.dumps(referee_schema()))
    assert json.loads(command("schema", "referee")[1]) == referee_schema()


def check(content: Any, name: str) -> None:
    """Check JSON against the committed schema, by jsonschema where that is installed, and by the shape itself."""
    SHAPES[name].model_validate_json(json.dumps(content))
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(content, json.loads(SCHEMA.read_text(encoding="utf-8")))
    broken = {**content, "version": 2}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, json.loads(SCHEMA.read_text(encoding="utf-8")))


def test_a_campaign_by_the_command_line(project: Path) -> None:
    quick = ("--in-process", "--quiet", "--json")
    status, said = command("champion", "init", "space.yaml", "--margin", 0.01, "--seeds", 3, "--most", 6, *quick)
    assert status == 0
    check(json.loads(said), "champion")
    status, said = command("challenge", "--set", "rate=0.8", "--plan", "--json")
    check(json.loads(said), "plan")
    for rate, expected in ((0.8, 0), (0.2, 10), (0.8, 0)):
        status, said = command("challenge", "--set", f"rate={rate}", "--note", f"rate {rate}", *quick)
        assert status == expected
        check(json.loads(said), "challenge")
    status, said = command("champion", "--json")
    check(json.loads(said), "champion")
    told = command("champion")[1]
    assert "won challenge 1 by +0.3 -- rate 0.8" in told
    assert "noise over seeds: sd" in told
    status, said = command("champion", "confirm", *quick)
    check(json.loads(said), "confirm")
    status, said = command("champion", "restore", 0, "--into", project / "back", "--title", "space")
    assert (status, (project / "back" / "train.py").read_text()) == (0, (project / "train.py").read_text())


def test_every_decision_has_its_status() -> None:
    assert STATUSES.keys() == {*Decision} - {Decision.ABANDONED}  # no answer has that one
    told = {Decision.ACCEPTED: 0, Decision.REJECTED: 10, Decision.UNDECIDED: 11, Decision.FAILED: 12}
    assert {decision: STATUSES[decision] for decision in told} == told
    help_text = CliRunner().invoke(app, ["challenge", "--help"], env={"COLUMNS": "200"}).output
    assert all(f"{status} {decision}" in " ".join(help_text.split()) for decision, status in told.items())


def test_a_status_follows_from_the_decision(project: Path) -> None:
    open_title()
    answer = challenge(set={"rate": 0.5000001}, most=5)
    with pytest.raises(HpsearchError, match="leave --note out"):
        command("challenge", "--plan", "--note", "x")
    status, _ = command("challenge", "--set", "rate=0.5000001", "--in-process", "--quiet")
    assert status == STATUSES[answer.decision] != 0


def test_python_and_the_command_line_say_the_same(project: Path) -> None:
    open_title()
    answer = challenge(set={"rate": 0.2})
    _, said = command("challenge", "--set", "rate=0.2", "--json", "--quiet", "--in-process")
    assert {**json.loads(said), "from_ledger": False} == json.loads(answer.model_dump_json())
    assert json.loads(command("champion", "--json")[1]) == json.loads(hpsearch.champion().history.model_dump_json())
    assert QUIETLY["quiet"]
