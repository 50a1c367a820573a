"""Where the folder of a run stands: which experiment it belongs to, and in which place, from the names above it."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.readers.naming import parse_folder_name
from hpsearch.records import Key

_SILENT = re.compile(r"version_\d+|lightning_logs")
"""Names that Lightning gives by itself: they say nothing of what was trained."""


@dataclass(frozen=True)
class Home:
    """The experiment of a run's folder, its `place` from the innermost folder outward, and what the names tell."""

    experiment: str
    place: tuple[str, ...]
    units: Mapping[str, Key]
    params: Mapping[str, Any]


def home_of(folder: Path, *, dataset: Key | None = None) -> Home:
    """Return the home of a run: `lstm` for `lstm/seed_3`, `lstm/fold_1/seed_3`, `lstm_seed_3` and `lstm/version_3`.

    The first name that says more than a seed or a fold is the experiment's. Seeds and folds are taken from all names,
    the innermost first, and are no part of the place; nor is the name of the data set that the run notes.
    """
    names = _names(folder)
    experiment, place = "", list[str]()
    units: dict[str, Key] = {}
    params: Mapping[str, Any] = {}
    for title in names:
        name = parse_folder_name(title)
        if _SILENT.fullmatch(title) or (dataset is not None and title == str(dataset)):
            continue
        if not experiment or not name.rest:
            units = {**name.units, **units}
        if experiment and name.rest:
            place.append(title)
        elif name.rest:
            experiment, params = name.rest, name.params
    return Home(experiment or names[0], tuple(place), units, params)


def place_of(path: Path) -> tuple[str, ...]:
    """Return the place of everything in a store: its own name and those of the folders above it."""
    return tuple(_names(path))


def _names(path: Path) -> list[str]:
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links to names that nobody typed
    return [each.name for each in (absolute, *absolute.parents) if each.name]
