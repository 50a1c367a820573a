"""From lines to metrics."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.families.command.printed import LONGEST, Lines, Measured, ReadSoFar, Tail, read_line, read_row
from hpsearch.families.command.settings import MetricSource

JSON = MetricSource(stdout="json")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('{"step": 3, "loss": 0.5, "note": "text", "ok": true}', Measured(3, {"loss": 0.5})),
        ('{"epoch": 2, "loss": 1}', Measured(2, {"epoch": 2.0, "loss": 1.0})),
        ('{"loss": 1}', Measured(None, {"loss": 1.0})),
        ("loss 3", None),
        ('{"loss": ', None),
        ("{}", None),
    ],
)
def test_json_lines(line, found):
    assert read_line(line, JSON) == found


def test_a_pattern_reads_what_is_printed_for_people():
    source = MetricSource(pattern=r"epoch (?P<step>\d+): loss (?P<loss>\S+)|test (?P<test__loss>\S+)")
    assert read_line("[10:03] epoch 3: loss 1.5e-2, fine", source) == Measured(3, {"loss": 0.015})
    assert read_line("test 0.5%", source) == Measured(None, {"test/loss": 0.5})
    assert math.isnan(read_line("epoch 1: loss nan", source).metrics["loss"])


def test_a_tail_waits_for_the_end_of_a_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    tail = Tail(path)
    assert list(tail.lines()) == []
    path.write_text("one\ntw")
    assert list(tail.lines()) == ["one"]
    path.write_text("one\ntwo\n")
    assert list(tail.lines()) == ["two"]


@pytest.mark.parametrize(
    ("line", "metrics"),
    [
        ('{"loss": NaN, "top": Infinity, "low": -Infinity}', {"loss": math.nan, "top": math.inf, "low": -math.inf}),
        ('{"loss": null, "ok": false, "list": [1], "acc": "0.5"}', {"acc": 0.5}),
        ('{"loss": "1_0", "acc": "85.5%"}', {"acc": 85.5}),
        ('{"loss": 0.25}\r', {"loss": 0.25}),
        ('\x1b[32m{"loss": 0.25}\x1b[0m', {"loss": 0.25}),
        ('INFO:root:{"loss": 0.25}', {"loss": 0.25}),
        ("{'loss': 0.25, 'rate': 1e-05, 'note': 'x'}", {"loss": 0.25, "rate": 1e-05}),
        (
            "{'loss': np.float64(0.25), 'top': tensor(-0.5, device='cuda:0'), 'a': nan}",
            {"loss": 0.25, "top": -0.5, "a": math.nan},
        ),
        ('{"a": ' + "9" * 400 + ', "loss": 1}', {"a": math.inf, "loss": 1.0}),
        ('{"a": ' + "[" * 100_000, {}),
        ("{'a': __import__('os').getcwd()}", {}),
        ('{"loss": 0.25} and more', {}),
    ],
)
def test_what_programs_print_for_programs(line, metrics):
    found = read_line(line, JSON)
    assert {name: repr(value) for name, value in (found.metrics if found else {}).items()} == {
        name: repr(value) for name, value in metrics.items()
    }


@pytest.mark.parametrize(
    ("line", "loss"),
    [
        ("\rloss=0.9\rloss=0.6\rloss=0.3", 0.3),
        ("loss=0.9\rloss=0.3\r", 0.3),
        ("loss=0.9\rloss=0.3\r          \r", 0.3),
        ("\rloss=0.9 \x1b[A\rloss=\x1b[1m0.3\x1b[0m", 0.3),
        ("loss=0.9\b\b\b0.6\b\b\b0.3", 0.3),
        ("loss=0.9\b\b\b\b\b\b\b\bloss=0.3\b\b\b\b\b\b\b\b", 0.3),
        ("loss=0.9 then loss=0.6, at last (loss=0.3)", 0.3),
        ("loss=tensor(0.3000)", 0.3),
    ],
)
def test_a_progress_bars_last_state_counts(line, loss):
    assert read_line(line, MetricSource(pattern=r"loss=(?P<loss>\S+)")).metrics == {"loss": loss}


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ('{"epoch": "3/10", "loss": 1}', 3),
        ('{"epoch": 0.5, "loss": 1}', 0.5),
        ('{"epoch": 2, "step": 200, "loss": 1}', 200),
        ('{"epoch": 2.0, "loss": 1}', 2),
        ('{"epoch": -1, "loss": 1}', -1),
        ('{"epoch": NaN, "loss": 1}', None),
    ],
)
def test_the_number_of_a_step(line, step):
    assert read_line(line, JSON).step == step
    if "200" in line:
        assert read_line(line, MetricSource(stdout="json", step="epoch")).step == 2


def test_a_pattern_takes_a_step_of_so_many():
    source = MetricSource(pattern=r"epoch (?P<epoch>\S+) loss (?P<loss>\S+)")
    assert read_line("epoch [3/10] loss 0.5", source) == Measured(3, {"epoch": 3.0, "loss": 0.5})


def test_a_table_with_a_header():
    source = MetricSource(file="m.csv")
    assert read_row("epoch,loss,acc", "epoch,loss,acc", source) is None
    assert read_row("2,0.5,", "epoch,loss,acc", source) == Measured(2, {"epoch": 2.0, "loss": 0.5})
    assert read_row('2\t"0.5"', '\ufeffepoch\t"loss"', source) == Measured(2, {"epoch": 2.0, "loss": 0.5})


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line)), st.integers(1, 7))
def test_lines_do_not_depend_on_the_pieces_they_come_in(lines, size):
    whole = b"".join(line + b"\n" for line in lines)
    made = Lines()
    found = [line for start in range(0, len(whole), size) for line in made.feed(whole[start : start + size])]
    assert found == [line.decode(errors="replace").removesuffix("\r") for line in lines]
    assert (made.read, made.empty) == (len(whole), True)


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), min_size=1), st.integers(1, 7))
def test_lines_may_be_counted_again_at_any_place(lines, size):
    whole = b"".join(line + b"\n" for line in lines)
    made, kept, found = Lines(), b"", []
    for start in range(0, len(whole), size):
        kept += whole[start : start + size]
        found += made.feed(whole[start : start + size])
        kept = kept[made.read :]
        assert made.begin_again() == kept
    assert found == [line.decode(errors="replace").removesuffix("\r") for line in lines]
    assert kept == b""


@pytest.mark.parametrize(("end", "states"), [(b"", []), (b"\rlast\r", ["last"])])
def test_a_line_without_bounds_costs_itself_alone(end, states):
    made = Lines()
    found = [*made.feed(b"one\n")]
    for _ in range(3 * LONGEST // 50_000):
        found += made.feed(b"x" * 50_000)
    found += made.feed(end + b"\ntwo\n")
    assert [line.strip("\r") for line in found] == ["one", *states, "two"]


def test_a_bar_without_bounds_keeps_its_last_state():
    made = Lines()
    for number in range(300_000):
        assert list(made.feed(b"\rloss=%d" % number)) == []
    [line] = made.feed(b"\n")
    assert len(line) <= LONGEST
    assert read_line(line, MetricSource(pattern=r"loss=(?P<loss>\S+)")).metrics == {"loss": 299_999}


class TestTail:
    def test_what_stands_there_before_is_passed_over(self, tmp_path):
        path = tmp_path / "m"
        path.write_text("old\nto")
        tail = Tail(path)
        tail.skip()
        with path.open("a") as file:
            file.write("one\n")
        assert list(tail.lines()) == ["one"]

    def test_a_file_that_is_opened_anew_is_begun_anew(self, tmp_path):
        path = tmp_path / "m"
        path.write_text("old one\nold two\n")
        tail = Tail(path)
        tail.skip()
        path.write_text("1\n")
        assert list(tail.lines()) == ["1"]
        path.write_text("2\n" * 20)  # longer than before, but another
        assert list(tail.lines()) == ["2"] * 20
        assert tail.restarted

    def test_a_file_that_takes_its_place_is_read_after_the_rest_of_the_old_one(self, tmp_path):
        path = tmp_path / "m"
        path.write_text("1\n")
        tail = Tail(path)
        assert list(tail.lines()) == ["1"]
        with path.open("a") as file:
            file.write("2\n3")
        path.rename(tmp_path / "m.1")
        path.write_text("4\n")
        assert list(tail.lines()) == ["2", "3", "4"]

    def test_reading_goes_on_at_a_place(self, tmp_path):
        path = tmp_path / "m"
        path.write_text("1\n2\n")
        place = ReadSoFar(path.stat().st_ino, 2)
        assert list(Tail(path, place).lines()) == ["2"]
        assert list(Tail(path, ReadSoFar(place.inode + 1, 2)).lines()) == ["1", "2"]
        assert list(Tail(path, ReadSoFar(place.inode, 100)).lines()) == ["1", "2"]

    def test_no_character_but_the_newline_ends_a_line(self, tmp_path):
        path = tmp_path / "m"
        path.write_text('{"note": "a\u2028b\x0c\x85"}\nlast', encoding="utf-8")
        tail = Tail(path)
        assert len(list(tail.lines())) == 1
        assert list(tail.rest()) == ["last"]


@pytest.mark.parametrize(
    ("line", "metrics"),
    [
        ('INFO {main} {"loss": 0.5}', {"loss": 0.5}),
        ("[{rank}: {0}] {'epoch': 2, 'loss': 0.5}", {"epoch": 2.0, "loss": 0.5}),
        ('{"epoch": 2} {"loss": 0.5}', {"epoch": 2.0, "loss": 0.5}),
        ('{"loss": 0.7}{"loss": 0.5}', {"loss": 0.5}),
        ('{"train": {"loss": 0.5}}', None),
        ('{train: {"loss": 0.5}}', None),
    ],
)
def test_braces_before_an_object_do_not_hide_it(line, metrics):
    found = read_line(line, MetricSource(stdout="json"))
    assert (found and dict(found.metrics)) == metrics
