"""The family: data, loss, scores, baselines."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, log_loss
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from hpsearch.data.folds import classes_in
from hpsearch.data.labelled_text import LabelledTexts, docstrings, normalised
from hpsearch.data.words import UNKNOWN_WORD, WordVocabulary, split_words
from hpsearch.families.text_classifier.baselines import baseline_scores
from hpsearch.families.text_classifier.family import FAMILY, TextClassification
from hpsearch.families.text_classifier.loading import NO_LABEL, TextData
from hpsearch.families.text_classifier.settings import TextConfig
from hpsearch.families.text_classifier.task import TextTask, classification_scores, cross_entropy
from hpsearch.records import Goal, Monitor
from hpsearch.running.loading import load_space
from hpsearch.seeds import Seeds
from hpsearch.training.loop import fit
from hpsearch.training.task import Splits
from tests.training.toy import Recorder

PARTS = ("train", "val", "test")
SMALL = {"model": {"architecture": {"cnn": {"embedding": 8, "filters": 4, "widths": [1, 2], "dropout": 0}}}}


@pytest.fixture(scope="module")
def splits():
    data = TextConfig().data
    return Splits(lambda split: TextClassification().load(data, split, seed=0), sealed=False)


def test_nothing_imports_torch_until_data_are_asked_for():
    code = (
        "import sys, hpsearch.families.text_classifier.family as f; f.FAMILY.Config();"
        "sys.exit(any(name in sys.modules for name in ('torch', 'sklearn', 'transformers')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_the_default_corpus_is_large_and_holds_no_text_twice():
    corpus = docstrings()
    assert FAMILY is TextClassification
    assert len(corpus) > 3000
    assert len({normalised(text) for text in corpus.texts}) == len(corpus)
    assert len(set(corpus.labels)) == 16


def test_no_text_of_one_part_stands_in_another(splits):
    seen = [{normalised(text) for text in splits[part].texts} for part in PARTS]
    assert sum(map(len, seen)) == len(set.union(*seen)) == len(docstrings())


def test_the_vocabulary_is_that_of_the_training_part(splits):
    train, val = splits["train"], splits["val"]
    words = [split_words(text) for text in train.texts]
    vocabulary = WordVocabulary.of(words, size=30522, minimum_count=2)
    assert train.vocabulary == val.vocabulary == vocabulary.size
    assert val.tokens[3] == vocabulary.encode(split_words(val.texts[3])[:64])
    assert any(UNKNOWN_WORD in row for row in val.tokens)


def test_a_vocabulary_keeps_the_most_frequent_words_and_their_order_does_not_depend_on_the_texts():
    texts = [["b", "a"], ["c", "a", "b"], ["a", "d"]]
    assert WordVocabulary.of(texts, size=5, minimum_count=1).words == ("a", "b", "c")
    assert WordVocabulary.of(reversed(texts), size=99, minimum_count=2).words == ("a", "b")
    assert WordVocabulary(("a", "b")).encode(["b", "x", "a"]) == [3, UNKNOWN_WORD, 2]


def test_words_are_split_at_punctuation():
    assert split_words("Don't  stop\x85self.x_1!") == ["don", "'", "t", "stop", "self", ".", "x_1", "!"]
    assert split_words("Ab", lowercase=False) == ["Ab"]


def test_classes_that_are_numbers_stand_in_their_order():
    assert classes_in(["10", "9", "-1", None]) == ("-1", "9", "10")
    assert classes_in(["b", "10", "9"]) == ("10", "9", "b")


def test_scores_are_scikit_learns():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(60, 5))
    logarithms = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    labels = generator.integers(0, 4, 60)
    scores = classification_scores(logarithms, labels)
    assert scores["loss"] == pytest.approx(log_loss(labels, np.exp(logarithms), labels=range(5)))
    assert scores["macro_f1"] == pytest.approx(f1_score(labels, logits.argmax(axis=1), average="macro"))
    assert scores["accuracy"] == pytest.approx((logits.argmax(axis=1) == labels).mean())


def test_the_loss_is_torchs_with_smoothing():
    torch.manual_seed(0)
    logits, labels = torch.randn(9, 4), torch.randint(0, 4, (9,))
    expected = functional.cross_entropy(logits, labels, label_smoothing=0.2)
    assert torch.allclose(cross_entropy(logits, labels, torch.ones(4), 0.2), expected)


def test_an_example_without_a_label_adds_nothing():
    logits, labels = torch.randn(4, 3), torch.tensor([0, NO_LABEL, 2, NO_LABEL])
    expected = functional.cross_entropy(logits, labels, ignore_index=NO_LABEL, reduction="sum") / 4
    assert torch.allclose(cross_entropy(logits, labels, torch.ones(3), 0.0), expected)


def test_balanced_weights_are_scikit_learns(splits):
    config = TextConfig.model_validate({**SMALL, "loss": {"class_weights": "balanced"}})
    train = splits["train"]
    task = TextTask(config, train)
    model = task.build_model()
    batch = train.batch(range(40))
    labels = batch["labels"][:, 0]
    weights = torch.tensor(
        compute_class_weight("balanced", classes=np.arange(16), y=train.labels[:, 0]), dtype=torch.float32
    )
    logits = model(batch["tokens"], batch["length"])
    expected = functional.cross_entropy(logits, labels, weight=weights, reduction="sum") / 40
    assert torch.allclose(task.loss(model, batch, task.scalars)["loss"], expected)


def test_the_rate_decays_from_layer_to_layer(splits):
    transformer = {"width": 8, "heads": 2, "layers": 3, "layer_decay": 0.5, "pooling": "cls"}
    task = TextTask(
        TextConfig.model_validate({"model": {"architecture": {"transformer": transformer}}}), splits["train"]
    )
    scales = {name: task.rate_scale(name) for name, _ in task.build_model().named_parameters()}
    assert scales["heads.0.weight"] == scales["encoder.norm.weight"] == scales["encoder.pooler.bias"] == 1
    assert scales["encoder.blocks.2.hidden.weight"] == 0.5
    assert scales["encoder.blocks.0.attended.bias"] == 0.125
    assert scales["encoder.embedding.weight"] == scales["encoder.class_token"] == 0.0625


def _texts(pairs):
    texts, labels = zip(*pairs, strict=True)
    tokens = [[2]] * len(texts)
    return TextData(texts, tokens, np.array(labels)[:, None], {"label": ("0", "1")}, 3)


def test_the_baselines_know_the_frequencies_and_the_words():
    train = _texts([("good fine", 1), ("good nice", 1), ("nice fine", 1), ("bad sad", 0), ("sad bad", 0)] * 3)
    scored = _texts([("fine good", 1), ("bad", 0), ("sad", 0)])
    scores = baseline_scores(train, scored, scored)
    assert scores["majority"]["accuracy"] == pytest.approx(1 / 3)
    assert scores["majority"]["loss"] == pytest.approx(-(np.log(0.6) + 2 * np.log(0.4)) / 3)
    assert scores["tfidf_logistic"]["accuracy"] == 1


def test_parts_of_texts_keep_labels_together():
    corpus = LabelledTexts(("a", "b", "c"), ("0", "1", None), ("x", None, "y"))
    assert corpus.part([2, 0]) == LabelledTexts(("c", "a"), (None, "0"), ("y", "x"))


@pytest.mark.slow
def test_the_network_beats_majority_by_far_and_stays_near_tfidf():
    """On six of the topics, for about as many steps as the quick space makes on all of them."""
    space = load_space(
        Path(__file__).parents[3] / "spaces" / "text_classifier.yaml",
        quick=True,
        overrides=[
            "data.classes=[archives, dates, debugging, logging, web, xml]",
            "data.val_fraction=0.2",
            "train.weight_decay=0.01",
            "train.epochs=20",
        ],
    )
    config = space.config(space.start[0])
    family = TextClassification()
    splits = Splits(lambda split: family.load(config.data, split, seed=0), sealed=True)
    result = fit(
        family.task(config, splits),
        splits,
        config.train.model_copy(update={"device": "cpu"}),
        seeds=Seeds.for_trial(0, 0),
        monitor=Monitor("val/accuracy", Goal.MAXIMIZE),
        report=Recorder(),
    )
    accuracy = result.evaluations[-1].metrics["val/accuracy"]
    floors = family.baselines(config, splits, "val")
    assert accuracy > floors["majority"]["accuracy"] + 0.3
    assert accuracy > floors["tfidf_logistic"]["accuracy"] - 0.05
