"""What is noted of the data that a job is trained and scored on, and whether they are those of the experiment.

A note holds the digest of the source (see `data/fingerprint.py`), that of the division (the settings of the data and
the seed that divides them), and of each split that was opened the number of its examples and their hash.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpsearch.data.fingerprint import WHAT_TO_DO, fingerprint_of
from hpsearch.errors import DataError
from hpsearch.families import Family
from hpsearch.places import find_place
from hpsearch.training.fingerprint import glance, is_steady
from hpsearch.training.task import Dataset, Split

_DIGITS = 16


class DataWatch:
    """Watches the data of one family's jobs.

    `known` are what the experiment's data must be: in `sources` the digest of each source by its key, in `splits` the
    notes of earlier runs by their division.
    """

    def __init__(self, family: Family[Any], home: Path, known: Mapping[str, Mapping[str, Any]]) -> None:
        self._family = family
        self._home = home
        self._known = known

    def begin(self, config: Any, seed: int) -> dict[str, Any]:
        """Return the note of a configuration's data, its paths as they are written, before anything is loaded.

        Raises:
            DataError: Its files are missing, or have changed since the experiment was begun.
        """
        source = self._family.source_of(config, self._home)
        division = _hash(json.dumps([config.data.model_dump(mode="json"), seed], sort_keys=True, default=str))
        note: dict[str, Any] = {"source": None, "division": division}
        if source is not None:
            note["source"] = fingerprint_of(source, lambda path: find_place(path, self._home)).digest
            wanted = self._known.get("sources", {}).get(source.key)
            if wanted not in (None, note["source"]):
                raise DataError(f"the data have changed since the experiment was begun. {WHAT_TO_DO}")
            if source.simulated:
                note["simulated"] = True
        return note

    def add(self, note: dict[str, Any], split: Split, data: Dataset) -> None:
        """Note a split that was loaded.

        Raises:
            DataError: Earlier runs saw other examples in it.
        """
        if split in note:
            return
        examples = _hash(f"{note['source']} {note['division']} {split}") if "simulated" in note else _glanced(data)
        note[split] = [len(data), examples]
        before = self._known.get("splits", {}).get(note["division"], {}).get(split)
        if before and examples and before[1] and list(before) != note[split]:
            count = "" if before[0] == len(data) else f": there were {before[0]:,}, and are {len(data):,}"
            raise DataError(f"the {split} examples are not those of the earlier runs{count}. {WHAT_TO_DO}")


def _glanced(data: Dataset) -> str | None:
    """Return a hash of the examples, or None for those that cannot be hashed or are never the same twice."""
    try:
        return glance(data)[:_DIGITS] if is_steady(data) else None
    except Exception:  # noqa: BLE001 -- a user's own data may be of any kind; what cannot be hashed is not known
        return None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
