"""Orders of a person to a search: files that anybody who may write into the experiment's folder can place there.

    orders/01764285000123456789-5f3c....json    {"version": 1, "event": "stop", "order": "5f3c...", ...}

An order is the event of the log that obeys it, see events.py. The coordinator looks for them about once a second. It
writes the event, then does what it says, then removes the file: after a kill in between the log knows what was ordered,
and the order is not obeyed again.
"""

import os
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hpsearch.errors import ExperimentError
from hpsearch.experiment.codec import MalformedEventError, decode, encode
from hpsearch.experiment.events import (
    Event,
    OrderEvent,
    PauseEvent,
    ResumeEvent,
    SessionEvent,
    StopEvent,
)
from hpsearch.experiment.files import read_json, write_json
from hpsearch.experiment.layout import FORMAT_VERSION, ORDERS
from hpsearch.experiment.state import ExperimentState

LOOK_SECONDS = 1.0
"""How often the folder is looked into at most."""
_ENDING = ".json"
Clock = Callable[[], float]


def new_order() -> str:
    """Return the id of a new order."""
    return uuid.uuid4().hex


def place(folder: Path, order: OrderEvent) -> Path:
    """Place an order in an experiment's folder, in one piece; return where.

    Raises:
        ExperimentError: Something else is where orders are placed.
    """
    try:
        (folder / ORDERS).mkdir()
        with suppress(OSError):  # whoever may write into the folder may order, whatever the umask of the first is
            (folder / ORDERS).chmod(folder.stat().st_mode & 0o777)
    except FileExistsError:
        if not (folder / ORDERS).is_dir():
            raise ExperimentError(f"{folder / ORDERS} is no folder: orders are placed there; remove it") from None
    path = folder / ORDERS / f"{time.time_ns():020d}-{order.order}{_ENDING}"
    write_json(path, {"version": FORMAT_VERSION, **encode(order)})
    return path


@dataclass(frozen=True)
class PlacedOrder:
    """An order that waits; without an `event` the file is none, and `trouble` says why."""

    path: Path
    event: OrderEvent | None
    trouble: str = ""

    def withdraw(self) -> bool:
        """Take it away: it was obeyed, refused, or is none. Return whether it is gone; the log knows what is done."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError:
            return False
        return True


def pending(folder: Path) -> list[PlacedOrder]:
    """Return the orders that wait, in the order in which they were placed."""
    try:
        with os.scandir(folder / ORDERS) as entries:
            names = sorted(each.name for each in entries if each.name.endswith(_ENDING) and each.name[0] != ".")
    except OSError:  # mostly there is no such folder; whatever else it is ends no search
        return []
    return [placed for name in names if (placed := _read(folder / ORDERS / name)) is not None]


def _read(path: Path) -> PlacedOrder | None:
    try:
        content = read_json(path)
        event = decode(content) if isinstance(content, dict) else None
    except FileNotFoundError:  # withdrawn meanwhile
        return None
    except MalformedEventError as error:
        return PlacedOrder(path, None, str(error))
    except (ValueError, OSError) as error:
        return PlacedOrder(path, None, f"it cannot be read: {error}")
    if not isinstance(event, OrderEvent):
        return PlacedOrder(path, None, "it is none that this version knows")
    return PlacedOrder(path, event)


def withdraw_stale(folder: Path, state: ExperimentState) -> list[str]:
    """Take away what was meant for a session that has ended, and what was obeyed; say so of the former."""
    told = []
    for placed in pending(folder):
        event = placed.event
        if event is None or event.order in state.orders:
            continue
        if isinstance(event, PauseEvent | ResumeEvent) or (isinstance(event, StopEvent) and event.run is None):
            placed.withdraw()
            told.append(f"an order to {encode(event)['event']} was left from a session that has ended: withdrawn")
    return told


def end_is_ordered(events: Sequence[Event]) -> bool:
    """Check whether somebody has ordered the end of the session that goes on."""
    for event in reversed(events):
        if isinstance(event, SessionEvent):
            return False
        if isinstance(event, StopEvent) and event.run is None:
            return True
    return False


class Inbox:
    """Where a session finds the orders to it. `clock` in seconds."""

    def __init__(self, folder: Path, *, clock: Clock = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._looked = float("-inf")

    def look(self, *, at_once: bool = False) -> list[PlacedOrder]:
        """Return the orders that wait; nothing if somebody looked a moment ago, unless it has to be known `at_once`."""
        now = self._clock()
        if now - self._looked < LOOK_SECONDS and not at_once:
            return []
        self._looked = now
        return pending(self._folder)
