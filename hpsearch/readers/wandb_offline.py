"""Weights & Biases' offline runs, `offline-run-*/run-*.wandb`, as far as the format is known.

The file is a log of protocol buffers in LevelDB's format: after a header of 7 bytes come blocks of 32 KiB, in which
each piece has a checksum (4 bytes), a length (2) and a kind (1: whole, 2: first, 3: middle, 4: last).
"""

import importlib
import json
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hpsearch.extras import Extra, require
from hpsearch.readers import Reading, Wanted
from hpsearch.readers.measurements import Logged
from hpsearch.readers.naming import as_trial, flatten, parse_folder_name, place_of, planned, unit_keys
from hpsearch.readers.text_files import read_bytes
from hpsearch.records import FinishedRun, Measurement, Outcome, SearchOrigin

_FILE = "run-*.wandb"
_HEADER, _BLOCK, _PIECE = 7, 32768, struct.Struct("<IHB")
_WHOLE, _LAST = 1, 4
_HOME = "wandb"
"""The folder that wandb makes for its runs below the one where a program runs."""
_TIME = re.compile(r"[\d_:.T-]+")
"""A folder that is called after a time, such as Hydra makes for each run: it is no place of its own."""


@dataclass(frozen=True)
class _Read:
    """A run as its file tells it, with its identity, which it keeps when it is resumed, and its sweep."""

    run: FinishedRun
    identity: tuple[str, str, str]
    sweep: str


def recognises(path: Path) -> bool:
    """Check whether a folder is an offline run, or holds such runs and nothing else."""
    if not path.is_dir():
        return False
    folders = _folders(path)
    return _is_run(path) or (bool(folders) and all(map(_is_run, folders)))


def read(path: Path, wanted: Wanted) -> Reading:
    """Return the runs; each belongs to the experiment of its group or sweep, else of its name without the seed.

    Raises:
        MissingExtraError: the package wandb, which knows the protocol buffers, is not installed.
    """
    found = [_read_run(each, wanted) for each in ([path] if _is_run(path) else _folders(path))]
    newest = {each.identity: each for each in found}
    repeating = _repeating(list(newest.values()))
    searches = {each.sweep: SearchOrigin(metric="") for each in found if each.sweep}
    runs = []
    for each in found:
        run = each.run
        if each is not newest[each.identity]:
            run = replace(run, outcome=None, dropped="it was resumed, and its newest attempt counts")
        if each.sweep and each.identity not in repeating:
            run = as_trial(run, searches[each.sweep], run.run)
        runs.append(run)
    return Reading(tuple(runs))


def _repeating(found: Sequence[_Read]) -> set[tuple[str, str, str]]:
    """Return the identities of the runs of a sweep that repeat a training, as a grid over seeds does."""
    repeating = set()
    for sweep in {each.sweep for each in found}:
        group = [each for each in found if each.sweep == sweep]
        own = planned([each.run.params for each in group])
        repeating |= {each.identity for each, repeats in zip(group, own, strict=True) if repeats}
    return repeating


def _is_run(path: Path) -> bool:
    return next(path.glob(_FILE), None) is not None


def _folders(path: Path) -> list[Path]:
    """Return the folders in one but for links and wandb's own logs, in the order in which they were made."""
    inside = (each for each in path.iterdir() if each.is_dir() and not each.is_symlink())
    return sorted(each for each in inside if each.name[0] != "." and each.name != "logs")


def _read_run(path: Path, wanted: Wanted) -> _Read:
    file = next(path.glob(_FILE))
    logged, stated = Logged(), dict[str, Measurement]()
    params: dict[str, Any] = {}
    title, group, sweep, project = file.stem.removeprefix("run-"), "", "", ("", "")
    code: int | None = None
    for record in _records(file):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            title, group, sweep = record.run.display_name or title, record.run.run_group, record.run.sweep_id
            project = (record.run.project, record.run.entity)
            params |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        elif kind == "config":
            params |= {_name(item): json.loads(item.value_json) for item in record.config.update}
        elif kind == "history":
            row = flatten({_name(item): json.loads(item.value_json) for item in record.history.item})
            step = int(row.get("_step", record.history.step.num))
            row = {name: value for name, value in row.items() if not name.startswith("_")}
            logged.add_row(step, row)
            stated |= {name: Measurement(value, step) for name, value in _numbers(row).items()}
        elif kind == "summary":
            noted = _numbers(flatten({_name(item): json.loads(item.value_json) for item in record.summary.update}))
            stated |= {name: Measurement(value) for name, value in noted.items() if _is_new(stated.get(name), value)}
        elif kind == "exit":
            code = record.exit.exit_code
    name = parse_folder_name(title)
    params = flatten({key: value for key, value in params.items() if not key.startswith("_")})
    end = Outcome.FAILED if code else None if code is None else Outcome.COMPLETE
    run = FinishedRun(
        experiment=group or sweep or name.rest or path.name,
        run=title,
        outcome=end,
        reason=f"exit code {code}" if code else None,
        params=params,
        metrics=stated,
        histories=logged.histories(wanted),
        **{**unit_keys(params), **name.units},  # type: ignore[arg-type] # its keys are the names of these fields
        steps=logged.steps,
        dropped="it has not ended: its file holds no end" if end is None else None if stated else "it logged no number",
        source=str(path),
        place=(*filter(None, project), *_place(path.parent)),
    )
    return _Read(run, (*project, file.stem), sweep)


def _name(item: Any) -> str:
    return item.key or ".".join(item.nested_key)


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a row or a summary; those that begin with `_` are W&B's own."""
    return {
        name: float(value)
        for name, value in row.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and not name.startswith("_")
    }


def _is_new(known: Measurement | None, value: float) -> bool:
    """Check whether a summary says something else than the last row: W&B repeats each row in the summary."""
    return known is None or known.value != value


def _place(folder: Path) -> tuple[str, ...]:
    return tuple(name for name in place_of(folder) if name != _HOME and not _TIME.fullmatch(name))


def _records(file: Path) -> Iterator[Any]:
    require(f"reading {file}", Extra.WANDB)
    buffers: Any = importlib.import_module("wandb.proto.wandb_internal_pb2")
    for payload in _payloads(read_bytes(file)):
        record = buffers.Record()
        record.ParseFromString(payload)
        yield record


def _payloads(content: bytes) -> Iterator[bytes]:
    """Yield each entry of the log, put together from its pieces; a torn end is left out."""
    place, pieces = _HEADER, b""
    while place + _PIECE.size <= len(content):
        left = _BLOCK - place % _BLOCK
        if left < _PIECE.size:
            place += left
            continue
        _, length, kind = _PIECE.unpack_from(content, place)
        place += _PIECE.size
        if kind == 0 or place + length > len(content):
            return
        pieces += content[place : place + length]
        place += length
        if kind in (_WHOLE, _LAST):
            yield pieces
            pieces = b""
