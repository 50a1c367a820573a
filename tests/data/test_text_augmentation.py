"""Easy data augmentation, and the synonyms of WordNet."""

from collections import Counter

import numpy as np
import pytest

from hpsearch.data.words import (
    TECHNIQUES,
    augmented_copies,
    delete_words,
    insert_synonyms,
    read_synonyms,
    replace_by_synonyms,
    swap_words,
)
from hpsearch.errors import DataError

WORDS = ["the", "quick", "fox", "saw", "the", "quick", "dog", "near", "home", "today"]
SYNONYMS = {"quick": ("fast",), "fox": ("vixen",), "the": ("a",), "dog": ("hound",)}


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def changed(before, after):
    return {old: new for old, new in zip(before, after, strict=True) if old != new}


@pytest.mark.parametrize("n", [1, 2, 9])
def test_n_words_are_replaced_wherever_they_stand_and_no_stop_word(n, generator):
    new = changed(WORDS, replace_by_synonyms(WORDS, n, SYNONYMS, generator))
    assert len(new) == min(n, 3)
    assert new.items() <= {"quick": "fast", "fox": "vixen", "dog": "hound"}.items()
    assert replace_by_synonyms(["quick", "quick"], 1, SYNONYMS, generator) == ["fast", "fast"]


def test_n_synonyms_are_inserted_and_the_order_stays(generator):
    after = insert_synonyms(WORDS, 3, SYNONYMS, generator)
    more = Counter(after) - Counter(WORDS)
    assert sum(more.values()) == 3
    assert set(more) <= {"fast", "vixen", "a", "hound"}
    left = iter(after)
    assert all(word in left for word in WORDS)
    assert insert_synonyms(["rare"], 3, SYNONYMS, generator) == ["rare"]


def test_a_swap_changes_two_places(generator):
    words = list("abcdefgh")
    after = swap_words(words, 1, generator)
    assert len(changed(words, after)) == 2
    assert sorted(swap_words(words, 20, generator)) == words
    assert swap_words(["one"], 3, generator) == ["one"]


def test_words_are_deleted_at_the_rate_and_never_all(generator):
    left = delete_words(["w"] * 20_000, 0.1, generator)
    assert len(left) == pytest.approx(18_000, abs=4 * np.sqrt(20_000 * 0.09))
    assert {len(delete_words(["a", "b"], 1.0, generator)) for _ in range(20)} == {1}


def test_copies_follow_from_the_seed_alone():
    def copies(seed):
        return augmented_copies(
            " ".join(WORDS), techniques=TECHNIQUES, probability=0.2, copies=9, synonyms=SYNONYMS, seed=seed
        )

    assert len(copies((0, 1))) == 9
    assert copies((0, 1)) == copies((0, 1))
    assert copies((0, 1)) != copies((0, 2))


def test_synonyms_are_read_from_wordnets_lines(tmp_path):
    licence = "  1 This software and database is being provided\n"
    line = "{offset} 00 {kind} {count:02x} {words} 000 | a gloss, with car 0 in it\n"
    car = line.format(offset="02958343", kind="n", count=2, words="car 0 motor_Car 0")
    plenty = line.format(offset="00015589", kind="s", count=2, words="abounding 0 galore(ip) 0")
    alone = line.format(offset="00015590", kind="v", count=1, words="breathe 0")
    for name, content in {"noun": car, "adj": plenty, "verb": alone, "adv": ""}.items():
        (tmp_path / f"data.{name}").write_text(licence + content)
    assert read_synonyms(str(tmp_path)) == {
        "car": ("motor car",),
        "motor car": ("car",),
        "abounding": ("galore",),
        "galore": ("abounding",),
    }


def test_without_a_wordnet_the_way_out_is_said(tmp_path):
    with pytest.raises(DataError, match=r"there is no WordNet in .*; install one"):
        read_synonyms(str(tmp_path / "none"))


@pytest.mark.slow
def test_the_real_wordnet_knows_its_synonyms():
    """WordNet 3.0's first sense of `car`: car, auto, automobile, machine, motorcar."""
    synonyms = read_synonyms("/usr/share/wordnet")
    assert {"auto", "automobile", "machine", "motorcar"} <= set(synonyms["car"])
    assert len(synonyms) > 50_000
