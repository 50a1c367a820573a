"""What a training leaves behind to look at: `artifacts/<name>.json`, the numbers, and `artifacts/<name>.png`."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hpsearch.errors import ExperimentError
from hpsearch.experiment.files import encode_number, write_atomically, write_json
from hpsearch.experiment.layout import ARTIFACTS
from hpsearch.records import HeatMap


def write_heat_map(folder: Path, name: str, heat_map: HeatMap, *, picture: bytes) -> None:
    """Write a heat map into the artifacts of a run's folder. Errors: ExperimentError for a name that is no file's."""
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
