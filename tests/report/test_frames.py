from pathlib import Path

import pandas as pd
import pytest

from hpsearch.errors import HpsearchError
from hpsearch.records import ExperimentRecord
from hpsearch.report.tables import export_table, replicates_frame, trials_frame


def test_trials(record: ExperimentRecord) -> None:
    frame = trials_frame(record)
    columns = ["number", "outcome", "reason", "value", "step", "seconds", "seed", "attempts"]
    assert list(frame.columns[:8]) == columns
    assert set(frame.columns[8:]) == {f"params.{path}" for trial in record.trials for path in trial.params}
    assert len(frame) == 31
    best = frame.loc[frame.query("outcome == 'complete'")["value"].idxmax()]
    assert record.best is not None
    assert best["number"] == record.best.number
    assert pd.isna(frame.loc[30, "outcome"])
    learned = frame["params.model.position"] == "learned"
    assert (frame["params.model.position.rope.base"].isna() == learned).all()


def test_replicates_and_history(record: ExperimentRecord) -> None:
    replicates = replicates_frame(record)
    assert list(replicates["test/auc"].dropna()) == [0.8, 0.9]
    assert list(replicates["replicate"]) == [0, 1, 2]


def test_an_empty_experiment_has_empty_tables_with_their_columns() -> None:
    from hpsearch.records import Goal, Monitor

    empty = ExperimentRecord("e", "", "f", Monitor("val/auc", Goal.MAXIMIZE), "best", ())
    for frame in (trials_frame(empty), replicates_frame(empty)):
        assert len(frame) == 0
        assert {"number", "value"} <= set(frame.columns)


def test_csv_and_parquet_come_back_the_same(record: ExperimentRecord, tmp_path: Path) -> None:
    export_table(record, tmp_path / "trials.csv")
    export_table(record, tmp_path / "trials.parquet")
    comma, parquet = pd.read_csv(tmp_path / "trials.csv"), pd.read_parquet(tmp_path / "trials.parquet")
    ours = trials_frame(record)
    for name in ("number", "value", "params.train.learning_rate"):
        pd.testing.assert_series_equal(comma[name], ours[name], check_exact=True)
        pd.testing.assert_series_equal(parquet[name], ours[name], check_exact=True)
    assert parquet["params.model.kernels"][0] == "[3,3]"
    assert list(parquet.columns) == list(ours.columns) == list(comma.columns)


@pytest.mark.parametrize(
    ("name", "message"),
    [("trials.xlsx", "unknown table format 'xlsx'; known: csv, parquet"), ("no/folder/a.csv", "does not exist")],
)
def test_what_cannot_be_written_is_refused(record: ExperimentRecord, tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(HpsearchError, match=message):
        export_table(record, tmp_path / name)


def test_a_format_that_is_named_goes_before_the_ending(record: ExperimentRecord, tmp_path: Path) -> None:
    export_table(record, tmp_path / "trials.txt", "csv")
    assert len(pd.read_csv(tmp_path / "trials.txt")) == 31


def test_an_existing_table_is_kept(record: ExperimentRecord, tmp_path: Path) -> None:
    path = tmp_path / "trials.csv"
    path.write_text("mine")
    with pytest.raises(HpsearchError, match="exists"):
        export_table(record, path)
    assert path.read_text() == "mine"
