"""What a training leaves in a run's folder to be looked at; the search never reads it. Read without torch.

`artifacts/<name>.json`, the numbers of a heat map, and `artifacts/<name>.png`.

`histograms.jsonl`, which `train.histograms` turns on, has a line for each look:

    {"version": 1, "step": 4, "parameters": {"0.weight": {
        "gradient": {"norm": 0.3, "mean": 0.01, "max": 0.2, "nan": 0, "inf": 0, "low": -0.2, "high": 0.1,
                     "counts": [...]},
        "weight":   {the same of the weights before the step},
        "ratio": 0.05}, ...}}

`step` counts as in metrics.jsonl. `mean` and `max` are of absolute values; `counts` are the numbers of finite values in
equal bins from `low` to `high`; `ratio` is norm of the gradient / (norm of the weight + 1e-7). A parameter without a
gradient has `weight` only.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hpsearch.errors import ExperimentError
from hpsearch.experiment.files import (
    append_json_line,
    decode_number,
    encode_number,
    json_line,
    read_lines,
    write_atomically,
    write_json,
)
from hpsearch.experiment.layout import ARTIFACTS, HISTOGRAMS
from hpsearch.records import HeatMap

_HISTOGRAMS_VERSION = 1


def write_heat_map(folder: Path, name: str, heat_map: HeatMap, *, picture: bytes) -> None:
    """Write a heat map into the artifacts of a run's folder.

    Raises:
        ExperimentError: the name cannot be a file's.
    """
    if not re.fullmatch(r"[\w-][\w.-]*", name):
        raise ExperimentError(f"'{name}' cannot name an artifact: letters, digits, '_', '-' and '.' can")
    place = folder / ARTIFACTS
    place.mkdir(exist_ok=True)
    write_json(place / f"{name}.json", _plain(heat_map))
    write_atomically(place / f"{name}.png", picture)


def artifact_files(folder: Path) -> list[Path]:
    """Return the finished files in the artifacts of a run's folder."""
    return sorted(path for path in (folder / ARTIFACTS).glob("[!.]*") if path.is_file())


def _plain(heat_map: HeatMap) -> dict[str, Any]:
    panels = {
        name: [[encode_number(value) for value in row] for row in matrix] for name, matrix in heat_map.panels.items()
    }
    return {"version": 1, "kind": "heat map", **asdict(heat_map), "panels": panels}


def write_histograms(folder: Path, step: int, parameters: Mapping[str, Any]) -> None:
    """Append a look; one of this or a later step is from an attempt that a crash cut off, and goes."""
    path = folder / HISTOGRAMS
    folder.mkdir(parents=True, exist_ok=True)
    lines = [line for line, _ in read_lines(path)]
    kept = [line for line in lines if line["step"] < step]
    if len(kept) < len(lines):
        write_atomically(path, b"".join(json_line(line) for line in kept))
    append_json_line(path, {"version": _HISTOGRAMS_VERSION, "step": step, "parameters": dict(parameters)})


def read_histograms(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the looks of a run; none for a run without the file, or of a later format."""
    for line, _ in read_lines(folder / HISTOGRAMS):
        if line.get("version") == _HISTOGRAMS_VERSION:
            yield _decoded(line)


def gradient_norms(look: Mapping[str, Any]) -> list[tuple[int, str, float]]:
    """Return (step, parameter, norm of its gradient); NaN or infinity where the gradient holds any."""
    norms = []
    for name, numbers in look["parameters"].items():
        if gradient := numbers.get("gradient"):
            norm = math.nan if gradient["nan"] else math.inf if gradient["inf"] else float(gradient["norm"])
            norms.append((int(look["step"]), name, norm))
    return norms


def _decoded(value: Any) -> Any:
    return {name: _decoded(item) for name, item in value.items()} if isinstance(value, dict) else decode_number(value)
