"""Tables in long and in wide form, and what is wrong with some."""

import math
from pathlib import Path

import pandas as pd
import pytest

from hpsearch.errors import DataError, HpsearchError
from hpsearch.readers.shelf import read_sources
from hpsearch.records import Outcome

LONG = """experiment,seed,status,accuracy,lr,note
ours,0,complete,0.91,0.1,a
ours,1,failed,nan,0.1,b
theirs,0,ok,0.88,0.2,c
"""


def written(tmp_path: Path, text: str, name: str = "results.csv") -> str:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_long_table_has_a_run_in_each_row(tmp_path: Path) -> None:
    runs = read_sources([written(tmp_path, LONG)]).runs
    assert [(run.experiment, run.seed, run.outcome) for run in runs] == [
        ("ours", 0, Outcome.COMPLETE),
        ("ours", 1, Outcome.FAILED),
        ("theirs", 0, Outcome.COMPLETE),
    ]
    assert runs[1].reason == "its status is 'failed'"
    assert runs[0].metrics["accuracy"].value == 0.91
    assert runs[0].params == {"lr": 0.1, "note": "a"}


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_the_other_forms_say_the_same(tmp_path: Path, ending: str) -> None:
    frame = pd.read_csv(written(tmp_path, LONG))
    path = tmp_path / f"table.{ending}"
    frame.to_parquet(path) if ending == "parquet" else frame.to_json(path, orient="records", lines=True)
    expected, found = read_sources([str(tmp_path / "results.csv")]).runs, read_sources([str(path)]).runs
    assert [(run.experiment, run.seed, run.outcome) for run in found] == [
        (run.experiment, run.seed, run.outcome) for run in expected
    ]


def test_rows_of_one_run_are_its_steps(tmp_path: Path) -> None:
    text = "method,fold,epoch,f1\na,0,1,0.5\na,0,2,0.6\na,1,1,0.4\na,1,2,0.3\n"
    runs = read_sources([written(tmp_path, text)]).runs
    assert [(run.fold, run.metrics["f1"].value, run.metrics["f1"].step) for run in runs] == [(0, 0.6, 2), (1, 0.3, 2)]
    assert list(runs[1].histories["f1"].values) == [0.4, 0.3]


def test_rows_of_one_epoch_are_runs_whatever_else_they_share(tmp_path: Path) -> None:
    text = "method,seed,lr,epoch,f1\na,0,0.1,5,0.5\na,0,0.2,5,0.6\n"
    runs = read_sources([written(tmp_path, text)]).runs
    assert [(run.params["lr"], run.steps, run.metrics["f1"].value) for run in runs] == [(0.1, 5, 0.5), (0.2, 5, 0.6)]


def test_a_text_among_numbers_is_named_and_its_run_does_not_count(tmp_path: Path) -> None:
    text = "method,seed,f1\na,0,0.5\na,1,-\nb,0,0.6\nb,1,0.93*\nb,2,nan\n"
    found = read_sources([written(tmp_path, text)])
    assert [run.run for run in found.runs if "f1" not in run.metrics] == ["a/1", "b/1"]
    assert math.isnan(found.runs[4].metrics["f1"].value)
    (warning,) = found.warnings
    assert warning.endswith(
        "column 'f1' holds cells that are not numbers, which do not count: '-' in row 2 (a/1), '0.93*' in row 4 (b/1)"
    )


def test_a_text_in_a_metric_that_is_not_asked_for_is_no_warning(tmp_path: Path) -> None:
    text = "method,seed,f1,loss\na,0,0.5,1.0\na,1,-,2.5\nb,0,0.6,3.0\n"
    path = written(tmp_path, text)
    assert read_sources([path], metric="loss").warnings == ()
    assert len(read_sources([path], metric="f1").warnings) == 1


def test_the_cell_that_is_no_number_is_named(tmp_path: Path) -> None:
    text = "method,seed,f1\na,0,0.5\na,1,0.6±0.1\nb,0,0.7 (0.1)\n"
    with pytest.raises(DataError, match=r"column 'f1' holds the text '0.6±0.1' in row 2"):
        read_sources([written(tmp_path, text)])


def test_trials_in_a_table_are_those_of_a_search(tmp_path: Path) -> None:
    runs = read_sources([written(tmp_path, "experiment,trial,loss\na,0,1.5\na,1,1.0\n")]).runs
    assert [run.trial for run in runs] == [0, 1]
    assert all(run.search is not None for run in runs)


def test_a_wide_table_has_a_method_in_each_column(tmp_path: Path) -> None:
    found = read_sources([written(tmp_path, "dataset,ours,theirs\niris,0.9,0.8\nwine,0.7,0.6\n")], wide="dataset")
    assert [(run.experiment, run.dataset, run.metrics["score"].value) for run in found.runs] == [
        ("ours", "iris", 0.9),
        ("theirs", "iris", 0.8),
        ("ours", "wine", 0.7),
        ("theirs", "wine", 0.6),
    ]
    assert found.main == ("score",)


@pytest.mark.parametrize(
    ("text", "wide", "says"),
    [
        ("", None, "results.csv is empty"),
        ("experiment,note\na,b\n", None, "has no column of numbers besides experiment"),
        ("dataset,ours\niris,0.9\n", "seeds", "unknown unit of a wide table 'seeds', did you mean 'seed'?"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, text: str, wide: str | None, says: str) -> None:
    with pytest.raises(HpsearchError, match=says.replace("?", r"\?")):
        read_sources([written(tmp_path, text)], wide=wide)


def test_sources_that_hold_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_sources([str(tmp_path / "nowhere")])
    with pytest.raises(
        DataError, match="holds no runs that hpsearch can read; it reads: hpsearch, hpsearch study, mlflow"
    ):
        read_sources([str(tmp_path)])


def test_a_learning_rate_is_a_parameter_where_a_row_is_a_training(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("method,seed,lr,accuracy\na,0,0.1,0.5\na,0,0.2,0.75\n")
    first, second = read_sources([str(tmp_path / "t.csv")]).runs
    assert [run.params["lr"] for run in (first, second)] == [0.1, 0.2]
    assert first.metrics.keys() == {"accuracy"}
    (tmp_path / "t.csv").write_text("method,seed,step,lr,accuracy\na,0,1,0.1,0.5\na,0,2,0.2,0.75\n")
    (run,) = read_sources([str(tmp_path / "t.csv")]).runs
    assert list(run.histories["lr"].values) == [0.1, 0.2]
    (tmp_path / "t.csv").write_text("method,seed,lr\na,0,0.1\n")
    assert read_sources([str(tmp_path / "t.csv")]).runs[0].metrics.keys() == {"lr"}
