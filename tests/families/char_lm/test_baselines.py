"""The n-gram floors, against closed forms, hand counts and known figures."""

import math
import sys

import numpy as np
import pytest

from hpsearch.data.text import Vocabulary, read_corpus
from hpsearch.families.char_lm.baselines import add_one_bits, ngram_scores, witten_bell_bits


def test_random_text_costs_its_entropy():
    generator = np.random.default_rng(0)
    train, scored = generator.integers(1, 17, 200_000), generator.integers(1, 17, 20_000)
    for context in (0, 1):
        bits = add_one_bits(train, scored, vocabulary=17, context=context)
        assert len(bits) == 19_999
        assert bits.mean() == pytest.approx(4.0, abs=0.01)


def test_random_text_of_unequal_letters_costs_its_entropy():
    chances = np.array([0.5, 0.25, 0.125, 0.125])
    train, scored = (np.random.default_rng(seed).choice(4, 100_000, p=chances) for seed in (0, 1))
    assert add_one_bits(train, scored, vocabulary=4, context=0).mean() == pytest.approx(1.75, abs=0.01)


def test_a_markov_chain_costs_its_conditional_entropy():
    """Each token stays with chance .9, or else becomes the next of three: the unigram cannot see it, the bigram can."""
    steps = (np.random.default_rng(0).random(120_000) > 0.9).cumsum() % 3
    train, scored = steps[:100_000], steps[100_000:]
    entropy = -(0.9 * math.log2(0.9) + 0.1 * math.log2(0.1))
    *_, witten_bell = witten_bell_bits(train, scored, vocabulary=3, longest=1)
    for bits in (add_one_bits(train, scored, vocabulary=3, context=1), witten_bell):
        assert bits.mean() == pytest.approx(entropy, abs=0.02)
    assert add_one_bits(train, scored, vocabulary=3, context=0).mean() == pytest.approx(math.log2(3), abs=0.02)


def test_add_one_by_hand():
    train, scored = np.array([1, 2, 1, 2, 1, 3]), np.array([1, 2, 3, 1])
    unigram = add_one_bits(train, scored, vocabulary=4, context=0)
    assert np.allclose(2**-unigram, [3 / 10, 2 / 10, 4 / 10])
    bigram = add_one_bits(train, scored, vocabulary=4, context=1)
    assert np.allclose(2**-bigram, [3 / 7, 1 / 6, 1 / 4])


def test_witten_bell_by_hand():
    train, scored = np.array([1, 2, 1, 2, 1, 3]), np.array([1, 2, 3, 1])
    empty, one, two = (2**-bits for bits in witten_bell_bits(train, scored, vocabulary=4, longest=2))
    assert np.allclose(empty, [(2 + 3 / 4) / 9, (1 + 3 / 4) / 9, (3 + 3 / 4) / 9])
    assert np.allclose(one, [(2 + 2 * empty[0]) / 5, (0 + 1 * empty[1]) / 3, empty[2]])
    assert np.allclose(two, [one[0], (0 + 1 * one[1]) / 3, one[2]])


def test_the_chances_of_all_tokens_add_up_to_one():
    generator = np.random.default_rng(0)
    train = generator.integers(0, 5, 300)
    scored = [np.array([1, 2, 3, token]) for token in range(5)]
    for context in range(3):
        assert sum(
            2 ** -add_one_bits(train, text, vocabulary=5, context=context)[-1] for text in scored
        ) == pytest.approx(1)
        *_, last = zip(*(witten_bell_bits(train, text, vocabulary=5, longest=context) for text in scored), strict=True)
        assert sum(2 ** -bits[-1] for bits in last) == pytest.approx(1)


def test_no_context_reaches_from_the_training_text_into_the_scored_one():
    """In training 2 always follows (0, 1), and 1 alone is followed by 2 or 4; the training text ends with 0."""
    train, scored = np.array([0, 1, 2, 3, 1, 4] * 20 + [0]), np.array([1, 2, 3])
    _, shorter, longer = witten_bell_bits(train, scored, vocabulary=5, longest=2)
    assert longer[0] == shorter[0] > 0.9
    assert longer[1] != shorter[1]


def test_the_known_floors_of_the_pydoc_corpus():
    """Python 3.11's help topics have 103 distinct characters; the last tenth costs 6.69, 4.67, 3.35, 1.905 bits."""
    text = read_corpus("pydoc")
    vocabulary = Vocabulary.of(text)
    size = len(vocabulary.characters)
    tokens = vocabulary.encode(text) - 1
    cut = int(0.9 * len(tokens))
    scores = ngram_scores(tokens[:cut], tokens[cut:], tokens[cut:], vocabulary=size, window=10)
    bits = [scores[name]["bits_per_char"] for name in ("uniform", "unigram", "bigram", "witten_bell")]
    assert bits[0] == pytest.approx(math.log2(size))
    assert bits == sorted(bits, reverse=True)
    if sys.version_info[:2] == (3, 11):  # other versions have other help topics
        assert size == 103
        assert [round(value, 2) for value in bits[:3]] == [6.69, 4.67, 3.35]
        assert bits[3] == pytest.approx(1.905, abs=5e-4)


def test_the_three_units_are_one_figure():
    tokens = np.arange(100) % 4
    scores = ngram_scores(tokens[:50], tokens[50:75], tokens[75:], vocabulary=4, window=10)
    assert scores["uniform"] == pytest.approx({"loss": math.log(4), "bits_per_char": 2.0, "perplexity": 4.0})
    assert scores["witten_bell"]["bits_per_char"] < scores["bigram"]["bits_per_char"] < 0.5


def test_the_context_of_witten_bell_is_chosen_on_the_validation_text():
    """Training has order, validation is noise where context misleads: a choice on the scored text would look back."""
    ordered = np.arange(3000) % 6
    noise = np.random.default_rng(0).integers(0, 6, 3000)
    by_noise = ngram_scores(ordered, noise, ordered, vocabulary=6, window=10)["witten_bell"]["bits_per_char"]
    by_order = ngram_scores(ordered, ordered, ordered, vocabulary=6, window=10)["witten_bell"]["bits_per_char"]
    assert by_noise == pytest.approx(math.log2(6), abs=0.01)
    assert by_order < 0.05
