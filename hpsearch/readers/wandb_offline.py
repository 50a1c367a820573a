"""Weights & Biases' offline runs, `offline-run-*/run-*.wandb`, as far as the format is known.

The file is a log of protocol buffers in LevelDB's format: after a header of 7 bytes come blocks of 32 KiB, in which
each piece has a checksum (4 bytes), a length (2) and a kind (1: whole, 2: first, 3: middle, 4: last).
"""

import importlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError
from hpsearch.readers import Reading, Wanted
from hpsearch.readers.measurements import Logged
from hpsearch.readers.naming import flatten, parse_folder_name, unit_keys
from hpsearch.records import FinishedRun, Measurement, Outcome

_FILE = "run-*.wandb"
_HEADER, _BLOCK, _PIECE = 7, 32768, struct.Struct("<IHB")
_WHOLE, _LAST = 1, 4


def recognises(path: Path) -> bool:
    """Say whether a folder is an offline run."""
    return path.is_dir() and next(path.glob(_FILE), None) is not None


def read(path: Path, wanted: Wanted) -> Reading:
    """Return the run; it belongs to the experiment of its group, else of its name without the seed.

    Errors: HpsearchError when the package wandb, which knows the protocol buffers, is not installed.
    """
    file = next(path.glob(_FILE))
    logged, summary = Logged(), dict[str, Any]()
    params: dict[str, Any] = {}
    title, group, code = file.stem.removeprefix("run-"), "", None
    for record in _records(file):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            title, group = record.run.display_name or title, record.run.run_group
            params |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        elif kind == "config":
            params |= {_name(item): json.loads(item.value_json) for item in record.config.update}
        elif kind == "history":
            row = flatten({_name(item): json.loads(item.value_json) for item in record.history.item})
            step = int(row.get("_step", record.history.step.num))
            logged.add_row(step, {name: value for name, value in row.items() if not name.startswith("_")})
        elif kind == "summary":
            summary |= flatten({_name(item): json.loads(item.value_json) for item in record.summary.update})
        elif kind == "exit":
            code = record.exit.exit_code
    name = parse_folder_name(title)
    params = flatten({key: value for key, value in params.items() if not key.startswith("_")})
    metrics = _with_summary(logged, summary)
    run = FinishedRun(
        experiment=group or name.rest or path.name,
        run=title,
        outcome=Outcome.FAILED if code else Outcome.COMPLETE,
        reason=f"exit code {code}" if code else None,
        params=params,
        metrics=metrics,
        histories=logged.histories(wanted),
        **{**unit_keys(params), **name.units},  # type: ignore[arg-type] # its keys are the names of these fields
        steps=logged.steps,
        dropped=None if metrics else "it logged no number",
        source=str(path),
    )
    return Reading((run,))


def _name(item: Any) -> str:
    return item.key or ".".join(item.nested_key)


def _with_summary(logged: Logged, summary: dict[str, Any]) -> dict[str, Measurement]:
    """Return the final metrics; what stands in the summary alone, such as a test score, has no step."""
    numbers = {name: value for name, value in summary.items() if isinstance(value, int | float)}
    own = {name: Measurement(float(value)) for name, value in numbers.items() if not name.startswith("_")}
    return {**own, **logged.metrics()}


def _records(file: Path) -> Iterator[Any]:
    try:
        buffers: Any = importlib.import_module("wandb.proto.wandb_internal_pb2")
    except ImportError as error:
        raise HpsearchError(f"{file} needs the package wandb: pip install 'hpsearch[wandb]'") from error
    for payload in _payloads(file.read_bytes()):
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
