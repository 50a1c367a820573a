"""A run that was begun anew, or went on from a checkpoint: the end of its newest attempt counts."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.tensorboard import SummaryWriter

from hpsearch.readers import Wanted
from hpsearch.readers.measurements import Logged
from hpsearch.readers.shelf import read_sources
from hpsearch.records import FinishedRun, Measurement

FIRST = [(1, 0.1), (2, 0.2), (3, 0.9), (4, 0.95)]
AGAIN = [(2, 0.3), (3, 0.4)]
"""From the checkpoint of step 1 on."""
KEPT = [(1, 0.1), (2, 0.3), (3, 0.4)]


def only(folder: Path, *, attempts: bool = False) -> FinishedRun:
    found = read_sources([str(folder)])
    said = "the steps of acc go back to 2: the newest attempt counts, from there on"
    assert [each.partition(": ")[2] for each in found.warnings] == [said] * attempts
    (run,) = found.runs
    return run


def assert_kept(run: FinishedRun, metric: str = "acc") -> None:
    assert run.metrics[metric].value == pytest.approx(0.4)
    assert (run.metrics[metric].step, run.steps) == (3, 3)
    assert list(run.histories[metric].steps) == [step for step, _ in KEPT]
    assert list(run.histories[metric].values) == pytest.approx([value for _, value in KEPT])


def test_event_files_of_two_attempts(tmp_path: Path) -> None:
    for suffix, points in ((".1", FIRST), (".2", AGAIN)):
        with SummaryWriter(str(tmp_path / "resnet_seed_1"), filename_suffix=suffix) as writer:
            for step, value in points:
                writer.add_scalar("acc", value, step)
    assert_kept(only(tmp_path, attempts=True))


def test_what_add_hparams_writes_beside_a_run_is_no_attempt(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path / "resnet_seed_1")) as writer:
        for step, value in KEPT:
            writer.add_scalar("acc", value, step)
        writer.add_hparams({"lr": 0.1}, {"acc": 0.7, "best": 0.8})
    run = only(tmp_path)
    assert_kept(run)
    assert run.metrics["best"].value == pytest.approx(0.8)


@pytest.mark.parametrize("name", ["metrics.jsonl", "metrics.csv", "metrics.json"])
def test_a_log_that_goes_on(tmp_path: Path, name: str) -> None:
    rows = [{"step": step, "acc": value} for step, value in (*FIRST, *AGAIN)]
    texts = {
        "metrics.jsonl": "\n".join(map(json.dumps, rows)),
        "metrics.csv": "step,acc\n" + "".join(f"{row['step']},{row['acc']}\n" for row in rows),
        "metrics.json": json.dumps(rows),
    }
    (tmp_path / "seed_1").mkdir()
    (tmp_path / "seed_1" / name).write_text(texts[name])
    assert_kept(only(tmp_path, attempts=True))


def test_a_trial_of_rays_that_was_restored(tmp_path: Path) -> None:
    trial = tmp_path / "mine" / "train_1"
    trial.mkdir(parents=True)
    (trial / "params.json").write_text("{}")
    rows = [{"training_iteration": step, "acc": value} for step, value in (*FIRST, *AGAIN)]
    (trial / "result.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert_kept(only(tmp_path, attempts=True))


def test_a_file_with_the_newest_row_first_is_no_row_of_attempts(tmp_path: Path) -> None:
    (tmp_path / "seed_1").mkdir()
    (tmp_path / "seed_1" / "metrics.csv").write_text("step,acc\n3,0.4\n2,0.3\n1,0.1\n")
    assert_kept(only(tmp_path))


def test_rows_of_epochs_between_rows_of_steps_are_no_attempts(tmp_path: Path) -> None:
    """Steps and epochs count differently: a row without a step stands at the step before it."""
    (tmp_path / "seed_1").mkdir()
    rows = [{"step": 100, "loss": 3.0}, {"epoch": 1, "acc": 0.5}, {"step": 200, "loss": 2.0}, {"epoch": 2, "acc": 0.6}]
    (tmp_path / "seed_1" / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run = only(tmp_path)
    assert run.metrics == {"loss": Measurement(2.0, 200), "acc": Measurement(0.6, 200)}


ATTEMPTS = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 8)), min_size=1, max_size=5)


@given(ATTEMPTS)
def test_the_last_attempt_is_whole_and_nothing_lies_behind_it(attempts: list[tuple[int, int]]) -> None:
    """Each attempt is (first step, number of steps); a longer one at the end tells it from a file turned round."""
    logged = Logged(in_time=True)
    attempts = [*attempts, (5, 3)]
    for number, (begin, length) in enumerate(attempts):
        for step in range(begin, begin + length):
            logged.add("loss", step, number)
    series = logged.histories(Wanted())["loss"]
    steps = list(series.steps)
    assert steps == sorted(steps)
    assert logged.steps == 7
    assert logged.metrics() == {"loss": Measurement(float(len(attempts) - 1), 7)}
    newest = [value for step, value in zip(steps, series.values, strict=True) if step >= 5]
    assert newest[-3:] == [len(attempts) - 1] * 3
