"""An experiment's data are the same in all its sessions, or it is said: files, users' own families, programs."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import hpsearch
from hpsearch.data.fingerprint import Source, fingerprint_of
from hpsearch.errors import DataError, ExperimentError, HpsearchError, SearchFailedError, SpaceError
from hpsearch.experiment.events import Event, Notice, TextNotice
from hpsearch.experiment.layout import DATA, LOG
from hpsearch.experiment.reading import read_experiment
from hpsearch.families.loading import family_names, load_interface
from hpsearch.final.export import export_model
from hpsearch.readers import Wanted, hpsearch_experiment
from hpsearch.records import Outcome
from hpsearch.running.chosen import confirm
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from hpsearch.running.same_data import changed_since
from hpsearch.running.session import SessionResult
from tests.logs import read_log
from tests.toy_spaces import toy_space

HERE = RunOptions(in_process=True)

FAMILY = '''
from pathlib import Path
from typing import Annotated

import torch

from hpsearch.families import Family, FamilyConfig
from hpsearch.settings import FILE, Settings
from hpsearch.training.settings import TrainSettings
from hpsearch.training.task import TensorData
from tests.toy_family import Toy, ToyModel, ToyTask


class Data(Settings):
    {setting}
    trouble: str = "none"
    seconds: float = 0.0
    marker: str = ""


class Config(FamilyConfig):
    data: Data
    model: ToyModel = ToyModel()
    train: TrainSettings = TrainSettings(epochs=2, batch_size=8, learning_rate=0.1)


class Points(Toy):
    """Fits a line to the points of a file, x and y on each line; a third is for validation, a third for the test."""

    Config = Config

    def load(self, data, split, seed):
        lines = {read}.read_text().splitlines()
        rows = [tuple(map(float, line.split(","))) for line in lines]
        part = torch.tensor(rows[("train", "val", "test").index(split) :: 3])
        return TensorData(x=part[:, :1], y=part[:, 1:])


class Fetched:
    """The same, each example made when it is fetched."""

    def __init__(self, data):
        self.data = data

    def __len__(self):
        return len(self.data)

    def batch(self, indices):
        return self.data.batch(indices)


class Lazy(Points):
    def load(self, data, split, seed):
        return Fetched(super().load(data, split, seed))
'''

SPACE = """\
family: ./family.py:{family}
objective: {{metric: val/loss}}
search: {{sampler: random, pruner: none, trials: {trials}, workers: 1}}
data: {data}
model: {{start: {{float: [-1, 1]}}}}
{more}
"""


def points(count: int = 30, slope: float = 2.0) -> str:
    return "\n".join(f"{i / count},{slope * i / count}" for i in range(count))


def write_family(folder: Path, kind: str) -> None:
    """Write a user's family that reads points.csv: by a marked setting, by one merely called so, or by no setting."""
    settings = {
        "marked": ("table: Annotated[str, FILE]", "Path(data.table)"),
        "named": ("csv_file: str", "Path(data.csv_file)"),
        "hidden": ("size: int = 1", 'Path(__file__).with_name("points.csv")'),
    }
    setting, read = settings[kind]
    (folder / "family.py").write_text(FAMILY.format(setting=setting, read=read), encoding="utf-8")


def write_space(
    folder: Path, kind: str = "marked", *, family: str = "Points", trials: int = 2, more: str = "", path: str = ""
) -> Path:
    write_family(folder, kind)
    data = {"marked": "{table: PATH}", "named": "{csv_file: PATH}", "hidden": "{}"}[kind]
    space = folder / "space.yaml"
    text = SPACE.format(family=family, trials=trials, data=data.replace("PATH", path or "points.csv"), more=more)
    space.write_text(text, encoding="utf-8")
    return space


def search(space: Path, folder: Path) -> SessionResult:
    return run(load_space(space), folder=folder, options=HERE)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder with a file of points; users' modules are forgotten afterwards."""
    (tmp_path / "points.csv").write_text(points(), encoding="utf-8")
    yield tmp_path
    sys.modules.pop("hpsearch_user_family", None)


@pytest.mark.parametrize("kind", ["marked", "named"])
def test_a_file_that_has_changed_is_refused_everywhere_and_welcome_when_it_is_back(home: Path, kind: str) -> None:
    space, folder = write_space(home, kind), home / "found"
    search(space, folder)
    confirm(folder, seeds=2, options=HERE)
    export_model(folder, home / "model")
    (home / "points.csv").write_text(points(33), encoding="utf-8")
    log = (folder / LOG).read_bytes()
    said = r"data have changed.*points\.csv\) had 30 lines, .* sha256 \w+, and has 33 lines, .* sha256 \w+.*--name"
    for action in (
        lambda: confirm(folder, seeds=3, options=HERE),
        lambda: run(load_space(space, overrides=["search.trials=3"]), folder=folder, options=HERE),
        lambda: export_model(folder, home / "other"),
    ):
        with pytest.raises(HpsearchError, match=said):
            action()
    assert (folder / LOG).read_bytes() == log
    with pytest.raises(DataError, match="data have changed since the model was exported"):
        hpsearch.load_model(home / "model", home=home).scores("test")
    assert any("points.csv" in clause for clause in changed_since(load_space(space), folder))
    (home / "points.csv").write_text(points(), encoding="utf-8")  # another time of change, the same content
    assert changed_since(load_space(space), folder) == []
    assert len(confirm(folder, seeds=3, options=HERE).record.replicates) == 3
    assert set(hpsearch.load_model(home / "model", home=home).scores("test")) == {"loss"}


@pytest.mark.parametrize("family", ["Points", "Lazy"])
def test_data_that_no_setting_names_are_known_by_their_examples(home: Path, family: str) -> None:
    space, folder = write_space(home, "hidden", family=family), home / "found"
    search(space, folder)
    export_model(folder, home / "model")
    (home / "points.csv").write_text(points(33), encoding="utf-8")
    record = confirm(folder, seeds=1, options=HERE).record
    (replicate,) = record.replicates
    assert replicate.outcome is Outcome.FAILED
    assert "the train examples are not those of the earlier runs: there were 10, and are 11" in str(replicate.reason)
    with pytest.raises(DataError, match="examples are not those"):
        export_model(folder, home / "other")
    with pytest.raises(DataError, match="there were 10, and are 11"):
        hpsearch.load_model(home / "model", home=home).scores("test")
    (home / "points.csv").write_text(points(), encoding="utf-8")
    (replicate,) = confirm(folder, seeds=1, options=HERE).record.replicates  # it is tried again
    assert replicate.outcome is Outcome.COMPLETE
    assert replicate.test_size == 10


def test_a_changed_example_of_the_same_number_is_noticed(home: Path) -> None:
    space, folder = write_space(home, "hidden"), home / "found"
    search(space, folder)
    (home / "points.csv").write_text(points(slope=2.5), encoding="utf-8")
    (replicate,) = confirm(folder, seeds=1, options=HERE).record.replicates
    assert "the train examples are not those of the earlier runs" in str(replicate.reason)


def test_every_run_tells_its_data_and_equal_data_have_one_fingerprint(home: Path) -> None:
    first = search(write_space(home, more="confirm: {seeds: 2}"), home / "one").record
    moved = home / "moved"
    moved.mkdir()
    (moved / "renamed.csv").write_text(points(), encoding="utf-8")
    second = search(write_space(moved, "named", path="renamed.csv"), home / "two").record
    digests = {each.data for each in (*first.trials, *first.replicates)}
    assert len(digests) == 1
    assert None not in digests
    (moved / "renamed.csv").write_text(points(slope=1), encoding="utf-8")
    third = search(write_space(moved, "named", path="renamed.csv"), home / "three").record
    assert {each.data for each in third.trials}.isdisjoint(each.data for each in second.trials)
    runs = hpsearch_experiment.read(home / "one", Wanted("val/loss")).runs
    assert {each.data for each in runs} == digests  # baselines too


def test_the_log_keeps_the_examples_of_each_split_and_trials_have_not_seen_the_test(home: Path) -> None:
    folder = home / "found"
    search(write_space(home, more="confirm: {seeds: 1}"), folder)
    notes = {event["run"]: event["data"] for event in read_log(folder / LOG) if event["event"] == "outcome"}
    trial, replicate = notes["trials/0000"], notes[next(run for run in notes if "/seed-" in run)]
    assert trial["train"][0] == trial["val"][0] == 10
    assert "test" not in trial
    assert replicate["test"][0] == 10
    assert len({trial["train"][1], trial["val"][1], replicate["test"][1]}) == 3
    assert {name: replicate[name] for name in trial} == trial


def test_an_experiment_of_before_goes_on(home: Path) -> None:
    """Folders without fingerprints: nothing is known, nothing is refused."""
    space, folder = write_space(home), home / "found"
    search(space, folder)
    (folder / DATA).unlink()
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    old = [{key: value for key, value in each.items() if key != "data"} for each in lines if each["event"] != "data"]
    (folder / LOG).write_text("".join(json.dumps(each) + "\n" for each in old))
    assert {each.data for each in read_experiment(folder).trials} == {None}
    (home / "points.csv").write_text(points(33), encoding="utf-8")
    assert len(confirm(folder, seeds=2, options=HERE).record.replicates) == 2
    export_model(folder, home / "model")


def test_a_damaged_record_of_the_data_is_told(home: Path) -> None:
    space, folder = write_space(home), home / "found"
    search(space, folder)
    (folder / DATA).write_text('{"version": 1, "sources": {"a": 3}}')
    with pytest.raises(ExperimentError, match=r"data\.json is damaged"):
        search(space, folder)


def test_relative_paths_start_at_the_space_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "points.csv").write_text(points(90, slope=-1), encoding="utf-8")
    space, folder = write_space(home, more="confirm: {seeds: 1}"), home / "found"
    before = search(space, folder).record
    monkeypatch.chdir(elsewhere)
    again = search(space, home / "again").record
    assert [(trial.data, trial.value) for trial in again.trials] == [
        (trial.data, trial.value) for trial in before.trials
    ]
    assert len(confirm(folder, seeds=2, options=HERE).record.replicates) == 2
    export_model(folder, home / "model")
    assert hpsearch.load_model(home / "model", home=home).scores("test")


def test_a_file_of_the_current_directory_is_still_found_and_it_is_said(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spaces = home / "spaces"
    spaces.mkdir()
    space = write_space(spaces)
    monkeypatch.chdir(home)
    told: list[str] = []

    class Listener:
        def observe(self, event: Event | Notice) -> None:
            told.extend([event.text] if isinstance(event, TextNotice) else [])

    run(load_space(space), folder=home / "found", options=RunOptions(in_process=True, observers=(Listener(),)))
    assert any(f"points.csv is not in {spaces}" in text and f"{home / 'points.csv'} is used" in text for text in told)


def test_an_experiment_that_moves_with_its_data_is_on_the_same_data(home: Path) -> None:
    """The project's folder is copied: the paths in it are relative, and the content has not changed."""
    folder = home / "found"
    search(write_space(home), folder)
    other = home / "copy"
    other.mkdir()
    (other / "points.csv").write_text(points(), encoding="utf-8")
    space = write_space(other)
    os.utime(other / "points.csv", (1, 1))
    more = run(load_space(space, overrides=["search.trials=3"]), folder=folder, options=HERE)
    assert len({trial.data for trial in more.record.trials}) == 1
    (other / "points.csv").write_text(points(slope=3), encoding="utf-8")
    with pytest.raises(ExperimentError, match="data have changed"):
        run(load_space(space, overrides=["search.trials=4"]), folder=folder, options=HERE)


MISTAKES = {
    "not a number": "1,2\n3,four\n5,6\n",
    "another separator": "1;2\n3;4\n5;6\n",
    "nothing for the test": "1,2\n",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_failed_trials_and_start_lines_are_tried_again_once_the_data_are_mended(home: Path, mistake: str) -> None:
    (home / "points.csv").write_text(MISTAKES[mistake], encoding="utf-8")
    more = "start: [{model.start: 0.25}]\nconfirm: {seeds: 1}"
    space, folder = write_space(home, trials=4, more=more), home / "found"
    with pytest.raises(SearchFailedError, match="the first 3 trials failed"):
        search(space, folder)
    failed = read_experiment(folder)
    assert [trial.outcome for trial in failed.trials] == [Outcome.FAILED] * 3
    (home / "points.csv").write_text(points(), encoding="utf-8")
    record = search(space, folder).record
    assert [trial.outcome for trial in record.trials] == [Outcome.COMPLETE] * 4
    assert [trial.params for trial in record.trials[:3]] == [trial.params for trial in failed.trials]
    assert record.trials[0].params == {"model.start": 0.25}
    assert [trial.reason for trial in record.trials] == [None] * 4
    assert [each.outcome for each in record.replicates] == [Outcome.COMPLETE]
    unbroken = search(space, home / "unbroken").record
    assert [trial.params for trial in unbroken.trials] == [trial.params for trial in record.trials]
    assert [trial.value for trial in unbroken.trials] == [trial.value for trial in record.trials]


def test_a_corrected_path_needs_no_other_name(home: Path) -> None:
    """Another file is named instead of the one that could not be used."""
    (home / "wrong.csv").write_text("a,b\n", encoding="utf-8")
    folder = home / "found"
    with pytest.raises(SearchFailedError):
        search(write_space(home, trials=3, path="wrong.csv"), folder)
    record = search(write_space(home, trials=3), folder).record
    assert [trial.outcome for trial in record.trials] == [Outcome.COMPLETE] * 3
    assert {"points.csv"} == {
        json.loads((folder / trial.run / "config.json").read_text())["config"]["data"]["table"]
        for trial in record.trials
    }


def test_an_error_of_the_training_is_not_taken_for_one_of_the_data(tmp_path: Path) -> None:
    space = toy_space(tmp_path, trials=3, data="data: {trouble: exception}")
    for _ in range(2):
        with pytest.raises(SearchFailedError):
            run(space, folder=tmp_path / "found", options=HERE)
    asked = [event for event in read_log(tmp_path / "found" / LOG) if event["event"] == "ask"]
    assert len(asked) == 3


@pytest.mark.parametrize("trouble", ["gone", "a folder", "empty"])
def test_a_file_that_cannot_be_read_is_found_before_anything_is_written(home: Path, trouble: str) -> None:
    file = home / "points.csv"
    file.unlink()
    if trouble == "a folder":
        file.mkdir()
    if trouble == "empty":
        file.touch()
    space = write_space(home)
    words = {"gone": "there is no file", "a folder": "is a folder, not a file", "empty": "is empty"}[trouble]
    with pytest.raises(SpaceError, match=rf"space\.yaml:4:15: data\.table: .*{words}") as caught:
        search(space, home / "found")
    assert str(file) in str(caught.value)
    assert not (home / "found").exists()


def test_a_programs_files_are_watched_too(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import json, sys\nprint(json.dumps({'step': 1, 'loss': float(sys.argv[1]), 'test/loss': 0.5}))\n"
    )
    (tmp_path / "train.txt").write_text("one")
    space = tmp_path / "space.yaml"
    space.write_text(
        f"family: command\ncommand: [{sys.executable}, program.py, '{{rate}}', '{{file}}']\n"
        "objective: {metric: loss, goal: minimize}\n"
        "search: {trials: 2, sampler: random, pruner: none, workers: 1}\n"
        "data: {file: train.txt}\nmodel: {rate: {float: [0, 1]}}\n"
    )
    folder = tmp_path / "found"
    record = search(space, folder).record
    assert {trial.data for trial in record.trials} != {None}
    (tmp_path / "train.txt").write_text("two")
    with pytest.raises(ExperimentError, match=r"data have changed.*file \(.*train\.txt\)"):
        confirm(folder, seeds=1, options=HERE)


def test_simulated_data_are_known_by_their_settings() -> None:
    from hpsearch.families.decode.family import FAMILY as DECODE

    family = DECODE()
    usual = family.Config().data
    fewer = usual.model_copy(update={"frames": usual.frames.model_copy(update={"train": 7})})
    smaller = usual.model_copy(update={"size": 16})
    source: Source = family.source(usual)
    assert source.simulated
    assert family.source(fewer) == source  # how much there is to learn from is none of the data's
    assert family.source(smaller) != source


def test_trials_of_before_a_setting_was_known_still_fit(home: Path) -> None:
    """The stored configurations of an older hpsearch lack what has been added since."""
    space, folder = write_space(home), home / "found"
    search(space, folder)
    for path in folder.glob("trials/*/config.json"):
        job = json.loads(path.read_text())
        assert job["config"]["data"].pop("seconds") == 0.0
        path.write_text(json.dumps(job))
    changed = load_space(space, overrides=["search.trials=3", "model.start={float: [-1, 2]}"])
    record = run(changed, folder=folder, options=HERE).record
    assert [trial.outcome for trial in record.trials] == [Outcome.COMPLETE] * 3
    assert not record.warnings


def test_every_family_on_the_shelf_tells_where_its_examples_come_from() -> None:
    shelf = [load_interface(name, Path()) for name in family_names() if name != "command"]
    for family in shelf:
        config = family.Config()
        source = family.source_of(config, Path())
        assert source is not None
        found = fingerprint_of(source, Path)
        assert found.contents or found.settings
