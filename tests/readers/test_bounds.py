"""Whatever stands where a reader looks, it ends soon, in little memory, with a sentence or with runs."""

import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from hpsearch.errors import HpsearchError, SpaceError
from hpsearch.experiment.log import read_past
from hpsearch.readers import text_files
from hpsearch.readers.shelf import read_sources
from hpsearch.space.located_yaml import read_file

Make = Callable[[Path], object]

ALIASES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{level}: &a{level} {{{', '.join(f'k{each}: *a{level - 1}' for each in range(9))}}}\n" for level in range(1, 20)
)
DEEP = {
    "config.yaml": ["[" * 50_000, "- " * 50_000 + "x", "? " * 20_000, "{a: " * 30_000, ALIASES, "a: &a [*a]\n"],
    "config.json": ["[" * 100_000, '{"a":' * 100_000, '{"lr": ' + "9" * 100_000 + "}", '{"seed": 1e999}'],
    "metrics.json": ["[" * 100_000, '{"loss": ' + "9" * 5000 + "}", '{"1": {"loss": 1}, "' + "1" * 5000 + '": {}}'],
    "metrics.jsonl": ["[" * 100_000, '{"loss": 1}\n' + "{" * 100_000, '{"step": 1e400, "loss": 1}'],
    "meta.yaml": ["[" * 50_000, "run_id: &a [*a]", "experiment_id: " + "- " * 20_000],
    "trainer_state.json": ["[" * 100_000, '{"log_history": [{"step": 1e400, "eval_loss": 1}], "global_step": "x"}'],
    "params.json": ["[" * 100_000],
}
"""Texts by the file in a run's folder that holds them."""


PROGRAM = """
import resource, sys
from hpsearch.errors import HpsearchError
from hpsearch.readers.shelf import read_sources
resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
for run in sys.argv[1:]:
    print(run, flush=True)
    try:
        read_sources([run])
    except HpsearchError as error:
        print(error, flush=True)
"""


def test_nesting_and_numbers_without_bounds(tmp_path: Path) -> None:
    """In a process of its own: a parser in C that recurses too deeply ends its process."""
    runs = []
    for name, texts in DEEP.items():
        for number, text in enumerate(texts):
            run = tmp_path / f"{name}-{number}"
            run.mkdir()
            (run / ("metrics.csv" if name.startswith("config") else "result.json")).write_text("loss\n1\n")
            (run / name).write_text(text)
            runs.append(str(run))
    done = subprocess.run([sys.executable, "-c", PROGRAM, *runs], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout[-500:], done.stderr[-2000:])
    assert [line for line in done.stdout.splitlines() if line in runs] == runs


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path is short
        try:
            opened.bind(path.name)
        finally:
            os.chdir(here)


IN_PLACE: dict[str, Make] = {
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a socket": a_socket,
    "a folder": Path.mkdir,
    "a loop": lambda path: path.symlink_to(path.name),
}
NAMES = ["runs.csv", "runs.parquet", "journal.log", "mlflow.db", "run/metrics.jsonl", "run/events.out.tfevents.1"]
NAMES += ["run/run-1.wandb", "run/trainer_state.json", "run/meta.yaml", "run/config.yaml", "ray/a/params.json"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", IN_PLACE)
def test_what_is_no_file_is_never_waited_for(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / "root" / name
    path.parent.mkdir(parents=True)
    if name == "run/config.yaml":
        (path.parent / "metrics.csv").write_text("loss\n1\n")
    if name.startswith("ray"):
        (path.parent / "result.json").write_text('{"loss": 1}\n')
    IN_PLACE[kind](path)
    said = []
    for source in (path, tmp_path / "root"):
        try:
            read_sources([str(source)])
        except HpsearchError as error:
            said.append(str(error))
    assert all(str(tmp_path) in each for each in said)


@pytest.mark.parametrize("kind", IN_PLACE)
def test_the_same_in_place_of_a_log_and_of_a_space(tmp_path: Path, kind: str) -> None:
    IN_PLACE[kind](tmp_path / "log.jsonl")
    with pytest.raises(OSError, match=r"pipe|folder|symbolic|No such device"):
        read_past(tmp_path / "log.jsonl")
    with pytest.raises(SpaceError, match=r"pipe|folder|symbolic|No such device"):
        read_file(tmp_path / "log.jsonl")


def test_many_columns_are_counted_before_they_are_compared(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"c{each}" for each in range(200_000)) + "\n" + ",".join(["1"] * 200_000) + "\n")
    with pytest.raises(HpsearchError, match=r"a row of 200,000 cells; tables of at most .* in 20,000 columns are read"):
        read_sources([str(path)])


@pytest.mark.parametrize("name", ["long.csv", "run/metrics.csv"])
def test_rows_are_read_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(text_files, "MOST_CELLS", 1000)
    (tmp_path / "run").mkdir()
    (tmp_path / name).write_text("seed,loss\n" + "1,2\n" * 600)
    with pytest.raises(HpsearchError, match="more than 1,000 cells"):
        read_sources([str((tmp_path / name) if name == "long.csv" else tmp_path / "run")])


@pytest.mark.parametrize("name", ["huge.csv", "huge.jsonl", "run/metrics.json", "run/run-1.wandb"])
def test_a_file_of_gigabytes_is_not_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "run").mkdir()
    with (tmp_path / name).open("wb") as file:
        file.truncate(3 << 30)  # holds nothing but zeros, which take no room
    with pytest.raises(HpsearchError, match=r"it has 3,221,225,472 bytes, and at most [\d,]+ are read"):
        read_sources([str((tmp_path / name) if "/" not in name else tmp_path / "run")])


def test_a_space_of_megabytes_is_not_parsed(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("# " + "x" * (2 << 20))
    with pytest.raises(SpaceError, match="at most 1,048,576 are read"):
        read_file(tmp_path / "x.yaml")


def test_a_parquet_table_that_would_unpack_to_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    pd.DataFrame({"loss": [0.0] * 30_000_000}).to_parquet(path, compression="zstd")
    assert path.stat().st_size < 1 << 20
    with pytest.raises(HpsearchError, match="30,000,000 rows of 1 columns"):
        read_sources([str(path)])


def test_a_locked_database_is_said_to_be_locked(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE runs (run_uuid)")
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(HpsearchError, match="is locked by another process"):
            read_sources([str(path)])


@pytest.mark.parametrize("columns", ["run_uuid", "run_uuid, key, value"])
def test_a_store_with_other_columns_is_said_with_the_database_s_words(tmp_path: Path, columns: str) -> None:
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        for table in ("runs", "experiments", "latest_metrics", "params", "tags"):
            connection.execute(f"CREATE TABLE {table} ({columns})")
    with pytest.raises(HpsearchError, match=r"cannot be read as mlflow: .* no such (column|table)"):
        read_sources([str(path)])


@pytest.mark.parametrize(
    "line",
    ['{"op_code": 99, "worker_id": "a"}', '{"op_code": 4, "worker_id": "a"}', '{"op_code": "x", "worker_id": 1}'],
)
def test_a_journal_with_operations_that_optuna_does_not_know(tmp_path: Path, line: str) -> None:
    (tmp_path / "journal.log").write_text(line + "\n")
    with pytest.raises(HpsearchError, match=r"journal\.log"):
        read_sources([str(tmp_path / "journal.log")])
