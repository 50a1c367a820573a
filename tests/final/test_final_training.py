"""`hpsearch train --params best --from ...`: the winner's own space, from an experiment or from a study's arm."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hpsearch.cli import main
from hpsearch.experiment.reading import read_experiment, read_metrics, read_resolved
from tests.toy_spaces import write_space
from tests.toy_studies import write_study

Call = Callable[..., int]
QUIET = ("--in-process", "--no-mlflow", "--quiet")


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Run `hpsearch ...` in a folder of its own and return the exit status."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> int:
        monkeypatch.setattr("sys.argv", ["hpsearch", *words])
        try:
            main()
        except SystemExit as ended:
            return int(ended.code or 0)
        return 0

    return run


def test_the_winner_of_a_search_with_set_needs_no_set_again(call: Call, tmp_path: Path) -> None:
    write_space(tmp_path, trials=2)
    narrowed = ("--set", "model.width=3", "--set", "train.epochs=2", "--no-confirm")
    assert call("run", "toy.yaml", "--name", "x", *narrowed, *QUIET) == 0
    assert call("train", "toy.yaml", "--params", "best", "--from", "x", *QUIET) == 2  # width is a range of the file
    assert call("train", "--params", "best", "--from", "x", *QUIET) == 0
    final = tmp_path / "experiments" / "x-final"
    (trial,) = read_experiment(final).trials
    best = read_experiment(tmp_path / "experiments" / "x").best
    assert best is not None
    assert trial.params == best.params
    space = read_resolved(final)["space"]
    assert (space["model"]["width"], space["train"]["epochs"]) == (3, 2)
    assert (final / "space.yaml").read_text() == (tmp_path / "toy.yaml").read_text()


def test_the_experiments_space_may_be_overridden(call: Call, tmp_path: Path) -> None:
    write_space(tmp_path, trials=1)
    assert call("run", "toy.yaml", "--name", "x", "--no-confirm", *QUIET) == 0
    assert call("train", "--params", "best", "--from", "x", "--set", "train.epochs=5", *QUIET) == 0
    assert len(read_metrics(tmp_path / "experiments" / "x-final", "trials/0000")) == 5
    assert call("train", "--params", "best", "--from", "x", "--set", "train.epoch=5", *QUIET) == 2


@pytest.mark.slow
def test_a_studys_first_arm_is_trained_with_its_own_settings(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_study(tmp_path, trials=2, seeds=2)
    assert call("study", "study.yaml", *QUIET) == 0
    study = tmp_path / "experiments" / "study"
    result = json.loads((study / "result.json").read_text())
    means = {each["name"]: each["mean"] for each in result["comparison"]["experiments"] if each["name"] != "mean"}
    first = min(means, key=lambda name: means[name])  # the loss is minimised
    capsys.readouterr()
    assert call("train", "--params", "best", "--from", "study", "--test", *QUIET) == 0
    assert f"arm {first} of " in capsys.readouterr().err
    final = read_experiment(tmp_path / "experiments" / "study-final")
    best = read_experiment(study / first).best
    assert best is not None
    assert final.trials[0].params == best.params
    config = json.loads((tmp_path / "experiments" / "study-final" / "trials" / "0000" / "config.json").read_text())
    assert config["config"]["train"]["optimizer"]["kind"] == first
    assert "test/loss" in final.replicates[0].scores
    (other,) = {"sgd", "adamw"} - {first}
    assert call("train", "--params", "best", "--from", "study", "--arm", other, *QUIET) == 0
    assert (tmp_path / "experiments" / f"study-{other}-final").is_dir()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("train --params best", "name a space file, or with --from"),
        ("train --params best --from x --quick", "--quick lays a space file's quick section"),
        ("train --params best --from x --arm a", "is not a study"),
        ("train toy.yaml --params best --arm a", "--arm=a needs --from"),
        ("train toy.yaml --params p.yaml --from x", "but the values come from p.yaml and the space from toy.yaml"),
        ("train toy.yaml --params best --from s", "is a study, whose arms have their own spaces: leave toy.yaml out"),
        ("train --params best --from s", "has no result yet"),
    ],
)
def test_contradictions_are_refused(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, told: str
) -> None:
    write_space(tmp_path)
    study = tmp_path / "experiments" / "s"
    study.mkdir(parents=True)
    (study / "study.json").write_text("{}")
    assert call(*words.split(), *QUIET) == 2
    assert told in capsys.readouterr().err
