"""Files that a crash leaves old or new, and lines that a crash leaves whole or torn (design.md 5, 6.2)."""

import errno
import json
import math
import os
import resource
import signal
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.experiment.files import (
    append_json_line,
    decode_number,
    json_line,
    no_room,
    read_json,
    read_lines,
    remove_leftovers,
    write_atomically,
    write_json,
)


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, kept)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_in_one_piece(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "first")
    with path.open(encoding="utf-8") as reader:
        write_atomically(path, b"second")
        assert reader.read() == "first"  # who reads it has the old one to the end
    assert path.read_text(encoding="utf-8") == "second"
    assert names(tmp_path) == ["file"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")
    with file_size_limit(100), pytest.raises(OSError, match="File too large") as caught:
        write_atomically(path, "new" * 1000)
    assert path.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["file"]
    assert no_room(caught.value) == "File too large; make room, and the same command goes on"


def test_a_value_that_is_no_json_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"a": 1})
    for value in (math.nan, {1, 2}, "\ud800"):
        with pytest.raises((ValueError, TypeError)):
            write_json(path, {"a": value, "b": os} if isinstance(value, str) else {"a": value})
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": 1}
    assert names(tmp_path) == ["file.json"]


def test_leftovers_of_a_killed_write_are_removed(tmp_path: Path) -> None:
    for name in (".best.pt.123.tmp", ".config.json.77.tmp", "mine.tmp", ".hidden"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path, "config.json")
    assert names(tmp_path) == [".best.pt.123.tmp", ".hidden", "mine.tmp"]
    remove_leftovers(tmp_path)
    assert names(tmp_path) == [".hidden", "mine.tmp"]


def test_only_a_lack_of_room_is_called_so() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/scratch/x")
    assert no_room(full) == "No space left on device: /scratch/x; make room, and the same command goes on"
    assert no_room(OSError(errno.EDQUOT, "Disk quota exceeded")) is not None
    assert no_room(PermissionError(errno.EACCES, "Permission denied")) is None
    assert no_room(ValueError("No space left on device")) is None


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 0.1, -0.0, 5e-324, 1.7976931348623157e308, 3, None])
def test_numbers_come_back_as_they_were(number: float | None, tmp_path: Path) -> None:
    append_json_line(tmp_path / "lines", {"value": number, "scores": {"loss": number}})
    line = (tmp_path / "lines").read_text(encoding="utf-8")
    json.loads(line, parse_constant=pytest.fail)  # NaN and Infinity are no JSON
    [(row, _)] = read_lines(tmp_path / "lines")
    for found in (decode_number(row["value"]), decode_number(row["scores"]["loss"])):
        assert repr(found) == repr(number)


def test_a_text_is_not_taken_for_a_number() -> None:
    assert decode_number("nano") == "nano"
    assert decode_number("Infinity") == "Infinity"


@pytest.mark.parametrize("text", ["line\nbreak", "\u2028", "naïve ☃", '"', "\x00"])
def test_any_text_stays_on_one_line(text: str, tmp_path: Path) -> None:
    for number in range(2):
        append_json_line(tmp_path / "lines", {"text": text, "number": number})
    assert [row["text"] for row, _ in read_lines(tmp_path / "lines")] == [text] * 2


@given(st.text(st.characters(categories=["Cs", "L", "Cc"])), st.text(st.characters(categories=["Cs", "L"]), min_size=1))
def test_any_text_is_written_so_that_every_reader_can_read_it(text: str, name: str) -> None:
    line = json_line({name: [text, {name: text}]})
    line.decode("utf-8")
    (found, values), (_, checksum) = orjson.loads(line).items()
    assert checksum == f"{zlib.crc32(line[: line.rindex(b',')]):08x}"
    assert values == json.loads(line)[found]
    assert all(each == text for each in (values[0], values[1][found])) or any(
        "\ud800" <= letter <= "\udfff" for letter in text
    )


def test_what_is_no_letter_is_written_as_its_escape() -> None:
    line = json_line({"reason": "no /data/\udcff.png, \ud83d\ude00"})
    assert orjson.loads(line)["reason"] == "no /data/\\udcff.png, \\ud83d\\ude00"


ROWS: list[dict[str, Any]] = [{"step": 1, "loss": 0.5}, {"step": 2, "loss": math.nan}, {"step": 3, "note": "ä}\n{"}]


def test_a_line_torn_at_any_byte_is_left_out_and_the_next_one_repairs_the_file(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    whole = b"".join(map(json_line, ROWS))
    kept = len(whole) - len(json_line(ROWS[-1]))
    for size in range(kept, len(whole)):
        path.write_bytes(whole[:size])
        rows = list(read_lines(path))
        assert [row["step"] for row, _ in rows] == [1, 2]
        assert rows[-1][1] == kept
        append_json_line(path, ROWS[-1])
        assert path.read_bytes() == whole


def test_a_file_whose_only_line_is_torn_starts_over(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    for torn in (b"", b"{", b"\0\0\0"):
        path.write_bytes(torn)
        assert list(read_lines(path)) == []
        append_json_line(path, ROWS[0])
        assert path.read_bytes() == json_line(ROWS[0])


def test_reading_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    append_json_line(path, ROWS[0])
    [(_, end)] = read_lines(path)
    assert list(read_lines(path, offset=end)) == []
    append_json_line(path, ROWS[1])
    assert [row["step"] for row, _ in read_lines(path, offset=end)] == [2]
    assert list(read_lines(tmp_path / "missing")) == []


def test_a_line_that_did_not_fit_is_cut_off_by_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    append_json_line(path, ROWS[0])
    with file_size_limit(len(json_line(ROWS[0])) + 5), pytest.raises(OSError, match="File too large"):
        append_json_line(path, ROWS[1])
    assert [row["step"] for row, _ in read_lines(path)] == [1]
    append_json_line(path, ROWS[1])
    assert path.read_bytes() == json_line(ROWS[0]) + json_line(ROWS[1])


def test_a_path_that_is_no_utf8_comes_back(tmp_path: Path) -> None:
    """As in resolved.json below a folder whose name has other bytes."""
    write_json(tmp_path / "a.json", {"path": "b\udcff", "emoji": "\U0001f600"})
    assert read_json(tmp_path / "a.json") == {"path": "b\udcff", "emoji": "\U0001f600"}
