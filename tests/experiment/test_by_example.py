"""Scores by example as a file."""

from pathlib import Path

import pytest

from hpsearch.experiment.by_example import read_by_example, write_by_example
from hpsearch.experiment.layout import BY_EXAMPLE
from hpsearch.records import ExampleScores


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read_by_example(tmp_path) is None
    values = {"test/accuracy": [1.0, 0.0, 1.0], "test/macro_f1": [0.1 + 0.2, 1e-300, -3.0]}
    write_by_example(tmp_path, values, [7, 7, 9])
    expected = {name: tuple(own) for name, own in values.items()}
    assert read_by_example(tmp_path) == ExampleScores(("0", "1", "2"), expected, ("7", "7", "9"))
    write_by_example(tmp_path, values, None)
    assert read_by_example(tmp_path) == ExampleScores(("0", "1", "2"), expected)
    content = (tmp_path / BY_EXAMPLE).read_bytes()
    (tmp_path / BY_EXAMPLE).write_bytes(content[: len(content) // 2])
    assert read_by_example(tmp_path) is None


@pytest.mark.parametrize(
    "wrong", [{"test/accuracy": [1.0, None]}, {"test/accuracy": ["1", "high"]}, {"cluster": [1, None]}], ids=str
)
def test_a_table_with_a_hole_or_a_text_has_no_scores(wrong: dict[str, list[object]], tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pa.table({"example": [0, 1], "test/accuracy": [1.0, 0.0], **wrong}), tmp_path / BY_EXAMPLE)
    assert read_by_example(tmp_path) is None
