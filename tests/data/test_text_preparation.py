"""Looking at a text, cleaning it, and dividing it by lines without an overlap."""

import pytest

from hpsearch.cli import app
from hpsearch.data.text import analyse, clean, split_lines
from hpsearch.errors import DataError

TEXT = "".join(f"line {number}\n" for number in range(40))


def test_the_facts_of_a_text() -> None:
    facts = analyse("ab ab\n\nab ab\nz\x07\n")
    assert (facts.characters, facts.lines, facts.words, facts.distinct) == (16, 4, 5, 6)
    assert (facts.longest_line, facts.mean_line, facts.repeated) == (5, 3.0, 1)
    assert facts.common[0] in (("a", 4), ("b", 4), ("\n", 4))
    assert (facts.rare, facts.control) == ("\x07\n abz", "\x07")


def test_cleaning() -> None:
    assert clean("one\r\ntwo  words \n\n\n\n  e\u0301nd\ufeff\x00") == "one\ntwo words\n\n  \u00e9nd\n"
    assert clean(clean(TEXT)) == clean(TEXT) == TEXT


def test_the_split_takes_head_and_tail() -> None:
    head, tail = split_lines(TEXT, head=36, tail=4)
    assert head + tail == TEXT
    assert tail.startswith("line 36\n")


@pytest.mark.parametrize(
    ("head", "tail", "words"), [(36, 5, "overlap by 1"), (90000, 10000, "overlap"), (0, 1, "a line")]
)
def test_parts_that_overlap_are_refused(head, tail, words) -> None:
    with pytest.raises(DataError, match=words):
        split_lines(TEXT, head=head, tail=tail)


def test_the_commands(tmp_path, capsys) -> None:
    text, new, train, val = (tmp_path / name for name in ("text", "new", "train", "val"))
    text.write_text(TEXT)
    app(["text", "analyse", str(text)], standalone_mode=False)
    assert "40 lines" in capsys.readouterr().out
    app(["text", "clean", str(text), str(new)], standalone_mode=False)
    app(["text", "split", str(new), str(train), str(val), "--head", "30", "--tail", "10"], standalone_mode=False)
    assert train.read_text() + val.read_text() == TEXT
    with pytest.raises(DataError, match="exists"):
        app(["text", "clean", str(text), str(new)], standalone_mode=False)
