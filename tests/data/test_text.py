"""Reading, dividing and encoding text."""

import gzip

import numpy as np
import pytest

from hpsearch.data.text import UNKNOWN, Vocabulary, divide, read_corpus, read_text
from hpsearch.errors import DataError, UnknownNameError


def test_the_pydoc_corpus_is_the_same_at_every_reading_and_long():
    text = read_corpus("pydoc")
    assert text == read_corpus("pydoc")
    assert len(text) > 400_000
    assert "assert" in text


def test_an_unknown_corpus_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="did you mean 'pydoc'"):
        read_corpus("pydok")


def test_a_file_is_read_as_it_is_from_the_current_directory(tmp_path, monkeypatch):
    (tmp_path / "own.txt").write_bytes("Grüße,\r\n\tWelt \N{EARTH GLOBE EUROPE-AFRICA}\n".encode())
    monkeypatch.chdir(tmp_path)
    assert read_text("own.txt") == "Grüße,\r\n\tWelt \N{EARTH GLOBE EUROPE-AFRICA}\n"


def test_a_utf8_mark_is_left_out(tmp_path):
    (tmp_path / "own.txt").write_bytes(b"\xef\xbb\xbfabc")
    assert read_text(tmp_path / "own.txt") == "abc"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("Zeile\nGrüße".encode("latin-1"), ("byte 0xfc at offset 8", "line 2", "ISO-8859-1")),
        ("“quoted” text".encode("cp1252"), ("byte 0x93 at offset 0", "Windows-1252")),
        (b"\xef\xbb\xbfab\xff", ("byte 0xff at offset 5",)),
        ("plain".encode("utf-16"), ("byte 0xff at offset 0", "byte order mark of UTF-16-LE")),
        (b"\xfe\xff" + "plain".encode("utf-16-be"), ("byte order mark of UTF-16-BE",)),
        ("plain".encode("utf-32"), ("byte order mark of UTF-32-LE",)),
        ("plain text".encode("utf-16-le"), ("byte 0x00 at offset 1", "UTF-16-LE without a byte order mark")),
        ("plain text".encode("utf-16-be"), ("byte 0x00 at offset 0", "UTF-16-BE without a byte order mark")),
        ("whole ü".encode()[:-1], ("byte 0xc3 at offset 6", "cut off")),
        (gzip.compress(b"plain text", mtime=0), ("a gzip file",)),
        (b"\x00\x00\x00\x01\x00\x00\x00\x02abcd\x00", ("binary file",)),
    ],
)
def test_a_file_that_is_not_utf8_is_refused_with_the_place_and_the_likely_cause(tmp_path, content, words):
    (tmp_path / "own.txt").write_bytes(content)
    with pytest.raises(DataError) as refusal:
        read_text(tmp_path / "own.txt")
    for word in ("own.txt", *words):
        assert word in str(refusal.value)


def test_missing_and_empty_files_and_folders_are_refused(tmp_path):
    (tmp_path / "empty.txt").write_bytes(b"")
    for name, words in (("none.txt", "there is no text file"), ("empty.txt", "is empty"), (".", "cannot be read")):
        with pytest.raises(DataError, match=words):
            read_text(tmp_path / name)


@pytest.mark.parametrize("length", [100, 101, 999, 464_970])
@pytest.mark.parametrize(("val", "test"), [(0.1, 0.1), (0.2, 0.05), (1 / 3, 1 / 3)])
def test_the_parts_cover_the_text_once_and_in_order(length, val, test):
    parts = divide(length, val_fraction=val, test_fraction=test, shortest=2)
    assert list(parts) == ["train", "val", "test"]
    assert [*parts["train"], *parts["val"], *parts["test"]] == list(range(length))
    assert len(parts["val"]) == pytest.approx(length * val, abs=0.5)
    assert len(parts["test"]) == pytest.approx(length * test, abs=0.5)


def test_a_text_that_is_too_short_is_refused_with_the_numbers():
    assert divide(90, val_fraction=0.1, test_fraction=0.1, shortest=9)
    with pytest.raises(DataError, match=r"of its 89 characters the val part gets 9, and it needs 10"):
        divide(89, val_fraction=0.1, test_fraction=0.1, shortest=10)


def test_tokens_are_the_characters_in_the_order_of_their_code_points():
    vocabulary = Vocabulary.of("banane")
    assert vocabulary.characters == "aben"
    assert vocabulary.size == 5
    assert vocabulary.encode("naben").tolist() == [4, 1, 2, 3, 4]


def test_characters_that_training_lacks_are_unknown():
    encoded = Vocabulary.of("bdf").encode("abcdefg\N{GRINNING FACE}")
    assert encoded.tolist() == [UNKNOWN, 1, UNKNOWN, 2, UNKNOWN, 3, UNKNOWN, UNKNOWN]


def test_encoding_is_the_same_as_a_look_up():
    text = read_corpus("pydoc")[:20_000] + "ü\N{GRINNING FACE}"
    vocabulary = Vocabulary.of(text[:15_000])
    table = {character: number for number, character in enumerate(vocabulary.characters, start=1)}
    assert np.array_equal(vocabulary.encode(text), [table.get(character, UNKNOWN) for character in text])
