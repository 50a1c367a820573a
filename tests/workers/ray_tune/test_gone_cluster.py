"""A cluster whose only node dies under a search: it is said, and nobody waits for it for ever."""

import os
import signal
from pathlib import Path

import pytest

from tests.running.sessions import Terminal, count
from tests.toy_spaces import write_space

pytestmark = pytest.mark.slow


def raylets(terminal: Terminal) -> list[int]:
    return [pid for pid in terminal.children() if Path(f"/proc/{pid}/comm").read_text().strip() == "raylet"]


def test_a_search_without_any_node_ends_with_a_sentence(terminal: Terminal) -> None:
    write_space(terminal.folder, trials=1, workers=1, epochs=2000, data="data: {seconds: 0.2}")
    command = terminal.start("--engine", "ray", "--no-confirm", in_process=False)
    terminal.wait_for(count("report", 2), command)
    (raylet,) = raylets(terminal)
    os.kill(raylet, signal.SIGKILL)
    assert command.wait() == 1, command.output
    assert "the Ray cluster has had no living node for 30 s" in command.output
    assert "Traceback" not in command.output
    terminal.wait_until_alone()
    (trial,) = terminal.record.trials
    assert trial.outcome is None
    assert len(trial.history) >= 2
    assert terminal.record.closing == "failed"
