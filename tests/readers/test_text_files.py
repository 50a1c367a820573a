"""Logs as killed processes and other systems leave them, and columns that do not have one length."""

import codecs
import json
from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import DataError
from hpsearch.readers.shelf import Found, read_sources
from hpsearch.readers.text_files import json_lines, read_text
from hpsearch.records import Measurement

ROWS = '{"step": 1, "acc": 0.5}\n{"step": 2, "acc": 0.6}\n'


def found_in(folder: Path, name: str, content: bytes | str) -> Found:
    """Write a run of the arm `lstm` and return what is read."""
    run = folder / "lstm" / "seed_0"
    run.mkdir(parents=True)
    (run / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_sources([str(folder)])


@pytest.mark.parametrize(
    ("content", "warning"),
    [
        (ROWS, None),
        (ROWS.replace("\n", "\r\n"), None),
        (ROWS + "\n\0\0\0\n", None),
        (ROWS + '{"step": 3, "ac', "line 3 was cut off and is left out"),
        (ROWS + '{"step": 3, "text": "caf\u00e9', "line 3 was cut off and is left out"),
        ((ROWS + '{"step": 3, "text": "caf\u00e9').encode()[:-1], "line 3 was cut off and is left out"),
        ('{"step": 0, "ac\n' + ROWS, "line 1 is not valid JSON and is left out"),
        ("nothing\n" + ROWS + "nor here", "2 lines are not valid JSON and are left out, the first of them line 1"),
    ],
)
def test_a_torn_line_costs_that_line(tmp_path: Path, content: bytes | str, warning: str | None) -> None:
    found = found_in(tmp_path, "metrics.jsonl", content)
    assert found.runs[0].metrics["acc"] == Measurement(0.6, 2)
    assert found.warnings == (() if warning is None else (f"{tmp_path}/lstm/seed_0/metrics.jsonl: {warning}",))


@pytest.mark.parametrize("name", ["metrics.jsonl", "metrics.json", "metrics.csv"])
@pytest.mark.parametrize("content", ["", "\n", "\ufeff"])
def test_an_empty_file_costs_the_run_only(tmp_path: Path, name: str, content: str) -> None:
    (run,) = found_in(tmp_path, name, content).runs
    assert run.dropped == f"{name} holds no number"


def test_a_file_of_something_else_is_refused_by_its_first_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"metrics\.jsonl:1 is not valid JSON"):
        found_in(tmp_path, "metrics.jsonl", "<html>\n<body>\n")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metrics.jsonl", ROWS),
        ("metrics.json", '{"step": [1, 2], "acc": [0.5, 0.6]}'),
        ("metrics.csv", "step,acc\n1,0.5\n2,0.6\n"),
    ],
)
def test_byte_order_marks_are_read(tmp_path: Path, name: str, text: str, encoding: str) -> None:
    (run,) = found_in(tmp_path, name, text.encode(encoding)).runs
    assert run.metrics == {"acc": Measurement(0.6, 2)}


def test_other_marks_and_other_encodings(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_bytes(codecs.BOM_UTF16_BE + "caf\u00e9".encode("utf-16-be"))
    assert read_text(file) == "caf\u00e9"
    file.write_bytes("caf\u00e9 noir".encode("latin-1"))
    with pytest.raises(DataError, match="text is not text in UTF-8: byte 3 cannot be read"):
        read_text(file)


def test_a_parameter_file_with_a_mark_and_with_pythons_tags(tmp_path: Path) -> None:
    """Lightning writes tuples and enumerations so; none of them is made."""
    text = (
        "\ufefflr: 0.1\nbetas: !!python/tuple [0.9, 0.99]\nseed: 3\n"
        "kind: !!python/object/apply:os.system [exit]\nwhat: !!python/name:builtins.print ''\n"
    )
    run = tmp_path / "lstm" / "version_0"
    run.mkdir(parents=True)
    (run / "hparams.yaml").write_text(text)
    (run / "metrics.csv").write_text("step,acc\n1,0.5\n")
    (only,) = read_sources([str(tmp_path)]).runs
    assert only.params == {"lr": 0.1, "betas": [0.9, 0.99], "seed": 3, "kind": ["exit"], "what": ""}
    assert only.seed == 3


@pytest.mark.parametrize(("end", "last"), [("", 0.5), ("\n", 0.6)])
def test_a_torn_row_of_a_table_is_left_out(tmp_path: Path, end: str, last: float) -> None:
    (run,) = found_in(tmp_path, "metrics.csv", f"step,acc,loss\n1,0.5,2\n2,0.6{end}").runs
    assert run.metrics["acc"].value == last


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"loss": [0.9, 0.8, 0.7, 0.6], "acc": [0.1, 0.2]}, {"loss": (0.6, 3), "acc": (0.2, 3)}),
        ({"acc": [0.1, 0.2], "loss": [0.9, 0.8, 0.7]}, {"loss": (0.7, 2), "acc": (0.2, 1)}),
        ({"step": [10, 20, 30], "loss": [3, 2, 1], "acc": [0.5]}, {"loss": (1.0, 30), "acc": (0.5, 30)}),
        ({"loss": [3, 2], "acc": []}, {"loss": (2.0, 1)}),
        ({"loss": [3, 2], "test_acc": 0.7}, {"loss": (2.0, 1), "test_acc": (0.7, 1)}),
        ({"loss": [3, None], "acc": [float("nan"), 0.5]}, {"loss": (3.0, 0), "acc": (0.5, 1)}),
        ({"val": {"loss": [3, 2]}}, {"val.loss": (2.0, 1)}),
        ([{"step": 1, "val": {"loss": 3}}], {"val.loss": (3.0, 1)}),
        ({"loss": 0.5, "step": 7}, {"loss": (0.5, 7)}),
        ({"9": {"loss": 3}, "10": {"loss": 2}}, {"loss": (2.0, 10)}),
    ],
)
def test_each_column_of_a_history_by_itself(
    tmp_path: Path, content: Any, expected: dict[str, tuple[float, int]]
) -> None:
    (run,) = found_in(tmp_path, "metrics.json", json.dumps(content)).runs
    assert {name: (each.value, each.step) for name, each in run.metrics.items()} == expected


def test_every_line_has_its_number(tmp_path: Path) -> None:
    (tmp_path / "x").write_text('\n{"a": 1}\n\n[2]\n{"a"')
    assert json_lines(tmp_path / "x") == (
        [(2, {"a": 1}), (4, [2])],
        (f"{tmp_path}/x: line 5 was cut off and is left out",),
    )


@pytest.mark.parametrize(
    "text",
    [
        "step;acc;loss\n1;0.5;2\n2;0.75;1\n",
        "step;acc;loss\n1;0,5;2\n2;0,75;1\n",
        "step\tacc\tloss\n1\t0.5\t2\n2\t0.75\t1\n",
    ],
)
def test_metrics_with_another_separator_than_the_comma(tmp_path: Path, text: str) -> None:
    """Keras' CSVLogger takes one; a decimal comma needs one."""
    (run,) = found_in(tmp_path, "metrics.csv", text).runs
    assert {name: each.value for name, each in run.metrics.items()} == {"acc": 0.75, "loss": 1}
