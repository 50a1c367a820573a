"""What `train.histograms` leaves in a run's folder: `histograms.jsonl`, a line for each look; read without torch.

    {"version": 1, "step": 4, "parameters": {"0.weight": {
        "gradient": {"norm": 0.3, "mean": 0.01, "max": 0.2, "nan": 0, "inf": 0, "low": -0.2, "high": 0.1,
                     "counts": [...]},
        "weight":   {the same of the weights before the step},
        "ratio": 0.05}, ...}}

`step` counts as in metrics.jsonl. `mean` and `max` are of absolute values; `counts` are the numbers of finite values in
equal bins from `low` to `high`; `ratio` is norm of the gradient / (norm of the weight + 1e-7). A parameter without a
gradient has `weight` only. The search never reads this file.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hpsearch.experiment.files import append_json_line, decode_number, json_line, read_lines, write_atomically
from hpsearch.experiment.layout import HISTOGRAMS

FORMAT_VERSION = 1


def write_histograms(folder: Path, step: int, parameters: Mapping[str, Any]) -> None:
    """Append a look; one of this or a later step is from an attempt that a crash cut off, and goes."""
    path = folder / HISTOGRAMS
    folder.mkdir(parents=True, exist_ok=True)
    lines = [line for line, _ in read_lines(path)]
    kept = [line for line in lines if line["step"] < step]
    if len(kept) < len(lines):
        write_atomically(path, b"".join(json_line(line) for line in kept))
    append_json_line(path, {"version": FORMAT_VERSION, "step": step, "parameters": dict(parameters)})


def read_histograms(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the looks of a run; none for a run without the file, or of a later format."""
    for line, _ in read_lines(folder / HISTOGRAMS):
        if line.get("version") == FORMAT_VERSION:
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
