"""A champion's title in MLflow says what the ledger says, also when it is mirrored again."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from hpsearch.cli.main import app
from hpsearch.experiment.layout import LEDGER
from hpsearch.tracking.mlflow.title import TitleMirror
from tests.referee.campaigns import challenge, open_title, write_project

pytestmark = pytest.mark.slow
TITLE = Path("experiments/champion-space")


def test_a_score_that_rests_on_more_seeds_is_the_latest_also_if_it_is_smaller(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    (tmp_path / "title").mkdir()
    store = f"sqlite:///{tmp_path}/mlflow.db"
    for mean, seeds in ((2.0, 1), (1.5, 3)):
        reign = {"reign": 1, "since": 1e9, "contender": 1, "quoted": {"mean": mean, "seeds": seeds}}
        history = {"title": "title", "metric": "val/bits", "goal": "minimize", "reigns": [reign], "champion": reign}
        TitleMirror(tmp_path / "title", {**history, "challenges": []}, store).catch_up()
    client = MlflowClient(store)
    (run,) = client.search_runs([each.experiment_id for each in client.search_experiments()])
    assert run.data.metrics["val/bits"] == 1.5


def test_every_challenge_is_a_run_and_syncing_again_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    open_title(seeds=2)
    answers = [challenge(set={"rate": 0.2}, note="a | smaller rate"), challenge(set={"rate": 0.9})]
    whole = (TITLE / LEDGER).read_bytes()
    lines = whole.splitlines(keepends=True)

    def synced() -> dict[str, dict[str, object]]:
        told = CliRunner().invoke(app, ["sync", str(TITLE)])
        assert told.exit_code == 0, told.output
        client = MlflowClient(f"sqlite:///{tmp_path}/experiments/mlflow.db")
        (own,) = [each for each in client.search_experiments() if each.name == "champion-space"]
        runs = client.search_runs([own.experiment_id])
        return {
            run.data.tags["hpsearch.run"]: {
                "status": run.info.status, "decision": run.data.tags.get("hpsearch.decision"), **run.data.metrics,
                "text": run.data.tags["mlflow.note.content"], "id": run.info.run_id,
                "below": run.data.tags.get("mlflow.parentRunId"), "against": run.data.params.get("against"),
            }
            for run in runs
        }  # fmt: skip

    end = next(at for at, line in enumerate(lines) if b'"challenge":2' in line and b'"verdict"' in line)
    (TITLE / LEDGER).write_bytes(b"".join(lines[:end]))
    before = synced()
    assert before["challenges/0002"]["status"] == "RUNNING"
    (TITLE / LEDGER).write_bytes(whole)
    found = synced()
    assert synced() == found
    assert found.keys() == {"title", "challenges/0001", "challenges/0002"}
    assert {each["id"] for each in before.values()} == {each["id"] for each in found.values()}
    for answer in answers:
        run = found[f"challenges/{answer.challenge:04d}"]
        assert (run["status"], run["decision"], run["against"]) == ("FINISHED", answer.decision, "0")
        assert run["estimate"] == pytest.approx(answer.estimate)
        assert run["below"] == found["title"]["id"]
    assert found["title"]["val/score"] == pytest.approx(answers[1].champion.quoted.mean)
    assert "| 1 | rejected | -0.3 |" in str(found["title"]["text"])
    refused = CliRunner().invoke(app, ["sync", str(TITLE), "--to", "tensorboard"])
    assert refused.exit_code != 0
