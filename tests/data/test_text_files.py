"""Reading labelled texts, and texts that stand where they should not."""

import json

import pytest

from hpsearch.data.labelled_text import LabelledTexts
from hpsearch.data.text_files import read_labelled
from hpsearch.data.text_leakage import find_leakage, without_leakage, without_repeats
from hpsearch.errors import DataError

TEXTS = ('good, "very" good', "next\x85line\u2028of text", "three")


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content.encode())
    return str(path)


def read(path, **columns):
    return read_labelled(path, **{"text_column": "text", "label_column": "label", **columns})


@pytest.mark.parametrize("labels", [(1, 0, 1), ("yes", "no", "yes")])
def test_every_format_holds_the_same_texts(tmp_path, labels):
    rows = [{"text": text, "label": label} for text, label in zip(TEXTS, labels, strict=True)]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\r\n" for row in rows)
    table = "label,text\n" + "".join('{},"{}"\n'.format(row["label"], row["text"].replace('"', '""')) for row in rows)
    expected = LabelledTexts(TEXTS, tuple(str(label) for label in labels))
    assert read(written(tmp_path, "a.json", json.dumps(rows))) == expected
    assert read(written(tmp_path, "a.jsonl", lines + "\n")) == expected
    assert read(written(tmp_path, "a.csv", table)) == expected


def test_columns_have_other_names_and_a_second_label_may_be_missing(tmp_path):
    rows = '{"body": "a", "topic": "x", "tone": 1}\n{"body": "b", "tone": 0}\n{"body": "c", "topic": "y"}\n'
    found = read(written(tmp_path, "a.jsonl", rows), text_column="body", label_column="topic", auxiliary_column="tone")
    assert found == LabelledTexts(("a", "b", "c"), ("x", None, "y"), ("1", "0", None))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", '{"text": "a", "label": 0}\n{"text": "b"}\n', r"a.jsonl:2 has no 'label'; it has: text"),
        ("a.jsonl", '{"text": "a", "label": 0}\n\n{"text" "b"}\n', r"a.jsonl:3:9 is not JSON"),
        ("a.jsonl", '{"text": "a", "label": 0.5}\n', r"a.jsonl:1: the label 'label' must be text or a whole number"),
        ("a.jsonl", '{"text": "a", "label": true}\n', r"must be text or a whole number, not true"),
        ("a.json", '[{"text": 3, "label": 0}]', r"item 1: 'text' must be text, not 3"),
        ("a.json", '[\n {"text": "a",\n "label" 0}]', r"a.json:3:10 is not JSON"),
        ("a.json", '{"text": "a"}', r"must hold a list of objects"),
        ("a.json", "[]", "holds no examples"),
        ("a.csv", 'text,label\n"two\nlines",1\nb\n', r"a.csv:4: the row does not have as many fields"),
        ("a.csv", "text,label\na,\n", r"a.csv:2: the label"),
        ("a.txt", "a", r"the ending '.txt' says nothing"),
    ],
)
def test_mistakes_are_located(tmp_path, name, content, words):
    with pytest.raises(DataError, match=words):
        read(written(tmp_path, name, content))


def test_leaked_texts_are_found_letter_by_letter_and_nearly():
    found = find_leakage(["One two", "three", "ONE  two", "four", "Four"], ["One two", "five"])
    assert (found.exact, found.nearly, found.repeated) == ((0,), (2,), (2, 4))


def test_leaked_texts_are_told_and_left_out_if_asked():
    part = LabelledTexts(("A b", "c", "d"), ("0", "1", "1"))
    with pytest.warns(UserWarning, match=r"1 of 3 test texts also stand .* for example 'A b'; data.leaked: drop"):
        assert without_leakage(part, ["a  B"], name="test", drop=False) == part
    with pytest.warns(UserWarning, match="they are left out"):
        assert without_leakage(part, ["a  B"], name="test", drop=True) == part.part([1, 2])


def test_the_first_of_equal_texts_is_kept():
    assert without_repeats(LabelledTexts(("a", "A ", "b"), ("0", "1", "0"))).texts == ("a", "b")
