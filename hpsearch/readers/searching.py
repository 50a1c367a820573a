"""Whether runs were proposed by a search or planned: searches try configurations, plans repeat them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hpsearch.readers.naming import unit_keys
from hpsearch.records import FinishedRun, Key, SearchOrigin


def planned(runs: Sequence[Mapping[str, Any]]) -> list[bool]:
    """Say of each run of a group, from its parameters, whether it repeats a training: the others were proposed.

    A fold, repeat or data set is a plan where it varies. A seed repeats a training where it varies over equal settings;
    one that is the same everywhere, or goes with another configuration each time, is a setting like others.
    """
    units = [unit_keys(params) for params in runs]
    texts = [settings(params) for params in runs]
    keys: dict[str, set[Key]] = {}
    for text, found in zip(texts, units, strict=True):
        for unit, key in found.items():
            keys.setdefault(f"seed of {text}" if unit == "seed" else unit, set()).add(key)
    return [
        any(len(keys[f"seed of {text}" if unit == "seed" else unit]) > 1 for unit in found)
        for text, found in zip(texts, units, strict=True)
    ]


def settings(params: Mapping[str, Any]) -> str:
    """Return the parameters as text, without what only names the run: seeds, folds and texts that hold their numbers.

    `out/seed-3` and `out/seed-4` are one setting of the runs with the seeds 3 and 4.
    """
    units = unit_keys(params)
    rest = {name: value for name, value in params.items() if not unit_keys({name: value})}
    for key in units.values():
        number = re.compile(rf"(?<!\d){re.escape(str(key))}(?!\d)")
        rest = {name: number.sub("*", value) if isinstance(value, str) else value for name, value in rest.items()}
    return json.dumps(rest, sort_keys=True, default=str)


def several_settings(runs: Sequence[Mapping[str, Any]]) -> bool:
    """Check whether runs have more than one configuration."""
    return len({settings(params) for params in runs}) > 1


def as_trial(run: FinishedRun, search: SearchOrigin, trial: Key) -> FinishedRun:
    """Return a run as a trial of a search, which is paired with nothing: what looked like a seed is a setting."""
    return replace(run, search=search, trial=trial, seed=None, fold=None, repeat=None, dataset=None)
