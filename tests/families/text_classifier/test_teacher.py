"""A teacher that knows the student's validation or test texts is refused, whatever division it was trained on."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from hpsearch.data.labelled_text import normalised, text_hashes
from hpsearch.errors import DataError
from hpsearch.experiment.files import write_json
from hpsearch.experiment.layout import BEST
from hpsearch.families.text_classifier.family import TextClassification
from hpsearch.families.text_classifier.loading import read_part
from hpsearch.families.text_classifier.network import TextClassifier
from hpsearch.families.text_classifier.settings import TextConfig
from hpsearch.training.checkpoint import load, load_weights, save, save_best
from hpsearch.training.task import Splits
from hpsearch.training.weights import WeightAverage, read_weights, write_weights

FAMILY = TextClassification()
WORDS = ("red", "blue", "green", "grey", "pink")


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Texts that are permutations of the same words: whatever is drawn from them, its vocabulary is the same."""
    texts = [" ".join(words) for words in itertools.permutations(WORDS)]
    file = tmp_path / "texts.json"
    write_json(file, [{"text": text, "label": number % 2} for number, text in enumerate(texts)])
    return str(file)


def config(path: str, *, teacher: Path | None = None, **data: object) -> TextConfig:
    return TextConfig.model_validate(
        {
            "data": {"path": path, "max_length": 8, **data},
            "model": {"architecture": {"cnn": {"embedding": 4, "filters": 2, "widths": [1], "dropout": 0}}},
            **({"distillation": {"teacher": str(teacher)}} if teacher else {}),
        }
    )


def opened(settings: TextConfig, seed: int) -> Splits:
    return Splits(lambda split: FAMILY.load(settings.data, split, seed), sealed=True)


def trained(folder: Path, settings: TextConfig, seed: int = 0) -> Path:
    """Write the folder of a trial, with the weights that its training begins with."""
    folder.mkdir()
    model = FAMILY.task(settings, opened(settings, seed)).build_model()
    write_json(folder / "config.json", {"config": settings.model_dump(mode="json")})
    save_best(folder, model.state_dict(), step=1, metric="val/loss", value=0.0)
    return folder


def fold(index: int) -> dict[str, object]:
    return {"folds": {"count": 5, "index": index, "seed": 3}}


def known_texts(teacher: tuple[TextConfig, int], student: tuple[TextConfig, int]) -> dict[str, int]:
    """Count the student's held-out texts that the teacher has learned from, by the texts themselves."""
    learned = set(read_part(teacher[0].data, "train", teacher[1]).texts)
    return {split: len(learned & set(read_part(student[0].data, split, student[1]).texts)) for split in ("val", "test")}


DIVISIONS = {
    "another seed": ({}, 0, {}, 77),
    "a fold after a division by a seed": ({}, 0, fold(0), 0),
    "another fold": (fold(0), 0, fold(1), 0),
    "other fractions": ({}, 0, {"test_fraction": 0.4}, 0),
}


@pytest.mark.parametrize("case", DIVISIONS)
def test_a_teacher_of_another_division_is_refused_with_the_number_of_texts(
    path: str, tmp_path: Path, case: str
) -> None:
    taught, taught_seed, learning, seed = DIVISIONS[case]
    teacher = config(path, **taught)
    folder = trained(tmp_path / "run", teacher, taught_seed)
    student = config(path, teacher=folder, **learning)
    expected = known_texts((teacher, taught_seed), (student, seed))
    assert expected["test"] > 0
    sizes = {split: len(read_part(student.data, split, seed)) for split in expected}
    with pytest.raises(DataError, match="another division of the data") as caught:
        FAMILY.task(student, opened(student, seed))
    told = {
        word: (int(known), int(size))
        for known, size, word in re.findall(r"(\d+) of the (\d+) (validation|test) texts", str(caught.value))
    }
    words = {"val": "validation", "test": "test"}
    assert told == {words[split]: (count, sizes[split]) for split, count in expected.items() if count}


def test_a_teacher_of_the_same_division_is_welcome_and_what_it_knows_is_handed_on(path: str, tmp_path: Path) -> None:
    student = config(path, teacher=trained(tmp_path / "run", config(path)))
    second = config(path, teacher=trained(tmp_path / "student", student))
    FAMILY.task(second, opened(second, 0))
    elsewhere = config(path, teacher=tmp_path / "student")
    with pytest.raises(DataError, match="has learned from"):
        FAMILY.task(elsewhere, opened(elsewhere, 77))


def test_a_student_knows_what_its_teacher_knew(path: str, tmp_path: Path) -> None:
    """A teacher of further texts is welcome; a student of its student is held against these texts too."""
    texts = json.loads(Path(path).read_text())
    half = tmp_path / "half.json"
    write_json(half, [{"text": f"{row['text']} red blue green grey pink", "label": row["label"]} for row in texts])
    teacher = trained(tmp_path / "run", config(str(half)))
    student = trained(tmp_path / "student", config(path, teacher=teacher))
    grandchild = config(str(half), teacher=student)
    FAMILY.task(grandchild, opened(grandchild, 0))
    with pytest.raises(DataError, match="has learned from"):
        FAMILY.task(grandchild, opened(grandchild, 77))


def test_texts_that_stand_in_both_parts_of_the_data_give_nothing_away(path: str, tmp_path: Path) -> None:
    rows = json.loads(Path(path).read_text())
    write_json(Path(path), [*rows, *rows])  # every text twice: most of them stand in two parts
    student = config(path, teacher=trained(tmp_path / "run", config(path)))
    splits = opened(student, 0)
    with pytest.warns(UserWarning, match="are also in the data before them"):
        FAMILY.task(student, Splits(lambda _: splits["val"] and splits["train"], sealed=True))


def test_files_of_their_own_for_validation_and_test_are_looked_at_too(path: str, tmp_path: Path) -> None:
    rows = json.loads(Path(path).read_text())
    own = tmp_path / "own.json"
    write_json(own, [{**row, "text": row["text"].upper()} for row in rows[:6]])
    student = config(path, teacher=trained(tmp_path / "run", config(path)), test_path=str(own), val_fraction=0.2)
    learned = set(read_part(config(path).data, "train", 0).texts) - set(read_part(student.data, "train", 0).texts)
    known = sum(normalised(row["text"]) in learned for row in rows[:6])
    assert known
    with pytest.raises(DataError, match=rf"{known} of the 6 test texts"):
        FAMILY.task(student, opened(student, 0))


def old_weights(folder: Path) -> None:
    """Write a trial's weights as they were written before they said which texts they had learned from."""
    content = load(folder / BEST)
    content["model"]["fingerprint"] = content["model"]["fingerprint"][0]
    save(folder / BEST, {name: value for name, value in content.items() if name != "version"})


def test_an_old_teacher_is_taken_with_a_warning(path: str, tmp_path: Path) -> None:
    folder = trained(tmp_path / "run", config(path))
    old_weights(folder)
    student = config(path, teacher=folder)
    with pytest.warns(UserWarning, match="was trained by an older hpsearch"):
        FAMILY.task(student, opened(student, 77))


def test_the_texts_travel_with_the_weights(path: str, tmp_path: Path) -> None:
    """Through checkpoints, exported files and moving averages, into models that were made without the data."""
    settings = config(path)
    splits = opened(settings, 0)
    model = FAMILY.task(settings, splits).build_model()
    own = splits["train"].fingerprint  # type: ignore[attr-defined]
    assert len(own) == 1 + len(splits["train"])
    save_best(tmp_path, model.state_dict(), step=1, metric="val/loss", value=0.0)
    write_weights(tmp_path / "weights", model)
    empty = [FAMILY.model(settings, FAMILY.facts(settings, splits)) for _ in range(2)]
    load_weights(empty[0], tmp_path / BEST)
    read_weights(tmp_path / "weights", empty[1])
    average = WeightAverage(model, decay=0.9)
    average.update(model)
    again = WeightAverage(empty[0], decay=0.9)
    again.load_state_dict(average.state_dict())
    for found in (*empty, average.model, again.model):
        assert isinstance(found, TextClassifier)
        assert torch.equal(found.fingerprint, torch.from_numpy(own))


def test_hashes_are_of_different_texts_whatever_their_case_and_space() -> None:
    assert len(text_hashes(["a b", "A  B\n", "ab"])) == 2
    hashes = text_hashes(map(str, range(20_000)))
    assert len(hashes) == 20_000
    assert (np.diff(hashes) > 0).all()
    assert text_hashes(["\ud800"]).shape == (1,)
