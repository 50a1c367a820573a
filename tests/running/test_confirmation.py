"""Confirming on folds: which trainings there are, on which data, from which seeds, and how they are told apart."""

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

from hpsearch.api.open import open_experiment
from hpsearch.errors import HpsearchError, SpaceError
from hpsearch.experiment.reading import read_experiment
from hpsearch.readers.shelf import read_sources
from hpsearch.records import ExperimentRecord, FinishedRun, Fold
from hpsearch.report.experiment_view import show_json
from hpsearch.report.tables import replicates_frame
from hpsearch.running.chosen import confirm
from hpsearch.running.confirmation import distinct_winners
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from hpsearch.seeds import Seeds, division_seed
from tests.folded_family import LABELS, SIZE, Folded, FoldedData
from tests.folded_spaces import folded_space, write_folded_space
from tests.logs import read_log
from tests.running.sessions import Terminal, open_terminal
from tests.toy_spaces import toy_space

HERE = RunOptions(in_process=True)
SIX = [Fold(3, repeat, fold) for repeat in range(2) for fold in range(3)]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> ExperimentRecord:
    home = tmp_path_factory.mktemp("folds")
    return run(folded_space(home), folder=home / "done", options=HERE).record


def written(record: ExperimentRecord, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((Path(record.folder) / "confirm" / name / "config.json").read_text())
    return content


def numbers(job: dict[str, Any], part: Any) -> list[int]:
    """Return which examples a job's part holds."""
    data = Folded().load(FoldedData.model_validate(job["config"]["data"]), part, job["seeds"]["split"])
    return data.batch(range(len(data)))["number"].tolist()  # type: ignore[no-any-return]


def test_each_fold_of_each_repeat_is_a_training_of_the_winner(done: ExperimentRecord) -> None:
    assert done.best is not None
    assert [replicate.fold for replicate in done.replicates] == SIX
    assert {replicate.number for replicate in done.replicates} == {done.best.number}
    assert [replicate.run.rpartition("/")[2] for replicate in done.replicates][:2] == [
        "repeat-0-fold-0-of-3",
        "repeat-0-fold-1-of-3",
    ]
    assert {(replicate.train_size, replicate.test_size) for replicate in done.replicates} == {(34, 20)}  # and 6 for val
    assert all(np.isfinite(replicate.scores["test/loss"]) for replicate in done.replicates)


def test_the_test_parts_are_scikit_learns_folds_and_the_parts_share_nothing(done: ExperimentRecord) -> None:
    for repeat in range(2):
        splitter = StratifiedKFold(3, shuffle=True, random_state=division_seed(0, repeat))
        for fold, (_, expected) in enumerate(splitter.split(np.zeros(SIZE), LABELS)):
            job = written(done, f"{done.replicates[0].number:04d}/repeat-{repeat}-fold-{fold}-of-3")
            assert numbers(job, "test") == expected.tolist()
            parts = [numbers(job, part) for part in ("train", "val", "test")]
            assert sorted(number for part in parts for number in part) == list(range(SIZE))


def test_everything_varies_that_matters_and_is_the_same_for_another_winner(tmp_path: Path) -> None:
    space = folded_space(tmp_path, confirm="{top: 2, folds: 2, repeats: 2}")
    record = run(space, folder=tmp_path / "x", options=HERE).record
    folders = [f"repeat-{repeat}-fold-{fold}-of-2" for repeat in (0, 1) for fold in (0, 1)]
    first, second = ([written(record, f"{number:04d}/{name}") for name in folders] for number in (0, 1))
    assert [job["seeds"] for job in first] == [job["seeds"] for job in second]
    assert [job["config"]["data"] for job in first] == [job["config"]["data"] for job in second]
    for name, different in (("initialisation", 4), ("order", 4), ("augmentation", 4), ("split", 2)):
        assert len({job["seeds"][name] for job in first}) == different
    assert [first[index]["seeds"]["split"] for index in (0, 2)] == [first[index]["seeds"]["split"] for index in (1, 3)]
    assert len({job["config"]["data"]["folds"]["seed"] for job in first}) == 2


def test_fold_seeds_are_fresh_and_differ_between_experiments() -> None:
    known = {Seeds.for_trial(0, number).initialisation for number in range(300)}
    known |= {Seeds.for_replicate(0, number).initialisation for number in range(300)}
    found = {
        Seeds.for_fold(0, repeat=repeat, fold=fold, folds=folds).initialisation
        for folds in (2, 5, 10)
        for repeat in range(10)
        for fold in range(folds)
    }
    assert len(found) == 170
    assert not found & known
    assert len({division_seed(seed, repeat) for seed in range(20) for repeat in range(20)}) == 400


def test_the_classical_methods_learn_in_every_fold(done: ExperimentRecord) -> None:
    assert [(baseline.name, baseline.fold) for baseline in done.baselines] == [("frequency", fold) for fold in SIX]
    for baseline, fold in zip(done.baselines, SIX, strict=True):
        job = written(done, f"baselines/repeat-{fold.repeat}-fold-{fold.fold}-of-3")
        rate, tested = LABELS[numbers(job, "train")].mean(), LABELS[numbers(job, "test")]
        expected = -np.where(tested, np.log(rate), np.log(1 - rate)).mean()
        assert baseline.scores["test/loss"] == pytest.approx(expected, rel=1e-5)
        assert (baseline.train_size, baseline.test_size) == (34, 20)


def test_an_opened_experiment_has_the_curves_of_every_fold(done: ExperimentRecord) -> None:
    opened = open_experiment(done.folder)
    for replicate in done.replicates:
        curve = opened.metrics(replicate.number, replicate=replicate.replicate)["val/loss"]
        assert curve.min() == replicate.value
    with pytest.raises(HpsearchError, match="seed-006"):
        opened.metrics(done.replicates[0].number, replicate=6)


def replicated(record: ExperimentRecord) -> list[FinishedRun]:
    return [run for run in read_sources([record.folder]).runs if run.search is None]


def test_the_reader_gives_fold_repeat_and_sizes(done: ExperimentRecord) -> None:
    runs = replicated(done)
    assert {(run.experiment, run.deterministic) for run in runs} == {("done", False), ("frequency (done)", False)}
    for name in ("done", "frequency (done)"):
        keys = [(run.repeat, run.fold) for run in runs if run.experiment == name]
        assert keys == [(fold.repeat, f"{fold.fold}/3") for fold in SIX]
    assert {(run.train_size, run.test_size) for run in runs} == {(34, 20)}


def test_folds_of_other_divisions_are_no_partners(done: ExperimentRecord, tmp_path: Path) -> None:
    other = run(folded_space(tmp_path, seed=1), folder=tmp_path / "other", options=HERE).record
    keys = [{(run.repeat, run.fold) for run in replicated(record)} for record in (done, other)]
    assert not keys[0] & keys[1]


def test_seeds_and_folds_are_not_mixed(tmp_path: Path) -> None:
    space = folded_space(tmp_path, trials=1, confirm="{seeds: 2}")
    record = run(space, folder=tmp_path / "both", options=HERE).record
    assert {run.experiment for run in replicated(record)} == {"both", "frequency (both)"}
    for folds in (2, 3):
        record = confirm(record.folder, folds=folds, options=HERE).record
    counts: dict[str, int] = {}
    for each in replicated(record):
        counts[each.experiment] = counts.get(each.experiment, 0) + 1
    assert counts == {
        "both": 2,
        "both (2 folds)": 2,
        "both (3 folds)": 3,
        "frequency (both)": 1,
        "frequency (both (2 folds))": 2,
        "frequency (both (3 folds))": 3,
    }
    assert list(show_json(record)["confirm"]["summary"]) == ["0", "0 (2 folds)", "0 (3 folds)"]
    assert list(replicates_frame(record)["fold"].dropna()) == [0, 1, 0, 1, 2]


def test_more_repeats_train_what_is_missing(tmp_path: Path) -> None:
    record = run(folded_space(tmp_path, trials=1, confirm="{folds: 2}"), folder=tmp_path / "x", options=HERE).record
    before = [replicate.scores for replicate in record.replicates]
    record = confirm(record.folder, folds=2, repeats=2, options=HERE).record
    assert [replicate.scores for replicate in record.replicates[:2]] == before
    assert [replicate.attempts for replicate in record.replicates] == [1, 1, 1, 1]
    assert len(record.baselines) == 4


def test_what_does_not_fit_is_refused(done: ExperimentRecord, tmp_path: Path) -> None:
    with pytest.raises(HpsearchError, match="seeds and folds exclude each other"):
        confirm(done.folder, seeds=3, folds=2, options=HERE)
    with pytest.raises(HpsearchError, match="repeats are of folds"):
        confirm(done.folder, repeats=2, options=HERE)
    toy = run(toy_space(tmp_path, trials=1), folder=tmp_path / "toy", options=HERE).record
    with pytest.raises(HpsearchError, match=r"Toy does not divide .* those that do: relative_vit, text_classifier"):
        confirm(toy.folder, folds=2, options=HERE)


REFUSED = {
    "both": ("{seeds: 3, folds: 2}", "", "folded.yaml:7:1: confirm: give either {seeds: k} or {folds: k, repeats: r}"),
    "one fold": ("{folds: 1}", "", "folded.yaml:7:18: confirm.folds: 1 is out of bounds"),
    "repeats": ("{repeats: 3}", "", "folded.yaml:7:1: confirm: repeats are of folds"),
    "official": ("{folds: 2}", "data: {official: true}\n", "folded.yaml:7:18: confirm.folds: .*leave official out"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_space_says_where_folds_are_wrong(name: str, tmp_path: Path) -> None:
    given, more, expected = REFUSED[name]
    with pytest.raises(SpaceError, match=expected.replace("{", r"\{")):
        load_space(write_folded_space(tmp_path, confirm=given, more=more))


def test_official_test_files_of_texts_are_no_fold(tmp_path: Path) -> None:
    path = tmp_path / "texts.yaml"
    path.write_text(
        "family: text_classifier\nobjective: {metric: val/accuracy}\ndata: {path: a.csv, test_path: b.csv}\n"
        "confirm: {folds: 5}\n"
    )
    with pytest.raises(SpaceError, match=r"texts.yaml:4:18: confirm.folds: data: with folds .* leave test_path out"):
        load_space(path)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with open_terminal(tmp_path) as opened:
        yield opened


@pytest.mark.slow
def test_killed_it_goes_on_to_the_same_replicates(terminal: Terminal, tmp_path: Path) -> None:
    write_folded_space(tmp_path, confirm="{folds: 2, repeats: 2}")
    terminal.run("run", "folded.yaml", "--name", "whole")
    whole = read_experiment(tmp_path / "experiments" / "whole")
    expected = [replace(each, seconds=0) for each in whole.replicates]
    events = sum(1 for _ in read_log(tmp_path / "experiments" / "whole" / "log.jsonl"))
    for event in (12, 17, events - 3):
        terminal.run("run", "folded.yaml", "--name", f"killed-{event}", status=-signal.SIGKILL, event=event)
        terminal.run("run", "folded.yaml", "--name", f"killed-{event}")
        again = read_experiment(tmp_path / "experiments" / f"killed-{event}")
        assert [replace(each, seconds=0, attempts=1) for each in again.replicates] == expected
        assert whole.baselines == again.baselines


def give_configuration(run: Path, *, of: Path) -> None:
    other, own = (json.loads((each / "config.json").read_text()) for each in (of, run))
    content = {name: value for name, value in own.items() if name != "crc"}
    (run / "config.json").write_text(json.dumps({**content, "config": other["config"]}))


def test_equal_configurations_are_confirmed_once_and_it_is_said(tmp_path: Path) -> None:
    """Two names of one value, as `0.1` and a step that comes to it, are one training for the same seeds."""
    folder = tmp_path / "twice"
    record = run(
        toy_space(tmp_path, trials=4), folder=folder, options=RunOptions(in_process=True, confirm=False)
    ).record
    best, second, third, _ = record.ranked
    give_configuration(folder / second.run, of=folder / best.run)
    winners, said = distinct_winners(record.ranked, 2, folder=folder)
    assert [winner.number for winner in winners] == [best.number, third.number]
    same = f"trial {second.number} has the configuration of trial {best.number}, whose replicates answer for both"
    assert said == [f"{same}; the next best is confirmed in its place"]
    assert {replicate.number for replicate in confirm(folder, top=2, seeds=1, options=HERE).record.replicates} == {
        best.number,
        third.number,
    }


def test_a_trial_that_is_confirmed_answers_for_a_better_one_of_its_configuration(tmp_path: Path) -> None:
    folder = tmp_path / "again"
    record = run(
        toy_space(tmp_path, trials=4), folder=folder, options=RunOptions(in_process=True, confirm=False)
    ).record
    best, second, third, _ = record.ranked
    give_configuration(folder / second.run, of=folder / best.run)
    winners, said = distinct_winners(record.ranked, 2, folder=folder, confirmed={second.number})
    assert [winner.number for winner in winners] == [second.number, third.number]
    assert said == [
        f"trial {best.number} has the configuration of trial {second.number}, whose replicates answer for both"
    ]
