"""New labelled data are scored with intervals over their examples; nothing of the model's is trained."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import hpsearch
from hpsearch.comparing.statistics.intervals import wilson_interval
from hpsearch.experiment.by_example import read_by_example
from hpsearch.experiment.reading import read_experiment
from hpsearch.families.class_prediction import ClassPrediction
from hpsearch.final.evaluation import evaluate_model
from hpsearch.final.export import export_model
from hpsearch.final.opening import load_model
from hpsearch.readers.shelf import read_sources
from hpsearch.records import Goal
from hpsearch.report.evaluation import Evaluation, Score, evaluation_html, evaluation_markdown
from hpsearch.running.runner import RunOptions, run
from tests.calling import Call
from tests.small_winners import write_films, write_photos, write_songs
from tests.toy_spaces import toy_space


@pytest.mark.parametrize("name", ["texts", "images", "characters"])
def test_scores_by_example_are_those_of_the_task(name: str, request: pytest.FixtureRequest) -> None:
    model = load_model(request.getfixturevalue(name))
    splits = model.splits()
    task = model.family.task(model.config, splits)
    batches = [
        splits["test"].batch(range(start, min(start + 7, len(splits["test"]))))
        for start in range(0, len(splits["test"]), 7)
    ]
    with torch.no_grad():
        found, scores = task.by_example(model.model, batches), task.evaluate(model.model, batches)
    assert found is not None
    assert found.examples == len(splits["test"])
    assert found.scores(np.ones(found.examples)) == pytest.approx(dict(scores), rel=1e-6)


@pytest.mark.parametrize("name", ["texts", "images", "characters"])
def test_the_own_test_data_from_a_file_score_as_the_split_does(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The test split is written as files of the training data's form, and read from there by the exported model."""
    experiment = request.getfixturevalue(name)
    replicate = read_experiment(experiment).replicates[0]
    export_model(experiment, tmp_path / "model", run=replicate.run)
    model = load_model(experiment, run=replicate.run)
    data = written_test_split(name, model, tmp_path)
    found = evaluate_model(load_model(tmp_path / "model"), name="model", paths=[data], baselines=True)
    scores = {f"test/{metric}": score.value for metric, score in found.scores.items()}
    assert scores == pytest.approx(dict(replicate.scores), rel=1e-6)
    for method in read_experiment(experiment).baselines:
        own = {f"test/{metric}": value for metric, value in found.baselines[method.name].items()}
        assert own == pytest.approx(
            {metric: value for metric, value in method.scores.items() if metric in own}, rel=1e-6
        )


def written_test_split(name: str, model: hpsearch.TrainedModel, folder: Path) -> Path:
    test = model.splits()["test"]
    if name == "texts":
        with (folder / "test.csv").open("w", encoding="utf-8", newline="") as file:
            names = test.classes["label"]
            rows = [(names[label], text) for label, text in zip(test.labels[:, 0], test.texts, strict=True)]
            csv.writer(file).writerows([("label", "review"), *rows])
        return folder / "test.csv"
    if name == "characters":
        text = "".join(test.characters[token - 1] for token in test.tokens.tolist())
        (folder / "test.txt").write_text(text, encoding="utf-8")
        return folder / "test.txt"
    from PIL import Image

    for number, (image, label) in enumerate(zip(test.images.numpy(), test.labels.tolist(), strict=True)):
        (folder / "test" / test.classes[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(folder / "test" / test.classes[label] / f"{number}.png")
    return folder / "test"


def test_the_report_says_scores_intervals_and_what_the_model_has_seen(call: Call, texts: Path, tmp_path: Path) -> None:
    write_films(tmp_path / "new.csv", count=50, seed=3)
    with (tmp_path / "new.csv").open("a", encoding="utf-8") as file:
        file.writelines((texts.parents[1] / "films.csv").read_text("utf-8").splitlines(keepends=True)[1:])
    said = call("evaluate", texts, "--data", "new.csv", "--json")
    assert said.status == 0
    found = json.loads(said.out)
    assert found == json.loads((tmp_path / "reports" / "films-evaluation" / "evaluation.json").read_text())
    assert found["examples"] == 130
    answers = hpsearch.predict(texts, tmp_path / "new.csv")
    assert isinstance(answers, ClassPrediction)
    with (tmp_path / "new.csv").open(encoding="utf-8", newline="") as file:
        truth = [row["label"] for row in csv.DictReader(file)]
    accuracy = sum(one == other for one, other in zip(answers.answers, truth, strict=True)) / 130
    assert found["scores"]["accuracy"]["value"] == accuracy
    assert found["scores"]["accuracy"]["ci95"] == pytest.approx(list(wilson_interval(accuracy, 130)))
    assert found["scores"]["loss"]["ci_method"] == "bootstrap"
    low, high = found["scores"]["loss"]["ci95"]
    assert low < found["scores"]["loss"]["value"] < high
    assert found["baselines"].keys() == {"majority", "tfidf_logistic"}
    assert found["notes"][0].startswith("40 of the 130 texts are among those that the model was trained on")
    page = (tmp_path / "reports" / "films-evaluation" / "evaluation.md").read_text()
    assert "(Wilson)" in page
    assert "40 of the 130 texts" in page


def test_a_guessed_encoding_is_told_with_the_scores(call: Call, texts: Path) -> None:
    Path("western.csv").write_text("label,review\npraise,a good caf\xe9\nblame,dull\n", encoding="latin-1")
    said = call("evaluate", texts, "--data", "western.csv", "--json", "--no-baselines")
    assert (said.status, said.err) == (0, "")
    (note,) = json.loads(said.out)["notes"]
    assert "western.csv is not UTF-8 (byte 0xe9 in line 2); it is read as" in note


def test_an_exported_model_is_scored_without_its_training_data(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.small_winners import search_texts

    home = tmp_path / "home"
    home.mkdir()
    search_texts(home, seeds=1)
    export_model(home / "experiments" / "films", tmp_path / "model")
    (home / "films.csv").unlink()
    write_films(tmp_path / "new.csv", count=20, seed=3)
    said = call("evaluate", "model", "--data", "new.csv", "--json")
    assert said.status == 0
    found = json.loads(said.out)
    assert found["baselines"] == {}
    assert "their training data cannot be used" in found["notes"][-1]


def test_means_of_single_examples_get_an_interval_without_the_familys_help(tmp_path: Path) -> None:
    """The toy family only evaluates: its loss is found to be the mean of those of its examples."""
    run(toy_space(tmp_path, trials=1), folder=tmp_path / "x", options=RunOptions(in_process=True))
    model = load_model(tmp_path / "x")
    config = model.config.model_copy(update={"data": model.config.data.model_copy(update={"size": 64})})
    found = evaluate_model(model, name="x", config=config)
    (score,) = found.scores.values()
    assert score.method == "bootstrap"
    assert score.interval is not None
    assert score.interval[0] < score.value < score.interval[1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("{texts}",), "there is nothing to score on"),
        (("{texts}", "--data", "gone.csv"), "there is no file of labelled texts"),
        (
            ("{texts}", "--data", "other.csv"),
            "the class 'boring', which the model does not know; it knows: blame, praise",
        ),
        (("{texts}", "--data", "text.csv"), "text.csv:2 has no 'review'; it has: label, text"),
        (("{texts}", "--data", "text.csv", "--set", "data.text_colum=text"), "did you mean 'data.text_column'?"),
        (("{texts}", "--set", "model.width=3"), "only settings of data can be changed"),
        (("{texts}", "--set", "data.path=films.csv"), "would be others than those that it has learned"),
        (("{images}", "--set", "data.val_fraction=0.5"), "data.val_fraction: divided in another way"),
        (("{texts}", "--set", "data.val_fraction=0.9"), "--set data: val_fraction + test_fraction must be below 1"),
        (("{texts}", "--set", "data.val_fraction=2"), "data.val_fraction: Input should be less than"),
        (("{images}", "--data", "photos"), "the class 'grey', which the model does not know; it knows: bright, dark"),
        (("{images}", "--data", "gone"), "there is no folder of images, and no file"),
        (("{characters}", "--data", "gone.txt"), "there is no text file"),
        (("toy", "--data", "other.csv"), "takes no files of labelled data"),
    ],
)
def test_mistakes_end_with_a_sentence(
    call: Call, texts: Path, images: Path, characters: Path, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    (tmp_path / "other.csv").write_text("label,review\npraise,a good film\nboring,a film\n")
    write_films(tmp_path / "films.csv", count=40, seed=9)
    write_films(tmp_path / "text.csv", count=4, seed=0, column="text")
    write_photos(tmp_path / "photos", count=4, seed=0)
    (tmp_path / "photos" / "dark").rename(tmp_path / "photos" / "grey")
    if words[0] == "toy":
        run(toy_space(tmp_path, trials=1), folder=tmp_path / "toy", options=RunOptions(in_process=True))
    places = {"texts": texts, "images": images, "characters": characters}
    said = call("evaluate", *(word.format(**places) for word in words))
    assert (said.status, said.out) == (2, "")
    assert told in said.err
    assert not (tmp_path / "reports").exists()


def test_characters_that_were_not_in_training_are_told(call: Call, characters: Path, tmp_path: Path) -> None:
    write_songs(tmp_path / "new.txt", count=20, start=50)
    with (tmp_path / "new.txt").open("a") as file:
        file.write("ÄÖ" * 8)
    said = call("evaluate", characters, "--data", "new.txt", "--no-baselines")
    assert said.status == 0
    assert "2 characters of the text were not in training ('Ä', 'Ö')" in said.out
    assert "Classical methods" not in said.out


def test_a_page_of_few_examples_says_so() -> None:
    scores, goals = {"loss": Score(2.0, (1.0, 3.0), "bootstrap")}, {"loss": Goal.MINIMIZE}
    found = Evaluation("m", "f", ["a|b"], 9, scores, goals, {"floor": {"loss": 1.5}})
    page = evaluation_markdown(found)
    assert "With 9 examples they are rough themselves" in page
    assert "Classical methods do better: floor (loss)" in page
    assert found.to_json()["scores"]["loss"]["ci95"] == [1.0, 3.0]


def test_the_web_page_says_the_same_and_runs_nothing_of_a_name() -> None:
    scores, goals = {"loss": Score(2.0, (1.0, 3.0), "bootstrap")}, {"loss": Goal.MINIMIZE}
    name = "<script>alert(1)</script>{x}"
    page = evaluation_html(Evaluation(name, "f", [name], 9, scores, goals, {name: {"loss": 1.5}}, [name]))
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;{x}") == 7  # title, heading, model, data, baseline, notes
    assert "1 to 3 (bootstrap)" in page
    assert "With 9 examples they are rough themselves" in page
    assert not re.search(r"(src|href)=", page)


def test_images_and_texts_that_a_model_was_trained_on_are_counted(
    call: Call, images: Path, characters: Path, tmp_path: Path
) -> None:
    told = "of the {} are among those that the model was trained on"
    said = call("evaluate", images, "--data", images.parents[1] / "photos", "--json")
    [note] = [each for each in json.loads(said.out)["notes"] if "trained on" in each]
    assert note.startswith(f"32 {told.format('64 images')}")  # half of them are for validation and the test
    assert call("evaluate", images, "--data", write_photos(tmp_path / "new", count=8, seed=9), "--json").status == 0
    assert "trained on" not in call("evaluate", images, "--data", tmp_path / "new", "--json").out
    text = (characters.parents[1] / "songs.txt").read_text(encoding="utf-8")
    (tmp_path / "old.txt").write_text(text[:200], encoding="utf-8")
    (tmp_path / "other.txt").write_text(text[:200][::-1], encoding="utf-8")
    said = call("evaluate", characters, "--data", "old.txt", "--json")
    assert any(note.startswith("4 of the text's 4 pieces of 50 characters") for note in json.loads(said.out)["notes"])
    assert "trained on" not in call("evaluate", characters, "--data", "other.txt", "--json").out


@pytest.mark.parametrize("name", ["texts", "images", "characters"])
def test_replicates_keep_their_scores_by_example(name: str, request: pytest.FixtureRequest) -> None:
    experiment = request.getfixturevalue(name)
    for replicate in read_experiment(experiment).replicates:
        found = read_by_example(experiment / replicate.run)
        assert found is not None
        assert len(found.names) == replicate.test_size
        means = {metric: np.mean(values) for metric, values in found.values.items()}
        assert means.keys() <= replicate.scores.keys()
        exact = {"texts": "test/accuracy", "images": "test/accuracy", "characters": "test/bits_per_char"}[name]
        assert means[exact] == pytest.approx(replicate.scores[exact], rel=0.02 if name == "characters" else 1e-6)
        assert set(found.values["test/accuracy"]) <= {0.0, 1.0} or name == "characters"


@pytest.mark.parametrize("name", ["texts", "images", "characters"])
def test_classical_methods_keep_theirs_and_are_compared_over_further_data(
    name: str, request: pytest.FixtureRequest
) -> None:
    experiment = request.getfixturevalue(name)
    metric = {"texts": "test/accuracy", "images": "test/accuracy", "characters": "test/loss"}[name]
    own = {run.experiment: run for run in read_sources([str(experiment)]).runs if run.search is None}
    classical = [run for run in own.values() if run.deterministic]
    assert classical
    for each in classical:
        assert each.by_example is not None
        assert each.by_example.names == own[experiment.name].by_example.names
        mean = np.mean(each.by_example.values[metric])
        assert mean == pytest.approx(each.metrics[metric].value, rel=0.02 if name == "characters" else 1e-6)
    pairs = hpsearch.compare(experiment, metric=metric, goal="maximize" if name != "characters" else "minimize").pairs
    told = {(pair.a, pair.b): pair.over_examples for pair in pairs}
    assert all(found is not None and found.examples == classical[0].test_size for found in told.values())
