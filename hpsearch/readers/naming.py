"""What names tell: the seed or fold of a run, its experiment and its place, from its parameters or its folders.

And whether runs were proposed by a search or planned: searches try configurations, plans repeat them.
"""

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hpsearch.readers.numerals import parse_number
from hpsearch.records import FinishedRun, Key, SearchOrigin

UNIT_WORDS: Mapping[str, tuple[str, ...]] = {
    "seed": ("seed", "random_seed", "random_state", "rng_seed"),
    "fold": ("fold", "cv_fold"),
    "repeat": ("repeat", "repetition"),
    "dataset": ("dataset", "data_set"),
}
_WORD = {word: unit for unit, words in UNIT_WORDS.items() for word in words}
_MARK = re.compile(r"(?:^|(?<=[_\-,. ]))(seed|fold|repeat)[=_\-]?(\d+)(?=$|[_\-,. ])", re.IGNORECASE | re.ASCII)
_PAIR = re.compile(r"([A-Za-z][A-Za-z_.]*?)[=_\-]?(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?=$|[_\-, ])", re.ASCII)
_WHOLE = re.compile(r"(0|-?[1-9][0-9]{0,4000})(?:\.0*)?")
"""A whole number in the one way to write it, or as a float."""
_GAPS = {"", "na", "n/a", "#n/a", "<na>", "nan", "none", "null", "nil", "-", "--", "---", "\u2013", "\u2014", "?"}
_SILENT = re.compile(r"version_\d+|lightning_logs")
"""Names that Lightning gives by itself: they say nothing of what was trained."""


@dataclass(frozen=True)
class FolderName:
    """A folder's name taken apart: what is left of it without seed and fold, those, and the other numbers in it."""

    rest: str
    units: Mapping[str, Key] = field(default_factory=dict)
    params: Mapping[str, float | int] = field(default_factory=dict)


def parse_folder_name(name: str) -> FolderName:
    """Take `lr_0.001_dim_256_seed_3` apart: params lr and dim, seed 3, and the rest, `lr_0.001_dim_256`."""
    units: dict[str, Key] = {match[1].lower(): int(match[2]) for match in _MARK.finditer(name)}
    rest = re.sub(r"[_\-,. ]*$|^[_\-,. ]+", "", _MARK.sub("", name))
    rest = re.sub(r"([_\-,. ])[_\-,. ]+", r"\1", rest)
    params = {match[1].strip("_."): number(match[2]) for match in _PAIR.finditer(rest)}
    return FolderName(rest, units, {key: value for key, value in params.items() if not isinstance(value, str)})


def folders_above(path: Path) -> tuple[str, ...]:
    """Return the names of the folders that a path lies in, the innermost first: an experiment's place."""
    return tuple(each.name for each in path.resolve().parents if each.name)


def unit_keys(params: Mapping[str, Any]) -> dict[str, Key]:
    """Return the seed, fold, repeat and data set among the parameters; `train.seed` counts as `seed` too."""
    found: dict[str, Key] = {}
    for name in sorted(params, key=lambda name: (str(name).count("."), str(name))):
        unit = _WORD.get(str(name).lower().rpartition(".")[2])
        value = as_key(params[name])
        if unit and unit != "dataset" and is_gap(value):
            continue
        if unit and unit not in found and value is not None:
            found[unit] = value
    return found


def as_key(value: Any) -> Key | None:
    """Return a seed, fold or data set in the form in which it is compared: `3`, `3.0` and `"3"` are the number 3.

    Any other text is a name and stays as it is: `1_0`, `007`, `1e5`, `1.10`, `None`.
    """
    if isinstance(value, str):
        text = value.strip()
        whole = _WHOLE.fullmatch(text)
        return int(whole[1]) if whole else text or None
    if isinstance(value, float):
        if math.isnan(value):  # a gap in a table
            return None
        return int(value) if value.is_integer() else str(value)
    if isinstance(value, bool) or value is None or isinstance(value, list | dict):
        return None
    return value if isinstance(value, int) else str(value) or None


def is_gap(value: Any) -> bool:
    """Check whether a value only says that there is none, as where a seed is noted as `None`."""
    return value is None or (isinstance(value, str) and value.strip().lower() in _GAPS)


def number(text: str) -> Any:
    """Return the number that a text is, or the text."""
    found = parse_number(text)
    return text if found is None else found


def flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn nested parameters into one level with dotted names; lists are values."""
    flat: dict[str, Any] = {}
    for name, item in value.items():
        key = f"{prefix}{name}"
        if isinstance(item, Mapping):
            flat |= flatten(item, f"{key}.")
        else:
            flat[key] = item
    return flat


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
    the innermost first, and are not a part of the place; nor is the name of the data set that the run notes.
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
