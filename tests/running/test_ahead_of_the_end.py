"""Replicates that idle workers begin before the search is over are those that would have been trained after it."""

import signal
from pathlib import Path

import pytest

from hpsearch.experiment.layout import BEST
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from tests.logs import read_log
from tests.running.sessions import Terminal, count, essence
from tests.toy_spaces import write_space

GOOD = "{data.trouble: none, model.start: 0.5, model.width: 4, train.learning_rate: 0.5, train.optimizer: adamw}"
POOR = "{data.trouble: wait, model.start: 0, model.width: 1, train.learning_rate: 1e-3, train.optimizer: adamw}"


def write_tail(folder: Path) -> Path:
    """Write a space of two trials, the second of which is poor and waits for the file `go`."""
    return write_space(
        folder,
        trials=2,
        workers=2,
        data=f"data: {{trouble: {{choice: [none, wait]}}, marker: {folder / 'go'}}}",
        more=f"start: [{GOOD}, {POOR}]\nconfirm: {{top: 1, seeds: 3}}",
    )


@pytest.mark.slow
def test_what_was_begun_ahead_ends_as_if_it_had_not_been(terminal: Terminal) -> None:
    path = write_tail(terminal.folder)
    command = terminal.start(in_process=False)
    terminal.until(lambda: list(terminal.experiment.glob(f"confirm/0000/*/{BEST}")), command)
    (terminal.folder / "go").touch()
    assert command.wait() == 0, command.output
    events = read_log(terminal.experiment / "log.jsonl")
    [over] = [event["time"] for event in events if event["event"] == "outcome" and event["run"] == "trials/0001"]
    trained = [(terminal.experiment / f"confirm/0000/seed-{seed:03d}" / BEST).stat().st_mtime for seed in range(3)]
    assert min(trained) < over
    assert all(event["time"] >= over for event in events if event.get("run", "").startswith("confirm"))
    whole = run(load_space(path), folder=terminal.folder / "whole", options=RunOptions(in_process=True))
    assert essence(terminal.experiment)["runs"] == essence(Path(whole.record.folder))["runs"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_stopped_while_replicates_run_ahead_it_goes_on_to_the_same_end(number: int, terminal: Terminal) -> None:
    path = write_tail(terminal.folder)
    command = terminal.start(in_process=False)
    terminal.until(lambda: list(terminal.experiment.glob(f"confirm/0000/*/{BEST}")), command)
    assert count("outcome", 1)(terminal.events)
    assert not count("outcome", 2)(terminal.events)
    command.signal(number)
    (terminal.folder / "go").touch()
    command.wait()
    terminal.wait_until_alone()
    terminal.run(in_process=False)
    whole = run(load_space(path), folder=terminal.folder / "whole", options=RunOptions(in_process=True))
    assert essence(terminal.experiment)["runs"] == essence(Path(whole.record.folder))["runs"]
