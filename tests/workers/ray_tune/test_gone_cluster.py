"""A cluster whose only node dies under a search: said, with a bound, and nothing that was finished is lost."""

import os
import signal
from pathlib import Path

import pytest

from hpsearch.records import Outcome
from tests.running.sessions import Terminal, count
from tests.toy_spaces import write_space

pytestmark = pytest.mark.slow


def raylets(terminal: Terminal) -> list[int]:
    return [pid for pid in terminal.children() if Path(f"/proc/{pid}/comm").read_text().strip() == "raylet"]


def test_a_search_without_any_node_ends_with_a_sentence_and_goes_on_later(terminal: Terminal) -> None:
    write_space(terminal.folder, trials=2, workers=1, epochs=6, data="data: {seconds: 0.2}")
    command = terminal.start("--engine", "ray", "--no-confirm", in_process=False)
    terminal.wait_for(count("report", 2, "trials/0001"), command)
    (raylet,) = raylets(terminal)
    os.kill(raylet, signal.SIGKILL)
    assert command.wait() == 1, command.output
    assert "the Ray cluster has had no living node for 30 s" in command.output
    assert "Traceback" not in command.output
    terminal.wait_until_alone()
    finished = terminal.record.trials[0]
    assert finished.outcome is Outcome.COMPLETE
    terminal.run("--no-confirm")
    assert terminal.record.trials[0] == finished
    assert [trial.outcome for trial in terminal.record.trials] == [Outcome.COMPLETE] * 2
