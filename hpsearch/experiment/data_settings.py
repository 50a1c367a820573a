"""What an experiment's folder says of the data that its runs were trained and scored on."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpsearch.experiment.layout import CONFIG
from hpsearch.records import RunRecord

_FINGERPRINTS = "data.json"
_SECTION = "data."


def data_settings(folder: Path, runs: Sequence[RunRecord], space: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the data by dotted names, defaults included; those that were searched are left out.

    `space` is the `space` section of resolved.json. It knows no defaults, and speaks where no run has begun.
    """
    configs = (_json(folder / run.run / CONFIG).get("config") for run in runs)
    section = next((config.get("data") for config in configs if isinstance(config, Mapping)), space.get("data"))
    searched = {name for run in runs for name in run.params}
    settings = flat(section, _SECTION) if isinstance(section, Mapping) else {}
    return {
        name: value
        for name, value in settings.items()
        if not any(name == each or name.startswith(f"{each}.") for each in searched)
    }


def data_described(folder: Path) -> dict[str, str]:
    """Return what the kept fingerprints say of each file, by the setting that names it, and of the other settings."""
    sources = _json(folder / _FINGERPRINTS).get("sources")
    described: dict[str, str] = {}
    for source in sources.values() if isinstance(sources, Mapping) else ():
        described |= {name: json.dumps(value) for name, value in source.get("settings", {}).items()}
        for each in source.get("contents", ()):
            described[each["setting"]] = f"{each['path']} of {each['bytes']:,} bytes, sha256 {each['sha256'][:12]}"
    return described


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings with dotted names."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) and value else {f"{prefix}{name}": value}
    return found


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
