"""The classes of new texts are those that the network gives by hand, whatever file they come from."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hpsearch.data.words import WordVocabulary, split_words
from hpsearch.errors import DataError, HpsearchError
from hpsearch.families.class_prediction import ClassPrediction
from hpsearch.families.text_classifier.family import TextClassification
from hpsearch.final.trained_model import TrainedModel
from hpsearch.training.task import Splits

CONFIG = {
    "data": {"classes": ["archives", "dates", "xml"], "max_length": 5},
    "model": {"architecture": {"cnn": {"embedding": 8, "filters": 4, "widths": [1, 2]}}},
    "train": {"device": "cpu", "batch_size": 2},
}
TEXTS = [
    "A date, and a TIME",
    'quoted "words", with commas',
    "zip Zip unheard-of ",
    "one more archive of files and more",
]


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    family, config = TextClassification(), TextClassification.Config.model_validate(CONFIG)
    splits = Splits(lambda split: family.load(config.data, split, seed=0), sealed=False)
    facts = json.loads(json.dumps(family.facts(config, splits)))
    torch.manual_seed(0)
    network = family.model(config, facts).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)  # or all answers would be nearly the same
    return TrainedModel(network, family, config, facts, {"family": "text_classifier"}, {})


def by_hand(model: TrainedModel, text: str) -> np.ndarray:
    """Return the probabilities of the classes, one text at a time."""
    vocabulary = WordVocabulary(tuple(model.facts["words"]))
    numbers = vocabulary.encode(split_words(text)[:5])
    with torch.no_grad():
        logits = model.model(torch.tensor([numbers]), torch.tensor([len(numbers)]))[0].double()
    return (logits.exp() / logits.exp().sum()).numpy()


def test_probabilities_are_those_of_the_network(model: TrainedModel) -> None:
    found = model.predict(TEXTS)
    assert isinstance(found, ClassPrediction)
    expected = np.stack([by_hand(model, text) for text in TEXTS])
    np.testing.assert_allclose(found.probabilities, expected, rtol=1e-5)
    assert found.inputs == tuple(TEXTS)
    assert found.classes == ("archives", "dates", "xml")
    assert found.answers == tuple(found.classes[number] for number in expected.argmax(axis=1))
    assert not model.model.training
    assert len({tuple(row) for row in expected}) == len(TEXTS)  # or the order would not be seen


def write_as(folder: Path, ending: str) -> Path:
    path = folder / f"texts{ending}"
    with path.open("w", encoding="utf-8", newline="") as file:
        if ending == ".txt":
            file.write("\r\n\r\n".join(TEXTS) + "\r\n")
        elif ending == ".csv":
            csv.writer(file).writerows([["id", "text"], *([number, text] for number, text in enumerate(TEXTS))])
        elif ending == ".tsv":
            file.write("".join(f"{row}\n" for row in ("text\tlabel", *(f"{text}\tx" for text in TEXTS))))
        elif ending == ".json":
            json.dump([{"text": text} for text in TEXTS], file)
        else:
            file.writelines(json.dumps({"text": text}) + "\n" for text in TEXTS)
    return path


@pytest.mark.parametrize("ending", [".txt", ".csv", ".tsv", ".json", ".jsonl"])
def test_files_of_each_kind_hold_the_same_texts(model: TrainedModel, tmp_path: Path, ending: str) -> None:
    found = model.predict(write_as(tmp_path, ending))
    assert found.inputs == tuple(TEXTS)
    np.testing.assert_array_equal(found.probabilities, model.predict(TEXTS).probabilities)


def test_written_files_hold_every_number(model: TrainedModel, tmp_path: Path) -> None:
    found = model.predict(TEXTS)
    with found.write(tmp_path / "x.csv").open(encoding="utf-8", newline="") as file:
        names, *rows = csv.reader(file)
    assert names == ["input", "class", "probability", "p(archives)", "p(dates)", "p(xml)"]
    assert [(row[0], row[1]) for row in rows] == list(zip(found.inputs, found.answers, strict=True))
    assert np.array([row[3:] for row in rows], dtype=float).tolist() == found.probabilities.tolist()
    lines = [json.loads(line) for line in found.write(tmp_path / "x.jsonl").read_text("utf-8").splitlines()]
    assert [list(line["probabilities"].values()) for line in lines] == found.probabilities.tolist()
    with np.load(found.write(tmp_path / "x.npz")) as arrays:  # without pickle
        assert arrays["inputs"].tolist() == TEXTS
        np.testing.assert_array_equal(arrays["probabilities"], found.probabilities)


def test_what_is_no_text_is_refused(model: TrainedModel, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("sentence,label\nhello,a\n")
    with pytest.raises(DataError, match=r"x.csv:2 has no 'text'; it has: sentence, label"):
        model.predict(tmp_path / "x.csv")
    assert model.predict(tmp_path / "x.csv", text_column="sentence").inputs == ("hello",)
    with pytest.raises(DataError, match="a text is a str, and a file of texts a Path; not int"):
        model.predict([3])
    with pytest.raises(HpsearchError, match="there is nothing to predict: give texts"):
        model.predict([])
    (tmp_path / "x.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match="not UTF-8"):
        model.predict(tmp_path / "x.txt")
    (tmp_path / "blank.txt").write_text("\n\n")
    with pytest.raises(DataError, match="no texts"):
        model.predict(tmp_path / "blank.txt")
