"""The checker sees each promise broken: in a folder that keeps all of them, one thing at a time is made wrong."""

import fcntl
import json
import os
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import pytest

from tests.faults.checker import (
    Expected,
    check_experiment,
    check_left_behind,
    check_mlflow,
    check_output,
    fold,
    read_log,
)

Lines = list[dict[str, Any]]
TRIALS = 3


def sealed(line: dict[str, Any]) -> bytes:
    text = json.dumps(line, separators=(",", ":")).encode()[:-1]
    return b'%s,"crc":"%08x"}\n' % (text, zlib.crc32(text))


def lines_of(number: int) -> Lines:
    run = f"trials/{number:04d}"
    report = {"event": "report", "run": run, "step": 1, "metric": number + 0.5}
    end = {"event": "outcome", "run": run, "outcome": "complete", "value": number + 0.5, "step": 1}
    return [{"event": "ask", "run": run, "number": number, "params": {"x": number}}, report, end]


@pytest.fixture
def lines() -> Lines:
    return [line for number in range(TRIALS) for line in lines_of(number)]


def write(folder: Path, lines: Lines) -> Path:
    (folder / "log.jsonl").write_bytes(b"".join(map(sealed, lines)))
    return folder


@pytest.fixture
def expected(lines: Lines, tmp_path_factory: pytest.TempPathFactory) -> Expected:
    whole = fold(read_log(write(tmp_path_factory.mktemp("whole"), lines) / "log.jsonl")[0])
    return Expected(
        value=lambda params, _: params["x"] + 0.5,
        relative=1e-9,
        trials=TRIALS,
        finished={("space", "trials/0001"): 1.5},
        whole={("space", run): found for run, found in whole.items()},
        last_step=1,
    )


def broken(folder: Path, expected: Expected) -> set[str]:
    return {finding.split(":")[0] for finding in check_experiment("space", folder, expected)}


def test_a_whole_experiment_breaks_nothing(tmp_path: Path, lines: Lines, expected: Expected) -> None:
    assert broken(write(tmp_path, lines), expected) == set()


def drop_an_outcome(lines: Lines) -> None:
    del lines[5]


def drop_a_trial(lines: Lines) -> None:
    del lines[3:6]


def lose_a_trial(lines: Lines) -> None:
    lines[5] |= {"outcome": "lost", "value": None}


def change_a_value(lines: Lines) -> None:
    lines[5]["value"] += 0.01


def change_a_report(lines: Lines) -> None:
    lines[4]["metric"] += 0.01


def ask_twice(lines: Lines) -> None:
    lines.append(lines[0])


def end_twice(lines: Lines) -> None:
    lines.append(lines[2])


def try_again_under_another_number(lines: Lines) -> None:
    lines[6]["params"] = lines[3]["params"]
    lines[7]["metric"] = lines[8]["value"] = 1.5


def leave_a_gap(lines: Lines) -> None:
    for line in lines[6:]:
        line["run"] = "trials/0007"


def propose_something_else(lines: Lines) -> None:
    lines[6]["params"] = {"x": 9}
    lines[7]["metric"] = lines[8]["value"] = 9.5


def count_an_earlier_step(lines: Lines) -> None:
    lines[8]["step"] = 0


@pytest.mark.parametrize(
    ("spoil", "promises"),
    [
        (drop_an_outcome, {"kept", "numbers"}),
        (drop_a_trial, {"kept", "numbers", "unbroken"}),
        (lose_a_trial, {"kept", "outcomes"}),
        (change_a_value, {"kept", "values"}),
        (change_a_report, {"values"}),
        (ask_twice, {"once"}),
        (end_twice, {"once"}),
        (try_again_under_another_number, {"once", "unbroken"}),
        (leave_a_gap, {"numbers", "unbroken"}),
        (propose_something_else, {"unbroken"}),
        (count_an_earlier_step, {"values"}),
    ],
)
def test_a_log_that_breaks_a_promise(
    spoil: Callable[[Lines], None], promises: set[str], lines: Lines, tmp_path: Path, expected: Expected
) -> None:
    spoil(lines)
    assert promises <= broken(write(tmp_path, lines), expected)


def test_what_was_damaged_may_cost_a_trial_and_no_more(tmp_path: Path, lines: Lines, expected: Expected) -> None:
    content = write(tmp_path, lines)
    log = content / "log.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"value":1.5', b'"value":1.4'))
    assert "log" in broken(tmp_path, expected)
    assert broken(tmp_path, replace(expected, damaged=1)) == set()
    log.write_bytes(log.read_bytes().replace(b'"value":2.5', b'"value":2.4'))
    assert "log" in broken(tmp_path, replace(expected, damaged=1))


def test_files_that_are_not_whole(tmp_path: Path, lines: Lines, expected: Expected) -> None:
    folder = write(tmp_path, lines)
    (folder / "metrics.jsonl").write_bytes(sealed({"step": 1}) + sealed({"step": 1}))
    assert broken(folder, expected) == {"files"}
    (folder / "metrics.jsonl").unlink()
    (folder / "config.json").write_text("{")
    assert broken(folder, expected) == {"files"}


@pytest.fixture
def store(tmp_path: Path, lines: Lines) -> Path:
    """An MLflow store with what the log says."""
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE runs (run_uuid, status, lifecycle_stage)")
        made.execute("CREATE TABLE tags (key, value, run_uuid)")
        made.execute("CREATE TABLE params (key, value, run_uuid)")
        made.execute("CREATE TABLE metrics (key, value, step, run_uuid)")
        made.execute("INSERT INTO tags VALUES ('hpsearch.folder', ?, 'all')", (str(tmp_path),))
        for number in range(TRIALS):
            made.execute("INSERT INTO runs VALUES (?, 'FINISHED', 'active')", (str(number),))
            made.execute("INSERT INTO tags VALUES ('hpsearch.run', ?, ?)", (f"trials/{number:04d}", str(number)))
            made.execute("INSERT INTO tags VALUES ('mlflow.parentRunId', 'all', ?)", (str(number),))
            made.execute("INSERT INTO params VALUES ('x', ?, ?)", (str(number), str(number)))
            made.execute("INSERT INTO metrics VALUES ('val/loss', ?, 1, ?)", (number + 0.5, str(number)))
        made.commit()
    write(tmp_path, lines)
    return path


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        ("SELECT 1", ""),
        ("UPDATE runs SET status = 'RUNNING' WHERE run_uuid = '1'", "RUNNING"),
        ("UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = '1'", "no run of trials/0001"),
        ("UPDATE params SET value = '7' WHERE run_uuid = '1'", "x=1"),
        ("UPDATE metrics SET value = 7 WHERE run_uuid = '1'", "7"),
        ("DELETE FROM metrics WHERE run_uuid = '1'", "{}"),
        ("UPDATE tags SET value = 'trials/0000' WHERE run_uuid = '1' AND key = 'hpsearch.run'", "two runs"),
    ],
)
def test_a_store_that_differs_from_the_log(
    spoil: str, told: str, store: Path, tmp_path: Path, expected: Expected
) -> None:
    with closing(sqlite3.connect(store)) as opened:
        opened.execute(spoil)
        opened.commit()
    found = " ".join(check_mlflow("space", tmp_path, store, expected))
    assert told in found
    assert bool(told) == bool(found)


def test_what_is_left_behind(tmp_path: Path) -> None:
    experiment, temporary = tmp_path / "experiments" / "space", tmp_path / "tmp"
    experiment.mkdir(parents=True)
    temporary.mkdir()
    (experiment / "lock").touch()
    assert list(check_left_behind(tmp_path, temporary, [experiment], [])) == []
    (experiment / ".config.json.7.tmp").touch()
    (temporary / "something").touch()
    with (experiment / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        found = list(check_left_behind(tmp_path, temporary, [experiment], [os.getpid()]))
    assert [each.split(":")[0] for each in found] == ["left"] * 4


def test_shared_memory_of_a_process_that_is_gone(tmp_path: Path) -> None:
    made = SharedMemory(f"test_checker_{os.getpid()}", create=True, size=1)
    try:
        found = list(check_left_behind(tmp_path, tmp_path, [], [], gone=[os.getpid()]))
    finally:
        made.close()
        made.unlink()
    assert [Path(each.split()[1]).name for each in found] == [made.name]


@pytest.mark.parametrize(
    ("output", "status", "told"),
    [
        ("trial 1 complete", 0, ""),
        ("hpsearch: No space left on device", 1, "status"),
        ("Traceback (most recent call last):\n  ...\nKeyError: 'x'", 0, "traceback"),
        ("trial 1", None, "hung"),
    ],
)
def test_how_a_session_ended(output: str, status: int | None, told: str) -> None:
    assert [each.split(":")[0] for each in check_output(output, status, frozenset({0}))] == ([told] if told else [])
