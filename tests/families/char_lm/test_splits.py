"""Official splits of a text: a file for each part, or a fraction of the training text, or no test split at all."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from hpsearch.data.fingerprint import fingerprint_of
from hpsearch.errors import HpsearchError, NoSplitError, SpaceError
from hpsearch.experiment.events import TextNotice
from hpsearch.families.char_lm.family import CharLM
from hpsearch.families.char_lm.settings import DataSettings
from hpsearch.final.export import export_model
from hpsearch.running.chosen import confirm, train
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from hpsearch.studies.reading import load_study

TEXTS = {"train.txt": "abcdefghij" * 20, "val.txt": "abcde" * 10, "test.txt": "fghij?" * 5}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def settings(home: Path, **given) -> DataSettings:
    named = {
        key: str(home / value) if key in ("path", "train", "val", "test") else value for key, value in given.items()
    }
    return DataSettings.model_validate({"context": 8, **named})


def read(data: DataSettings, split: str) -> str:
    windows = CharLM().load(data, split, seed=0)
    return "".join("?" if token == 0 else windows.characters[token - 1] for token in windows.tokens.tolist())


def test_each_part_is_its_file(home: Path) -> None:
    data = settings(home, train="train.txt", val="val.txt", test="test.txt")
    assert [read(data, split) for split in ("train", "val", "test")] == list(TEXTS.values())


def test_a_part_without_a_file_is_cut_from_the_training_text(home: Path) -> None:
    data = settings(home, train="train.txt", test="test.txt", val_fraction=0.25)
    assert [len(read(data, split)) for split in ("train", "val", "test")] == [150, 50, 30]


def test_nanogpts_division_has_no_test_split(home: Path) -> None:
    data = settings(home, train="train.txt", val_fraction=0.1, test_fraction=0)
    assert read(data, "train") + read(data, "val") == TEXTS["train.txt"]
    assert len(read(data, "val")) == 20
    with pytest.raises(NoSplitError, match=r"no test split: data.test_fraction is 0"):
        read(data, "test")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"train": "train.txt", "val_fraction": 0}, "val_fraction is 0 and there is no val"),
        ({"train": "train.txt", "path": "train.txt"}, "path and train are two names of the same setting"),
        ({"val": "val.txt"}, "val need a train"),
        ({"train": "train.txt", "test": "train.txt"}, "train and test name the same file"),
        ({"train": "train.txt", "val_fraction": 0.5, "test_fraction": 0.5}, "must be below 1"),
    ],
)
def test_what_does_not_go_together_is_refused(home: Path, given: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        settings(home, **given)


def test_a_file_of_its_own_needs_no_fraction(home: Path) -> None:
    settings(home, train="train.txt", val="val.txt", test="test.txt", val_fraction=0, test_fraction=0)


def test_the_older_name_is_the_same_data_and_is_written_as_before(home: Path) -> None:
    older, newer = settings(home, path="train.txt"), settings(home, train="train.txt")
    sources = [CharLM().source(data) for data in (older, newer)]
    assert sources[0].key == sources[1].key
    assert len({fingerprint_of(source, Path).digest for source in sources}) == 1
    kept = {"corpus", "path", "context", "val_fraction", "test_fraction", "offset"}
    assert set(older.model_dump(mode="json")) == kept  # what an experiment of before has in its configurations


SPACE = """\
family: char_lm
objective: {{metric: val/bits_per_char, goal: minimize}}
search: {{trials: 1, pruner: none, workers: 1}}
data: {data}
model: {{layers: 1, width: 8, heads: 1, dropout: 0.0}}
train: {{epochs: 1, learning_rate: {{log: [5e-3, 1e-2]}}, device: cpu}}
confirm: {{seeds: 2}}
"""


class Listener:
    """Keeps what the user is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def observe(self, event: object) -> None:
        self.heard += [event.text] if isinstance(event, TextNotice) else []


def space_of(home: Path, data: str) -> Path:
    path = home / "space.yaml"
    path.write_text(SPACE.format(data=data))
    return path


def test_without_a_test_split_nothing_is_confirmed_and_it_is_said(home: Path) -> None:
    space = load_space(space_of(home, "{train: train.txt, context: 8, test_fraction: 0}"))
    listener = Listener()
    result = run(space, folder=home / "e", options=RunOptions(in_process=True, observers=[listener]))
    assert [trial.outcome.value for trial in result.record.trials] == ["complete"]
    assert not result.record.replicates
    assert any("no test split (data.test_fraction is 0)" in line for line in listener.heard)
    with pytest.raises(HpsearchError, match="no test split"):
        confirm(home / "e", seeds=2)
    with pytest.raises(HpsearchError, match="no test split"):
        train(space, {"train.learning_rate": 6e-3}, folder=home / "t", test=True)
    assert not (home / "t").exists()
    export_model(home / "e", home / "model")
    card = json.loads((home / "model" / "card.json").read_text())
    assert set(card["data"]) == {"train", "val"}


def test_check_finds_a_part_that_is_missing_or_too_short(home: Path) -> None:
    with pytest.raises(
        SpaceError, match=r"space.yaml:4:\d+: data.val: there is no file .*va.txt, did you mean val.txt"
    ):
        load_space(space_of(home, "{train: train.txt, val: va.txt, context: 8}"))
    with pytest.raises(SpaceError, match=r"data.test: the text is too short: it has 30 characters, and needs 41"):
        load_space(space_of(home, "{train: train.txt, val: val.txt, test: test.txt, context: 40}"))


def test_a_study_needs_a_test_split(home: Path) -> None:
    space_of(home, "{train: train.txt, context: 8, test_fraction: 0}")
    (home / "study.yaml").write_text(
        "question: Which rate?\nmetric: {name: test/bits_per_char}\n"
        "arms: {a: {space: space.yaml}, b: {space: space.yaml, set: {model.layers: 2}}}\n"
        "budget: {trials: 1}\nreplicates: {seeds: 3}\n"
    )
    with pytest.raises(SpaceError, match=r"study.yaml:3:\d+: arms.a: the data have no test split"):
        load_study(home / "study.yaml")
