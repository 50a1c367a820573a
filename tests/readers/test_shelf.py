"""Sources as wholes: each is read once, experiments of one name are told apart, contradictions are found."""

import json
from pathlib import Path

import pytest

import hpsearch
from hpsearch.errors import HpsearchError
from hpsearch.readers.shelf import read_sources
from hpsearch.records import Goal
from tests.experiment_factory import GrowingExperiment, grow_confirmation, grow_search

ROWS = "method,accuracy\n" + "".join(f"{name},0.8{at}\n" for name in ("gru", "lstm") for at in (1, 5, 2))


def table(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(ROWS)
    return path


def experiment(folder: Path) -> Path:
    growing = GrowingExperiment(folder)
    grow_search(growing, trials=6)
    grow_confirmation(growing)
    return folder


def test_equal_names_of_two_tables_are_two_experiments_in_either_order(tmp_path: Path) -> None:
    sources = [str(table(tmp_path / name / "results.csv")) for name in ("mine", "theirs")]
    for order in (sources, sources[::-1]):
        found = read_sources(order)
        assert {run.experiment for run in found.runs} == {"mine/gru", "mine/lstm", "theirs/gru", "theirs/lstm"}
        assert len({run.run for run in found.runs}) == len(found.runs) == 12
    compared = hpsearch.compare(tmp_path).comparison
    assert [each.n for each in compared.experiments] == [3] * 4


def test_runs_of_one_experiment_in_folders_for_each_seed_stay_together(tmp_path: Path) -> None:
    for project in ("projA", "projB"):
        for seed in range(2):
            folder = tmp_path / project / f"seed_{seed}" / "resnet"
            folder.mkdir(parents=True)
            (folder / "metrics.json").write_text(json.dumps({"acc": 0.5 + seed / 10}))
    found = read_sources([str(tmp_path)])
    assert {run.experiment for run in found.runs} == {"projA/resnet", "projB/resnet"}


def test_what_is_given_twice_is_read_once_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = table(tmp_path / "tables" / "results.csv")
    (tmp_path / "link.csv").symlink_to(file)
    monkeypatch.chdir(tmp_path)
    for again in (str(file), "tables/../tables/results.csv", "link.csv", "tables"):
        found = read_sources(["tables/results.csv", again])
        assert len(found.runs) == 6
        assert {run.experiment for run in found.runs} == {"gru", "lstm"}
        assert found.warnings == (f"given twice and read once: {'tables/results.csv' if again == 'tables' else again}",)


def test_an_experiment_and_the_folder_around_it_are_read_once(tmp_path: Path) -> None:
    mine = experiment(tmp_path / "experiments" / "mine")
    for sources in ([mine, mine.parent], [mine.parent, mine], [mine / "trials" / "0000", mine]):
        found = read_sources([str(source) for source in sources if source.exists()])
        assert [name for _, name in found.readers] == ["hpsearch"]
        assert {record.name for record in found.experiments} == {"mine"}


def test_experiments_of_one_name_are_told_apart_with_all_that_belongs_to_them(tmp_path: Path) -> None:
    for place in ("old", "new"):
        experiment(tmp_path / place / "mine")
    found = read_sources([str(tmp_path)])
    assert {record.name for record in found.experiments} == {"old/mine", "new/mine"}
    assert {run.experiment for run in found.runs} >= {
        "old/mine",
        "new/mine",
        "old/sloreta (mine)",
        "new/sloreta (mine)",
    }
    compared = hpsearch.compare(tmp_path)
    assert set(compared.evidence.importance) == {"old/mine", "new/mine"}
    (pair,) = (each for each in compared.comparison.pairs if {each.a, each.b} == {"old/mine", "new/mine"})
    assert pair.paired


def test_sources_that_contradict_each_other_about_a_metric_are_refused_by_name(tmp_path: Path) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for way in ("minimize", "maximize"):
        study = optuna.create_study(storage=f"sqlite:///{tmp_path / way}.db", study_name=way, direction=way)
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    found = read_sources([str(tmp_path)])
    assert "objective" not in found.goals
    with pytest.raises(HpsearchError, match="contradict each other") as caught:
        hpsearch.compare(tmp_path)
    assert f"maximize in {tmp_path / 'maximize.db'}; minimize in {tmp_path / 'minimize.db'}" in str(caught.value)
    decided = hpsearch.compare(tmp_path, goal="minimize").comparison
    assert decided.warnings[0].startswith("objective is taken to minimize, as asked for; the sources contradict")
    assert read_sources([str(tmp_path / "minimize.db")]).goals == {"objective": Goal.MINIMIZE}
