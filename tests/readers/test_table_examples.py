"""Tables with a row for each test example of each run."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpsearch.api.compare import compare
from hpsearch.comparing.statistics.crossed import Population, crossed
from hpsearch.readers import Wanted
from hpsearch.readers.table import read
from hpsearch.readers.table_examples import written_by_program
from hpsearch.records import ExampleScores


def _rows(seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    rows = [
        {"experiment": method, "seed": number, "example": f"e{place}", "cluster": f"c{place // 3}", "accuracy": score}
        for shift, method in ((0.5, "ours"), (0.0, "theirs"))
        for number in range(4)
        for place, score in enumerate(shift + generator.normal(size=12).round(6))
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=1)  # in no order


def _write(frame: pd.DataFrame, path: Path, form: str) -> Path:
    if form == "parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False, sep=";", decimal=",") if form == "comma" else frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("form", ["csv", "comma", "parquet"])
def test_a_run_is_the_mean_of_its_examples_and_keeps_them(form: str, tmp_path: Path) -> None:
    frame = _rows()
    path = _write(frame, tmp_path / f"scores.{'parquet' if form == 'parquet' else 'csv'}", form)
    runs = {(run.experiment, str(run.seed)): run for run in read(path, Wanted()).runs}
    assert len(runs) == 8
    for (method, seed), rows in frame.groupby(["experiment", "seed"]):
        run = runs[method, str(seed)]
        assert run.metrics["accuracy"].value == pytest.approx(rows["accuracy"].mean())
        assert run.by_example is not None
        assert run.by_example.names == tuple(rows["example"])
        assert run.by_example.values["accuracy"] == pytest.approx(tuple(rows["accuracy"]))
        assert run.by_example.clusters == tuple(rows["cluster"])
        assert not run.params

    tables = [
        frame[frame["experiment"] == method].pivot_table(index="seed", columns="example", values="accuracy")
        for method in ("ours", "theirs")
    ]
    numbers = np.unique([int(name[1:]) // 3 for name in tables[0].columns], return_inverse=True)[1]
    expected = crossed(*(table.to_numpy() for table in tables), clusters=numbers)
    (pair,) = compare(path, metric="accuracy").pairs
    assert pair.over_examples is not None
    assert pair.over_examples.populations[Population.BOTH].ci95 == pytest.approx(expected.interval(Population.BOTH))


def test_a_column_that_tells_no_rows_apart_is_like_any_other(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"experiment": ["a", "a", "b"], "seed": [0, 1, 0], "example": ["x", "x", "x"], "score": [1, 2, 3]}
    )
    runs = read(_write(frame, tmp_path / "t.csv", "csv"), Wanted()).runs
    assert [run.by_example for run in runs] == [None, None, None]
    assert runs[0].params == {"example": "x"}


def test_a_program_writes_them_to_the_file_that_its_space_names(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"config": {"metrics": {"pattern": "x", "examples": "scores.csv"}}}')
    assert written_by_program(tmp_path, {"test/accuracy"}) is None  # it wrote none
    (tmp_path / "scores.csv").write_text("example,cluster,accuracy,other\nb,s1,1,3\na,s1,0,4\nc,s2,0.5,5\n")
    found = written_by_program(tmp_path, {"test/accuracy", "test/loss"})
    assert found == ExampleScores(("b", "a", "c"), {"test/accuracy": (1.0, 0.0, 0.5)}, ("s1", "s1", "s2"))
    (tmp_path / "scores.csv").write_text("example,accuracy\na,1\na,0\n")  # nothing tells these apart
    assert written_by_program(tmp_path, {"test/accuracy"}) is None
    (tmp_path / "config.json").write_text('{"config": {"metrics": {"pattern": "x"}}}')
    assert written_by_program(tmp_path, {"test/accuracy"}) is None
