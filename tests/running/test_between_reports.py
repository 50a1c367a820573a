"""Between two reports: what is shown of a job, and that it can be stopped there and go on (design.md 6.10)."""

import os
import signal
import time
from pathlib import Path

import pytest

from hpsearch.console.watching import look
from hpsearch.experiment.activity import locked
from hpsearch.experiment.events import Event, MomentNotice, Notice
from hpsearch.experiment.files import write_json
from hpsearch.experiment.layout import ALIVE, CHECKPOINT, LOG, PROGRESS
from hpsearch.records import Moment, Outcome
from hpsearch.running.runner import RunOptions, run
from hpsearch.running.telling import Teller
from hpsearch.training.checkpoint import load
from hpsearch.workers.coordinator import StopReason
from tests.toy_spaces import toy_space


class Watcher:
    """Hears of moments, and presses Ctrl-C when one comes for which `stop` holds."""

    def __init__(self, stop: str = "") -> None:
        self.stop = stop
        self.moments: list[tuple[str, Moment]] = []

    def observe(self, event: Event | Notice) -> None:
        if isinstance(event, MomentNotice):
            self.moments.append((event.run, event.moment))
            if self.stop == (f"{event.run} {event.moment.preparing or event.moment.done}"):
                self.stop = ""
                signal.raise_signal(signal.SIGINT)


def searched(folder: Path, watcher: Watcher, **settings: object):
    space = toy_space(folder, trials=3, more="confirm: {seeds: 2}", **settings)
    options = RunOptions(in_process=True, observers=(watcher,), told_every=0.0)
    return run(space, folder=folder / "found", options=options)


def essence(folder: Path) -> dict[str, bytes]:
    """Return the weights of all runs."""
    found = {}
    for path in sorted(folder.rglob(CHECKPOINT)):
        content = load(path)
        evaluations = [(each["step"], each["metrics"]["val/loss"]) for each in content["progress"]["evaluations"]]
        weights = b"".join(tensor.numpy().tobytes() for tensor in content["model"].values())
        found[path.parent.relative_to(folder).as_posix()] = (weights, evaluations)
    return found


def test_data_and_steps_are_told_and_the_log_knows_nothing_of_them(tmp_path: Path) -> None:
    watcher = Watcher()
    searched(tmp_path, watcher)
    said = [moment.preparing for run, moment in watcher.moments if moment.preparing]
    assert said[:2] == ["train data", "val data"]
    steps = [moment for run, moment in watcher.moments if run == "trials/0001" and not moment.preparing]
    assert [moment.done for moment in steps] == [1, 3, 5]  # the others are evaluations: two steps are an epoch
    assert steps[-1].total == 6
    assert b'"moment"' not in (tmp_path / "found" / LOG).read_bytes()
    assert not list((tmp_path / "found").rglob(PROGRESS))


@pytest.mark.parametrize(
    ("stop", "run_name", "step"),
    [
        ("trials/0000 train data", "trials/0000", None),
        ("trials/0001 1", "trials/0001", 3),
        ("trials/0002 3", "trials/0002", 5),
        ("confirm/0000/seed-001 1", "", None),
    ],
)
def test_ctrl_c_is_heard_between_two_reports(stop: str, run_name: str, step: int | None, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    searched(whole, Watcher())
    if not run_name:
        winner = next(run for run in essence(whole / "found") if run.startswith("confirm"))
        stop, run_name, step = f"{winner} 1", winner, 3
    result = searched(broken, Watcher(stop))
    assert result.why is StopReason.INTERRUPTED
    checkpoint = broken / "found" / run_name / CHECKPOINT
    assert (load(checkpoint)["progress"]["step"] if checkpoint.exists() else None) in (step, step and step - 2)
    assert searched(broken, Watcher()).why is StopReason.FINISHED
    assert essence(broken / "found") == essence(whole / "found")


def test_another_terminal_reads_it_from_a_file(tmp_path: Path) -> None:
    result = searched(tmp_path, Watcher("trials/0001 1"))
    (trial,) = [each for each in result.record.trials if each.outcome is not Outcome.COMPLETE]
    folder = tmp_path / "found"
    assert look(folder, trial.number)[0].now == ""
    write_json(folder / trial.run / PROGRESS, {"done": 7, "total": 900, "loss": 0.25})
    assert look(folder, trial.number)[0].now == ""  # nobody runs it
    with locked(folder):
        assert look(folder, trial.number)[0].now == "step 7/900, loss 0.25"
        (folder / trial.run / ALIVE).touch()
        assert look(folder, trial.number)[0].now == "step 7/900, loss 0.25"
        os.utime(folder / trial.run / ALIVE, (time.time() - 125,) * 2)
        assert look(folder, trial.number)[0].now.startswith("no sign of life for 2 min")
        (folder / trial.run / ALIVE).unlink()
        (folder / trial.run / PROGRESS).write_text("torn")
        assert look(folder, trial.number)[0].now == ""


def test_the_file_is_written_seldom_and_goes_with_the_job(tmp_path: Path) -> None:
    now, written = [0.0], []
    teller = Teller(lambda told: written.append((tmp_path / PROGRESS).exists()), tmp_path, clock=lambda: now[0])  # type: ignore[arg-type, func-returns-value]
    for second in range(8):
        now[0] = float(second)
        teller(Moment(second, 10))
    assert written == [False, False, False, True, True, True, True, True]
    assert (tmp_path / PROGRESS).read_text().count('"done": 6') == 1
    teller.close()
    assert not (tmp_path / PROGRESS).exists()


@pytest.mark.parametrize("pruner", ["none", "{halving: {minimum: 1, reduction: 2}}"])
def test_a_search_whose_trainings_are_counted_in_steps(pruner: str, tmp_path: Path) -> None:
    """Rungs count evaluations: those of 16 steps, evaluated every 4, are at the steps 4, 8 and 16."""
    length = "null\n  steps: 16\n  evaluate: {steps: 4}"
    space = toy_space(tmp_path, trials=6, pruner=pruner, epochs=length)  # type: ignore[arg-type]
    result = run(space, folder=tmp_path / "found", options=RunOptions(in_process=True))
    assert result.record.unit == "step"
    reached = {tuple(step for step, _ in trial.history) for trial in result.record.trials}
    assert (4, 8, 12, 16) in reached
    assert reached <= {(4,), (4, 8), (4, 8, 12, 16)}
    assert (len(reached) > 1) == (pruner != "none")
    view, _ = look(tmp_path / "found")
    assert (view.unit, view.metric.steps[-1]) == ("step", 16)
