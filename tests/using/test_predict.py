"""A winner is used as it stands: its predictions score as its record says; whatever does not fit is told, status 2."""

import csv
import gzip
import io
import json
import shutil
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import hpsearch
from hpsearch.errors import HpsearchError
from hpsearch.experiment.reading import read_experiment
from hpsearch.families.class_prediction import ClassPrediction
from hpsearch.families.text_classifier.loading import text_data
from hpsearch.families.text_classifier.task import classification_scores
from hpsearch.final.export import export_model
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from tests.calling import Call
from tests.toy_spaces import toy_space


def replicate_of(experiment: Path) -> str:
    return read_experiment(experiment).replicates[0].run


def test_predictions_score_as_the_record_says(texts: Path) -> None:
    """The same batches of the same texts: accuracy and loss are those of the confirmation."""
    replicate = read_experiment(texts).replicates[0]
    model = hpsearch.load_model(texts, run=replicate.run)
    assert {f"test/{name}": value for name, value in model.scores("test").items()} == dict(replicate.scores)
    test = text_data(model.splits(), "test")
    found = model.predict(list(test.texts))
    assert isinstance(found, ClassPrediction)
    scores = classification_scores(np.log(found.probabilities), test.labels[:, 0])
    assert scores["accuracy"] == replicate.scores["test/accuracy"]
    assert scores["macro_f1"] == replicate.scores["test/macro_f1"]
    assert scores["loss"] == pytest.approx(replicate.scores["test/loss"], rel=1e-12)


def test_an_experiment_and_its_exported_model_predict_the_same(texts: Path, tmp_path: Path) -> None:
    export_model(texts, tmp_path / "model", run=replicate_of(texts))
    one = hpsearch.predict(tmp_path / "model", ["a good film"])
    other = hpsearch.predict(texts, ["a good film"], run=replicate_of(texts))
    assert isinstance(one, ClassPrediction)
    assert isinstance(other, ClassPrediction)
    np.testing.assert_array_equal(one.probabilities, other.probabilities)
    best = hpsearch.predict(texts, ["a good film"])
    assert isinstance(best, ClassPrediction)
    assert (best.probabilities != one.probabilities).any()  # the trial has other weights than its replicate


def test_the_command_reads_files_folders_and_lines_and_writes_files(
    call: Call, texts: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = call("predict", texts, texts.parents[1] / "films.csv", "--out", "a.csv", "--out", "a.jsonl")
    assert (said.status, said.out) == (0, "wrote a.csv\nwrote a.jsonl\n")
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 80 == len((tmp_path / "a.jsonl").read_text().splitlines())
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{rows[0]['input']}\n{rows[1]['input']}\n"))
    said = call("predict", texts, "-", "--out", "b.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert [line["class"] for line in lines] == [row["class"] for row in rows[:2]]

    photos = images.parents[1] / "photos"
    said = call("predict", images, photos)
    assert said.status == 0
    assert said.out.splitlines()[-1] == "and 44 more; --out FILE writes all"


def test_images_in_arrays_are_predicted_and_scored_as_those_in_files(call: Call, images: Path, tmp_path: Path) -> None:
    labels = np.arange(12, dtype=np.uint8) % 2
    pixels = np.random.default_rng(0).integers(20, 200, (12, 8, 8), dtype=np.uint8)
    (tmp_path / "png").mkdir()
    for number, each in enumerate(pixels):
        Image.fromarray(each).save(tmp_path / "png" / f"{number:02d}.png")
    np.save("x.npy", pixels)
    np.savez("xy.npz", x_train=pixels[:3], y_train=labels[:3], x_test=pixels, y_test=labels)
    for name, array in (("t10k-images-idx3-ubyte.gz", pixels), ("t10k-labels-idx1-ubyte.gz", labels)):
        sizes = struct.pack(f">{array.ndim}I", *array.shape)
        Path(name).write_bytes(gzip.compress(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()))
    Path("raw").mkdir()
    for path in Path().glob("t10k-*"):  # as MNIST's folder: the images of the test are told from those of training
        shutil.copy(path, "raw")
        shutil.copy(path, Path("raw") / path.name.replace("t10k", "train"))
    tables = []
    for place in ("png", "x.npy", "xy.npz", "t10k-images-idx3-ubyte.gz", "raw"):
        assert call("predict", images, place, "--out", "p.csv").status == 0
        with Path("p.csv").open(encoding="utf-8", newline="") as file:
            tables.append([list(row.values())[1:] for row in csv.DictReader(file)])
    assert len(tables[0]) == 12
    assert all(table == tables[0] for table in tables)
    expected = np.mean([("bright", "dark")[label] == row[0] for label, row in zip(labels, tables[0], strict=True)])
    for place in ("xy.npz", "t10k-images-idx3-ubyte.gz"):
        names = ("--set", 'data.class_names=["bright", "dark"]')
        said = call("evaluate", images, "--data", place, *names, "--json", "--no-baselines")
        assert json.loads(said.out)["scores"]["accuracy"]["value"] == expected
    np.savez("two.npz", x_train=pixels, x_val=pixels)
    assert (
        "two.npz has to hold one array of images, or x_test; it has: x_train, x_val"
        in call("predict", images, "two.npz").err
    )


def test_texts_are_predicted_and_scored_from_the_files_that_training_reads(
    call: Call, texts: Path, tmp_path: Path
) -> None:
    """A label before a text is no word of it."""
    rows = [("blame", "a dull film"), ("praise", "the good scene"), ("praise", "a weak but splendid actor")] * 4
    Path("plain.txt").write_text("".join(f"{text}\n" for _, text in rows))
    Path("fast.txt").write_text("".join(f"__label__{label} {text}\n" for label, text in rows))
    Path("fast.test").write_text(Path("fast.txt").read_text())
    (tmp_path / "folder").mkdir()
    for name, own in (("train", rows[:1]), ("test", rows)):
        table = "".join(f"{label}\t{text}\n" for label, text in own)
        (tmp_path / "folder" / f"{name}.tsv").write_text(f"label\treview\n{table}")
    import datasets

    datasets.disable_progress_bars()
    table = datasets.Dataset.from_dict({"review": [text for _, text in rows], "label": [label for label, _ in rows]})
    datasets.DatasetDict({"train": table.select([0]), "test": table}).save_to_disk("saved")
    found = []
    for place in ("plain.txt", "fast.txt", "fast.test", "saved"):
        assert call("predict", texts, place, "--out", "p.csv").status == 0
        found.append(Path("p.csv").read_text())
    assert found == [found[0]] * 4
    scored = []
    for place in ("fast.txt", "fast.test", "folder", "saved"):
        said = call("evaluate", texts, "--data", place, "--json", "--no-baselines")
        scored.append(json.loads(said.out)["scores"])
        assert json.loads(said.out)["examples"] == 12
    assert scored == [scored[0]] * 4


def test_generated_text_is_printed_while_it_is_made(call: Call, characters: Path, tmp_path: Path) -> None:
    wanted = ("--set", "prompt=9 bottles", "--set", "length=30", "--set", "seed=3")
    said = call("predict", characters, *wanted)
    assert said.status == 0
    assert said.out.startswith("9 bottles")
    assert len(said.out) == len("9 bottles") + 30 + 1
    assert call("predict", characters, *wanted, "--out", "x.txt").out == "wrote x.txt\n"
    assert (tmp_path / "x.txt").read_text() == said.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("{texts}",), "there is nothing to predict: give texts: files"),
        (("{texts}", "gone.csv"), "there is no file of texts"),
        (("{texts}", "-", "--out", "x.png"), "x.png: the ending says nothing about the format; known are .csv"),
        (("{texts}", "-", "--set", "temperature=1"), "unknown option 'temperature'; known: text_column"),
        (("{texts}", "-", "--set", "temperature"), "--set temperature: write NAME=VALUE"),
        (("{texts}", "-", "--run", "trials/0007"), "unknown run of the winner 'trials/0007'"),
        (("{texts}", "-", "--device", "cuda:7"), "the device 'cuda:7' is not there"),
        (("{characters}", "--set", "prompt=Zebra"), "not trained on: 'Z'"),
        (("{characters}", "--set", "top_p=2"), "top_p: Input should be less than or equal to 1"),
        (("gone",), "there is no model or experiment"),
        ((".",), "is neither a model that `hpsearch export --to model` wrote, nor an experiment or a study"),
    ],
)
def test_mistakes_end_with_a_sentence(
    call: Call, texts: Path, characters: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], told: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("a line\n"))
    said = call("predict", *(word.format(texts=texts, characters=characters) for word in words))
    assert (said.status, said.out) == (2, "")
    assert told in said.err
    assert "Traceback" not in said.err


def test_a_family_without_predictions_and_a_program_say_so(call: Call, tmp_path: Path) -> None:
    run(toy_space(tmp_path, trials=1), folder=tmp_path / "x", options=RunOptions(in_process=True))
    said = call("predict", "x", "a")
    assert said.status == 2
    assert "does not say how its models are used" in said.err

    (tmp_path / "train.py").write_text(
        "import pathlib, sys\npathlib.Path(sys.argv[1], 'weights.bin').write_text('w')\nprint('loss=1.0')\n"
    )
    (tmp_path / "program.yaml").write_text(
        "family: command\nobjective: {metric: loss, goal: minimize}\n"
        "search: {sampler: random, pruner: none, trials: 1, workers: 1}\n"
        f"command: {sys.executable} train.py {{trial_dir}} {{model.width}}\nmodel: {{width: {{int: [1, 9]}}}}\n"
        "metrics: {pattern: 'loss=(?P<loss>\\S+)'}\n"
    )
    run(load_space(tmp_path / "program.yaml"), folder=tmp_path / "p", options=RunOptions(in_process=True))
    for words in (("predict", "p", "a"), ("export", "p", "m", "--to", "model")):
        said = call(*words)
        assert said.status == 2
        assert "trains with code of its own" in said.err
        assert "p/trials/0000/weights.bin. Use it with the code that trained it" in said.err


def test_python_says_it_with_arguments(texts: Path) -> None:
    with pytest.raises(HpsearchError, match=r"unknown option 'colour'"):
        hpsearch.predict(texts, ["a"], set={"colour": 1})
    with pytest.raises(HpsearchError, match=r"^run='x' is about an experiment"):
        hpsearch.predict(export_model(texts, texts.parent / "exported").folder, ["a"], run="x")
