"""Orders from the page: each is what the command of its name does, and what it refuses is said in the same words."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hpsearch.api import steer
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.trust import trusting

LONGEST_NOTE = 10_000
"""Characters of a note."""


def obey(folder: Path, asked: Any, *, trust: bool) -> dict[str, Any]:
    """Place an order; return its id, and whether the log has it already.

    `trust` says whether code from outside this project may run, as for a configuration that is added. Nobody is asked:
    who sits at the page is not at the terminal.

    Raises:
        HpsearchError: It is no order, or is refused.
    """
    if not isinstance(asked, Mapping):
        raise HpsearchError("an order is an object with the name of the order")
    name = str(asked.get("order"))
    if name not in _ORDERS:
        raise UnknownNameError("order", name, _ORDERS)
    with trusting(trust, ask=lambda _: False):
        placed = _ORDERS[name](folder, asked)
    return {"order": placed.order, "obeyed": placed.obeyed}


def _add(folder: Path, asked: Mapping[str, Any]) -> steer.Placed:
    given = _field(asked, "set", dict, {})
    settings = [f"{path}={value}" for path, value in given.items() if str(value).strip()]
    return steer.add(folder, set=settings)


def _note(folder: Path, asked: Mapping[str, Any]) -> steer.Placed:
    text = _field(asked, "text", str, "")
    if len(text) > LONGEST_NOTE:
        raise HpsearchError(f"the note has {len(text):,} characters, and at most {LONGEST_NOTE:,} are kept")
    return steer.note(folder, text, trial=_trial(asked))


def _budget(folder: Path, asked: Mapping[str, Any]) -> steer.Placed:
    return steer.budget(
        folder, trials=_field(asked, "trials", int, None), time=_field(asked, "time", str, None) or None
    )


def _trial(asked: Mapping[str, Any]) -> int | None:
    trial: int | None = _field(asked, "trial", int, None)
    return trial


def _field(asked: Mapping[str, Any], name: str, kind: type, default: Any) -> Any:
    value = asked.get(name)
    if value is None:
        return default
    if type(value) is not kind:
        raise HpsearchError(f"{name} is not what an order has there")
    return value


_ORDERS: Mapping[str, Callable[[Path, Mapping[str, Any]], steer.Placed]] = {
    "add": _add,
    "stop": lambda folder, asked: steer.stop(folder, trial=_trial(asked)),
    "pause": lambda folder, _: steer.pause(folder),
    "resume": lambda folder, _: steer.resume(folder),
    "budget": _budget,
    "note": _note,
}
