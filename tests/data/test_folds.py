"""Dividing examples into parts with equal proportions of the classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.model_selection import StratifiedKFold

from hpsearch.data.folds import Folds, stratified_parts
from hpsearch.errors import DataError

LABELS = np.repeat([0, 1, 2], [100, 60, 40])[np.random.default_rng(0).permutation(200)]


def parts_of(labels=LABELS, *, val_fraction=0.1, test_fraction=0.2, seed=0, folds=None):
    return stratified_parts(labels, val_fraction=val_fraction, test_fraction=test_fraction, seed=seed, folds=folds)


@given(
    sizes=st.lists(st.integers(12, 40), min_size=2, max_size=5),
    val=st.floats(0.05, 0.4),
    test=st.floats(0.05, 0.4),
    seed=st.integers(0, 1000),
)
def test_the_parts_cover_every_example_once_and_keep_the_proportions(sizes, val, test, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    parts = parts_of(labels, val_fraction=val, test_fraction=test, seed=seed)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(labels)))
    assert len(parts["test"]) == round(test * len(labels))
    assert len(parts["val"]) == round(val * len(labels))
    for number, size in enumerate(sizes):
        assert abs((labels[parts["test"]] == number).sum() - test * size) < 2


def test_the_folds_are_scikit_learns_and_each_is_the_test_part_once():
    splitter = StratifiedKFold(5, shuffle=True, random_state=42)
    expected = [test.tolist() for _, test in splitter.split(LABELS, LABELS)]
    found = [parts_of(folds=Folds(index=index)) for index in range(5)]
    assert [parts["test"].tolist() for parts in found] == expected
    for parts in found:
        assert sorted(np.concatenate(list(parts.values()))) == list(range(200))
        assert len(parts["val"]) == 20


def test_folds_are_the_same_for_every_seed_and_validation_is_not():
    once, again = parts_of(seed=1, folds=Folds()), parts_of(seed=2, folds=Folds())
    assert once["test"].tolist() == again["test"].tolist()
    assert once["val"].tolist() != again["val"].tolist()


def test_equal_seeds_divide_alike_and_others_do_not():
    assert parts_of(seed=3)["test"].tolist() == parts_of(seed=3)["test"].tolist()
    assert parts_of(seed=3)["test"].tolist() != parts_of(seed=4)["test"].tolist()


def test_labels_may_be_words():
    names = np.array(["cat", "dog", "owl"])[LABELS]
    assert parts_of(names.tolist())["test"].tolist() == parts_of()["test"].tolist()


def test_a_fold_that_does_not_exist_is_refused():
    with pytest.raises(ValidationError, match="index 5 is not a fold: 5 folds are numbered 0 to 4"):
        Folds(count=5, index=5)


@pytest.mark.parametrize(
    ("labels", "arguments", "words"),
    [
        ([0, 0, 0, 1], {"folds": Folds()}, "5 folds need 5 examples of each class; the smallest has 1"),
        ([0, 1], {}, "of 2 examples none are left for the val part"),
        (["a"] * 12 + ["b"], {"val_fraction": 0.5, "test_fraction": 0.4}, "no example of the class b is left"),
    ],
)
def test_too_few_examples_are_refused(labels, arguments, words):
    with pytest.raises(DataError, match=words):
        parts_of(labels, **arguments)
