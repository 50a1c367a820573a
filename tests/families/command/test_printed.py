"""From lines to metrics."""

import math

import pytest

from hpsearch.families.command.printed import Measured, Tail, read_line
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
