"""Killed at any moment and run again, an experiment is the one that was never broken (DESIGN 6.2, 6.3)."""

from pathlib import Path

import pytest
from tests.engines.sessions import Terminal, check_files, essence, open_terminal
from tests.toy_spaces import write_space

SEARCH = {"sampler": "tpe", "pruner": "asha", "trials": 7, "epochs": 4, "more": "confirm: {top: 1, seeds: 2}"}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Terminal, int]:
    with open_terminal(tmp_path_factory.mktemp("unbroken")) as terminal:
        write_space(terminal.folder, **SEARCH)
        return terminal, terminal.run(moment=0).moments


def break_at(terminal: Terminal, moment: int) -> None:
    command = terminal.run(moment=moment, status=-9)
    assert terminal.experiment.is_dir() or moment < 50, command.output


@pytest.mark.parametrize("share", [0.02, 0.3, 0.55, 0.8, 0.93])
def test_killed_at_one_moment(share: float, terminal: Terminal, unbroken: tuple[Terminal, int]) -> None:
    whole, moments = unbroken
    write_space(terminal.folder, **SEARCH)
    break_at(terminal, int(share * moments))
    terminal.run()
    assert essence(terminal.experiment) == essence(whole.experiment)
    check_files(terminal.experiment)
