"""Folders that an earlier version wrote (tests/kept) open, go on, compare and mirror as they did then.

`search` has pruned, failed, diverged, lost and resumed trials and a confirmation; `population` members that copied one
another; `study` arms on folds and a baseline. What the earlier version read from them is kept in expected.json.
"""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from hpsearch.api.compare import compare
from hpsearch.experiment.layout import RESOLVED
from hpsearch.experiment.reading import read_experiment
from hpsearch.records import ExperimentRecord
from hpsearch.running.chosen import confirm
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from hpsearch.tracking.mlflow.store import DATABASE, default_uri
from tests.tracking.folders import sync
from tests.tracking.reading import Reading

KEPT = Path(__file__).with_name("kept")
EXPECTED: dict[str, Any] = json.loads((KEPT / "expected.json").read_text())
HERE = RunOptions(in_process=True)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy in which the experiments stand below experiments/, beside their spaces and families."""
    for path in KEPT.iterdir():
        if path.is_dir():
            shutil.copytree(path, tmp_path / "experiments" / path.name)
        else:
            shutil.copy(path, tmp_path / path.name)
    for family in ("toy_family.py", "folded_family.py"):
        shutil.copy(KEPT.parent / family, tmp_path / family)
    for resolved in (tmp_path / "experiments").rglob(RESOLVED):
        resolved.write_text(resolved.read_text().replace("/home/me/project", str(tmp_path)))
    (tmp_path / "marker").touch()  # nothing is killed any more
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(record: ExperimentRecord) -> dict[str, Any]:
    return {
        "trials": [
            [trial.number, trial.outcome and trial.outcome.value, _plain(trial.value), trial.step, trial.attempts]
            for trial in record.trials
        ],
        "replicates": [
            [each.run, {name: _plain(score) for name, score in each.scores.items()}] for each in record.replicates
        ],
        "baselines": [[each.title, dict(each.scores)] for each in record.baselines],
    }


def _plain(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(value)


@pytest.mark.parametrize("name", ["search", "population", "study/sgd", "study/adamw"])
def test_it_reads_as_before(name: str) -> None:
    assert told(read_experiment(KEPT / name)) == EXPECTED[name]


def test_it_compares_as_before() -> None:
    pairs = compare(KEPT / "study").comparison.pairs
    found = [[pair.a, pair.b, pair.n, pair.mean_difference, pair.p, pair.verdict] for pair in pairs]
    for pair, before in zip(found, EXPECTED["compare"], strict=True):
        assert pair == [*before[:3], pytest.approx(before[3]), pytest.approx(before[4]), before[5]]


def test_it_goes_on_where_it_was(project: Path) -> None:
    folder = project / "experiments" / "search"
    run(load_space(project / "search.yaml", overrides=["search.trials=16"]), folder=folder, options=HERE)
    found, before = told(read_experiment(folder)), EXPECTED["search"]
    assert found["trials"][:14] == before["trials"]
    assert [trial[0] for trial in found["trials"]] == list(range(16))
    assert found["baselines"] == before["baselines"]


def test_its_winner_is_confirmed_on_more_seeds(project: Path) -> None:
    folder = project / "experiments" / "search"
    confirm(folder, top=1, seeds=3, options=HERE)
    runs = dict(told(read_experiment(folder))["replicates"])
    assert runs.items() >= dict(EXPECTED["search"]["replicates"]).items()
    assert "confirm/0003/seed-002" in runs


@pytest.mark.slow
def test_it_is_mirrored_as_it_reads(project: Path, empty_database: Path) -> None:
    shutil.copy(empty_database, project / "experiments" / DATABASE)
    sync(project / "experiments" / "search")
    read = Reading(default_uri(project / "experiments"), "search")
    ended = {trial[0]: trial[1] for trial in EXPECTED["search"]["trials"]}
    assert {f"trial-{number:04d}" for number in ended} < set(read.names)
    assert {read.statuses[f"trial-{number:04d}"] for number, how in ended.items() if how == "complete"} == {"FINISHED"}
    for name, scores in EXPECTED["search"]["replicates"]:
        metrics = read.runs[name.replace("/", "-")].data.metrics
        assert metrics["test/loss"] == pytest.approx(scores["test/loss"])
