"""Reading labelled texts, and texts that stand where they should not."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.data.labelled_text import LabelledTexts, find_leakage, without_leakage, without_repeats
from hpsearch.data.text_files import Writing, read_labelled
from hpsearch.errors import DataError

TEXTS = ('good, "very" good', "next\x85line\u2028of text", "three")


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content.encode())
    return str(path)


def read(path, **columns):
    return read_labelled(path, Writing(**columns))


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
        ("a.txt", "a", r"neither the ending '.txt' nor the lines say"),
        ("a.csv", "text,label,text\na,1,b\n", r"a.csv:1: the column 'text' occurs twice"),
        ("a.tsv", "text\tlabel\ttext\na\t1\tb\n", r"a.tsv:1: the column 'text' occurs twice"),
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
    with pytest.warns(UserWarning, match=r"1 of 3 test texts are also .* for example 'A b'; data.leaked: drop"):
        assert without_leakage(part, ["a  B"], name="test", drop=False) == part
    with pytest.warns(UserWarning, match="they are left out"):
        assert without_leakage(part, ["a  B"], name="test", drop=True) == part.part([1, 2])


def test_the_first_of_equal_texts_is_kept():
    assert without_repeats(LabelledTexts(("a", "A ", "b"), ("0", "1", "0"))).texts == ("a", "b")


GLUE = 'sentence\tlabel\n"hello there\t1\na\t0\ngood bye"\t0\n"quoted" words\t1\n\'s "so" so\t1\n'
COLUMNS = {"text_column": "sentence", "label_column": "label"}


def test_a_table_without_quoting_keeps_every_row_and_every_mark(tmp_path):
    found = read(written(tmp_path, "a.tsv", GLUE), **COLUMNS)
    assert found.texts == ('"hello there', "a", 'good bye"', '"quoted" words', '\'s "so" so')
    assert found.labels == ("1", "0", "0", "1", "1")


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_rows_that_a_quotation_mark_would_join_are_not_lost(tmp_path, ends):
    lines = ["text\tlabel", '"open\t1', "middle\t0", 'close"\t0', "last\t1"]
    found = read(written(tmp_path, "a.tsv", ends.join(lines) + ends))
    assert found.texts == ('"open', "middle", 'close"', "last")


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
def test_a_table_of_a_csv_writer_is_read_as_it_was_meant(tmp_path, quoting):
    texts = ['he said "no"', '"all of it"', "a\ttab", "two\nlines", "plain"]
    out = io.StringIO()
    csv.writer(out, "excel-tab", quoting=quoting).writerows([("text", "label"), *((text, 1) for text in texts)])
    assert read(written(tmp_path, "a.tsv", out.getvalue())).texts == tuple(texts)


def test_a_column_that_is_quoted_from_end_to_end_is_quoted(tmp_path):
    content = 'text\tlabel\n"one"\t1\n"two"\t0\n'
    assert read(written(tmp_path, "a.tsv", content)).texts == ("one", "two")
    assert read(written(tmp_path, "b.tsv", content), quoting="none").texts == ('"one"', '"two"')


def test_where_both_readings_are_possible_it_asks_and_takes_the_answer(tmp_path):
    path = written(tmp_path, "a.tsv", 'text\tlabel\n"a ""b""\t1\nc ""d"" e"\t0\n')
    with pytest.raises(DataError, match=r"2 rows where .* or 1 where they .* say which with data\.quoting"):
        read(path)
    assert read(path, quoting="none").texts == ('"a ""b""', 'c ""d"" e"')
    assert read(path, quoting="csv").texts == ('a "b"\t1\nc "d" e',)


def test_an_uneven_row_does_not_let_quotation_marks_swallow_rows(tmp_path):
    path = written(tmp_path, "a.TSV", 'text\tlabel\n"a\t1\nb\t0\tc\nd"\t1\n')
    with pytest.raises(DataError, match=r"a.TSV:3: .*a.TSV:4 would hold several rows; say which with data\.quoting"):
        read(path)
    assert read(path, quoting="csv").labels == ("1",)


def test_commas_need_quotes_and_may_be_told_otherwise(tmp_path):
    content = 'text,label\n"a, b",1\n'
    assert read(written(tmp_path, "a.csv", content)).texts == ("a, b",)
    assert read(written(tmp_path, "b.csv", 'text,label\n"a,1\nb",0\n'), quoting="none").texts == ('"a', 'b"')


LINES = st.lists(st.text("ab \"'", min_size=1), min_size=1, max_size=6)


def read_or_asked(path):
    """Return what is read, or None where it is asked in which of two ways."""
    try:
        return read(path)
    except DataError as error:
        if "in two ways" not in str(error):
            raise
        return None


@given(LINES)
def test_no_row_of_an_unquoted_table_is_lost(tmp_path_factory, texts):
    content = "text\tlabel\n" + "".join(f"{text}\t{number}\n" for number, text in enumerate(texts))
    found = read_or_asked(written(tmp_path_factory.mktemp("plain"), "a.tsv", content))
    assert found is None or found.labels == tuple(str(number) for number in range(len(texts)))


WRITTEN = st.sampled_from(["\t", "\n"]).flatmap(
    lambda mark: st.lists(st.text(f'ab "{mark}', min_size=1), min_size=1, max_size=6)
)


@given(WRITTEN)
def test_what_a_csv_writer_has_written_comes_back(tmp_path_factory, texts):
    """Fields hold tabs or line ends; with both, lines may look like rows of an unquoted table."""
    out = io.StringIO()
    csv.writer(out, "excel-tab").writerows([("text", "label"), *((text, 7) for text in texts)])
    found = read_or_asked(written(tmp_path_factory.mktemp("quoted"), "a.tsv", out.getvalue()))
    assert found is None or found.texts == tuple(texts)
