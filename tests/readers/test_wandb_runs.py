"""Offline runs of Weights & Biases: ends, summaries, sweeps and resumed runs, in files of its own format."""

import json
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from wandb.proto.wandb_internal_pb2 import Record

from hpsearch.readers.shelf import read_sources
from hpsearch.records import Measurement, Outcome


def record(kind: str, **values: Any) -> Record:
    """Return a record: a row of the history, an update of the summary, or an end with its code."""
    made = Record()
    if kind == "exit":
        made.exit.exit_code = values["code"]
        made.exit.SetInParent()
        return made
    items = made.history.item if kind == "history" else made.summary.update
    for name, value in values.items():
        item = items.add()
        item.nested_key.append(name)
        item.value_json = json.dumps(value)
    return made


def start(name: str, config: Mapping[str, Any], **fields: str) -> Record:
    made = Record()
    made.run.display_name = name
    for field, value in {"project": "p", **fields}.items():
        setattr(made.run, field, value)
    for key, value in config.items():
        item = made.run.config.update.add()
        item.key, item.value_json = key, json.dumps(value)
    return made


def write(folder: Path, time: int, identity: str, records: Sequence[Record]) -> None:
    """Write the file of a run, in the format of LevelDB's log."""
    run = folder / "wandb" / f"offline-run-20260101_{time:06d}-{identity}"
    run.mkdir(parents=True)
    payloads = [each.SerializeToString() for each in records]
    pieces = [struct.pack("<IHB", 0, len(payload), 1) + payload for payload in payloads]
    (run / f"run-{identity}.wandb").write_bytes(b":W&B\xfe\xe1\x00"[:7] + b"".join(pieces))


ROWS = [record("history", _step=step, acc=value) for step, value in enumerate((0.5, 0.9, 0.7))]
END = record("exit", code=0)


@pytest.mark.parametrize(
    ("ends", "outcome"),
    [([END], Outcome.COMPLETE), ([record("exit", code=255)], Outcome.FAILED), ([], None)],
)
def test_a_run_without_an_end_has_not_ended(tmp_path: Path, ends: list[Record], outcome: Outcome | None) -> None:
    write(tmp_path, 1, "a", [start("gru_seed_1", {}), *ROWS, *ends])
    (run,) = read_sources([str(tmp_path)]).runs
    assert run.outcome is outcome
    assert run.dropped == (None if ends else "it has not ended: its file holds no end")
    assert (run.experiment, run.seed, run.place[:2]) == ("gru", 1, ("p", tmp_path.name))


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (ROWS, Measurement(0.7, 2)),
        ([*ROWS, record("summary", acc=0.9)], Measurement(0.9)),  # run.summary["acc"] = best
        ([record("summary", acc=0.9), *ROWS], Measurement(0.7, 2)),  # the next row wrote over it
        ([*ROWS, record("summary", acc=0.7)], Measurement(0.7, 2)),  # as W&B repeats every row
        ([*ROWS, record("summary", acc="0.9"), record("summary", acc=True)], Measurement(0.7, 2)),
    ],
)
def test_the_summary_is_what_wandb_states(tmp_path: Path, records: list[Record], expected: Measurement) -> None:
    write(tmp_path, 1, "a", [start("gru", {}), *records, END])
    (run,) = read_sources([str(tmp_path)]).runs
    assert run.metrics["acc"] == expected
    assert list(run.histories["acc"].values) == [0.5, 0.9, 0.7]


def test_the_newest_attempt_of_a_resumed_run_counts(tmp_path: Path) -> None:
    write(tmp_path, 1, "a", [start("gru", {"seed": 1}), *ROWS, END])
    write(tmp_path, 2, "b", [start("gru", {"seed": 2}), *ROWS, END])
    write(tmp_path, 3, "a", [start("gru", {"seed": 1}), record("history", _step=3, acc=0.8), END])
    runs = read_sources([str(tmp_path)]).runs
    assert [(run.seed, run.outcome) for run in runs] == [
        (1, None),
        (2, Outcome.COMPLETE),
        (1, Outcome.COMPLETE),
    ]
    assert runs[0].dropped == "it was resumed, and its newest attempt counts"
    assert runs[2].metrics["acc"].value == 0.8


@pytest.mark.parametrize(
    ("configs", "search"),
    [
        ([{"lr": rate, "seed": 42} for rate in (0.1, 0.2)], True),
        ([{"lr": rate} for rate in (0.1, 0.2)], True),
        ([{"lr": 0.1, "seed": seed} for seed in (1, 2)], False),
    ],
)
def test_a_sweep_is_a_search_unless_it_goes_over_seeds(
    tmp_path: Path, configs: list[dict[str, Any]], search: bool
) -> None:
    for time, config in enumerate(configs):
        write(tmp_path, time, f"r{time}", [start(f"eager-{time}", config, sweep_id="s1"), *ROWS, END])
    runs = read_sources([str(tmp_path)]).runs
    assert [(run.experiment, run.search is not None) for run in runs] == [("s1", search)] * 2
    assert [run.seed for run in runs] == [None if search else config["seed"] for config in configs]


def test_two_projects_and_folders_of_hydra(tmp_path: Path) -> None:
    for folder, project in (("a", "p"), ("b", "p"), ("2026-01-01/12-00-00", "q"), ("2026-01-01/12-00-01", "q")):
        write(tmp_path / folder, 1, "x", [start("gru", {}, project=project), *ROWS, END])
    runs = read_sources([str(tmp_path)]).runs
    assert sorted(run.place[:2] for run in runs) == [
        ("p", "a"),
        ("p", "b"),
        ("q", tmp_path.name),
        ("q", tmp_path.name),
    ]


KILLED = """
import os, signal, sys
import wandb

settings = wandb.Settings(x_service_wait=200)  # seconds for its own process to start, on a machine that others use
run = wandb.init(project="p", dir=sys.argv[1], name="gru_seed_3", mode="offline", settings=settings)
for step in range(4000):
    run.log({"acc": 0.5})
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_run_that_was_really_killed(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, capture_output=True, timeout=300)
    (run,) = read_sources([str(tmp_path)]).runs
    assert (run.seed, run.outcome) == (3, None)
