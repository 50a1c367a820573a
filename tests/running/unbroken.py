"""The search that nobody breaks: what all broken ones are compared with."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.records import Outcome
from tests.logs import Line
from tests.running.sessions import Terminal, essence, open_terminal
from tests.toy_spaces import write_space

SEARCH = {
    "sampler": "tpe",
    "pruner": "{asha: {minimum: 1}}",
    "trials": 7,
    "epochs": 4,
    "more": "confirm: {top: 1, seeds: 2}",
}


@dataclass(frozen=True)
class Whole:
    """Its folder, what the search came to, its log, and how many moments there were to strike at."""

    folder: Path
    essence: dict[str, Any]
    events: list[Line]
    moments: int

    def behind(self, condition: Callable[[Line], bool]) -> int:
        """Return how many events had been written with the first that fulfils a condition."""
        return next(index for index, event in enumerate(self.events, start=1) if condition(event))

    def lay(self, terminal: Terminal) -> None:
        """Lay the space and a copy of the finished experiment before a terminal, as if the search had run there."""
        write_space(terminal.folder, **SEARCH)
        shutil.copytree(self.folder, terminal.experiment)


def search_unbroken(folder: Path) -> Whole:
    with open_terminal(folder) as terminal:
        write_space(folder, **SEARCH)
        moments = terminal.run(moment=0).moments
        found = essence(terminal.experiment)
        assert {run["outcome"] for run in found["runs"]} == {Outcome.COMPLETE, Outcome.PRUNED}
        return Whole(terminal.experiment, found, terminal.events, moments)
