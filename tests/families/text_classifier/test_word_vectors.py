"""Kim's variants with vectors from a file: random, static, nonstatic, multichannel."""

import json

import pytest
import torch
from pydantic import ValidationError

from hpsearch.data.words import read_vectors
from hpsearch.errors import DataError
from hpsearch.families.text_classifier.family import TextClassification
from hpsearch.families.text_classifier.settings import TextConfig
from hpsearch.training.task import Splits

GLOVE = "red 1 2 3\nblue 4 5 6\nred 9 9 9\nnever 7 8 9\n"


@pytest.fixture
def vectors(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text(GLOVE)
    return path


def config(folder, vectors, use="nonstatic", **data):
    rows = [{"text": f"number {n} is {('red', 'blue', 'green')[n % 3]}", "label": n % 3} for n in range(60)]
    (folder / "all.json").write_text(json.dumps(rows))
    cnn = {"embedding": 3, "filters": 4, "widths": [1, 2], "dropout": 0, "vectors": {"path": str(vectors), "use": use}}
    settings = {"data": {"path": str(folder / "all.json"), **data}, "model": {"architecture": {"cnn": cnn}}}
    return TextConfig.model_validate(settings)


def built(settings):
    family = TextClassification()
    splits = Splits(lambda split: family.load(settings.data, split, seed=0), sealed=True)
    task = family.task(settings, splits)
    return task, task.build_model(), splits["train"]


def test_files_of_word2vec_and_glove_are_read(vectors):
    expected = {"red": [1, 2, 3], "blue": [4, 5, 6]}
    for header in ("", "5 3\n"):
        vectors.write_text(f"{header}{GLOVE}at name@domain.com 1 1 1\n")
        found = read_vectors(str(vectors), ["red", "blue", "green"], width=3)
        assert {word: vector.tolist() for word, vector in found.items()} == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("red 1 2 3\nblue 4 5\n", r":2: a word and 3 numbers were expected, not 2"),
        ("red 1 2 3 4\n", r":1: a word and 3 numbers were expected, not 4"),
        ("red 1 x 3\n", r":1: could not convert string to float"),
        ("red 1 nan 3\n", r":1: a vector must have finite numbers"),
        ("pink 1 2 3\n", r"has none of the vocabulary's words"),
        (None, r"cannot be read"),
    ],
)
def test_mistakes_in_the_file_are_located(tmp_path, vectors, content, message):
    vectors.unlink() if content is None else vectors.write_text(content)
    with pytest.raises(DataError, match=message):
        built(config(tmp_path, vectors))


def test_known_words_have_their_vectors_and_others_are_random(tmp_path, vectors):
    torch.manual_seed(0)
    _, model, data = built(config(tmp_path, vectors))
    weights = model.encoder.embedding.weight
    known = {word: number for number, word in enumerate(data.words, start=2) if word in ("red", "blue")}
    assert weights[known["red"]].tolist() == [1, 2, 3]
    assert weights[known["blue"]].tolist() == [4, 5, 6]
    others = weights[[number for number in range(data.vocabulary) if number not in known.values()]]
    assert 0.15 < others.abs().max() <= 0.25


@pytest.mark.parametrize(
    ("use", "trained", "fixed"),
    [("static", False, None), ("nonstatic", True, None), ("multichannel", True, True)],
)
def test_static_vectors_stay_and_the_others_are_trained(tmp_path, vectors, use, trained, fixed):
    task, model, data = built(config(tmp_path, vectors, use))
    encoder = model.encoder
    before = encoder.embedding.weight.detach().clone()
    optimizer = torch.optim.SGD([weights for weights in model.parameters() if weights.requires_grad], lr=1.0)
    task.loss(model, data.batch(range(20)), task.scalars)["loss"].backward()
    optimizer.step()
    assert torch.equal(encoder.embedding.weight, before) is not trained
    if fixed:
        assert torch.equal(encoder.static.weight, before)
    else:
        assert encoder.static is None


def test_two_channels_are_two_convolutions_added(tmp_path, vectors):
    _, model, data = built(config(tmp_path, vectors, "multichannel"))
    encoder, batch = model.eval().encoder, data.batch([0])
    with torch.no_grad():
        encoder.embedding.weight += 1.0
    tokens, convolution = batch["tokens"][0], encoder.filters[0]  # a filter of one word
    own, fixed = convolution.weight[:, :3, 0], convolution.weight[:, 3:, 0]
    responses = encoder.embedding(tokens) @ own.T + encoder.static(tokens) @ fixed.T + convolution.bias
    expected = responses.clamp(min=0).max(dim=0).values
    assert torch.allclose(encoder(batch["tokens"], batch["length"])[0, :4], expected, atol=1e-6)


def test_vectors_of_words_need_words(tmp_path, vectors):
    with pytest.raises(ValidationError, match="vectors are for words"):
        config(tmp_path, vectors, tokenizer={"pretrained": {"path": "bert"}})
