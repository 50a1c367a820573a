"""Looking at a text, cleaning it, and dividing it by lines without an overlap."""

from pathlib import Path

import pytest

from hpsearch.cli import app
from hpsearch.data.text import analyse, clean, split_lines
from hpsearch.errors import DataError, HpsearchError
from hpsearch.running.loading import load_space

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
    head, tail, last = split_lines(TEXT, head=36, tail=4)
    assert (head + tail, last) == (TEXT, "")
    assert tail.startswith("line 36\n")
    train, val, test = split_lines(TEXT, head=30, tail=6, last=4)
    assert train + val + test == TEXT
    assert (val[:8], test[:8]) == ("line 30\n", "line 36\n")
    with pytest.raises(DataError, match="overlap by 1"):
        split_lines(TEXT, head=31, tail=6, last=4)


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
    assert f"data: {{train: {train}, val: {val}, test_fraction: 0}}" in capsys.readouterr().out


def test_what_split_says_for_the_space_is_what_char_lm_takes(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text").write_text(TEXT)
    with pytest.raises(HpsearchError, match="--test FILE and --last LINES go together"):
        app(["text", "split", "text", "a", "b", "--head", "30", "--tail", "6", "--last", "4"], standalone_mode=False)
    lines = ["--head", "30", "--tail", "6", "--test", "c.txt", "--last", "4"]
    app(["text", "split", "text", "a.txt", "b.txt", *lines], standalone_mode=False)
    told = capsys.readouterr().out
    (data,) = (line for line in told.splitlines() if line.startswith("data: "))
    Path("space.yaml").write_text(
        "family: char_lm\nobjective: {metric: val/loss}\nsearch: {trials: 1}\n"
        f"{data.replace('}', ', context: 16}')}\ntrain: {{epochs: {{choice: [1, 2]}}}}\n"
    )
    space = load_space(Path("space.yaml"))
    assert space.config(space.example).data.files == {"train": "a.txt", "val": "b.txt", "test": "c.txt"}


def test_nothing_is_written_over(tmp_path) -> None:
    text, new = tmp_path / "text", tmp_path / "new"
    text.write_text(TEXT)
    new.touch()
    with pytest.raises(DataError, match="exists"):
        app(["text", "clean", str(text), str(new)], standalone_mode=False)
