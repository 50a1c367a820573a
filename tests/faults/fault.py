"""What a fault is: a function that strikes a scene, and what may come of it."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from tests.faults.scene import Scene

Strike = Callable[[Scene, random.Random], str | None]
"""Strikes; returns what it hit, or None if there was nothing to hit."""
STOPPED_SECONDS = 1.5
"""How long a process stays stopped, a database locked and a server away."""
_OF_ALL = frozenset({0})


class When(StrEnum):
    """At a moment of a session, between two sessions, or when a session starts."""

    DURING = "during"
    BETWEEN = "between"
    AT_START = "at start"


@dataclass(frozen=True)
class Fault:
    """A kind of fault.

    `statuses`: with which the session that was struck may end, besides 0. `fatal`: whether nothing more can be struck
    in that session. `outcomes`: what the training that it hits may come to, by interface; of `running` ones all may.
    `damages`: what may cost a trial; `named` is then what some session must say. `crashes`: whether a session may end
    with a traceback for it. `needs`: disk, clock, server or mlflow.
    """

    name: str
    strike: Strike
    when: When = When.DURING
    statuses: frozenset[int] = _OF_ALL
    fatal: bool = False
    outcomes: Mapping[str, frozenset[str]] | None = None
    running: frozenset[str] = frozenset()
    damages: bool = False
    named: str = ""
    crashes: bool = False
    needs: str = ""
    engine: str = ""


class Faults(dict[str, Fault]):
    """Faults by their names."""

    def add(self, name: str, strike: Strike, *statuses: int, **more: object) -> None:
        """Add one, with the exit statuses besides 0."""
        self[name] = Fault(name, strike, statuses=_OF_ALL | frozenset(statuses), **more)  # type: ignore[arg-type]
