"""Where an experiment comes from: versions, git commit and machine, written into resolved.json, and its data."""

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpsearch.experiment.files import flatten
from hpsearch.experiment.layout import CONFIG, DATA
from hpsearch.records import RunRecord

_PACKAGES = ("hpsearch", "torch", "optuna", "mlflow", "numpy", "scipy", "pandas", "pydantic")
_SECTION = "data."
_NVIDIA = Path("/proc/driver/nvidia/gpus")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a result, without importing them."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_state(folder: Path, *, own: bool = True) -> dict[str, Any] | None:
    """Return the commit of the checkout around a folder and whether it has changes, or None outside of one.

    A stranger's checkout (not `own`) is not asked for changes: its settings name programs that git would run for that.
    """
    program = shutil.which("git")
    if program is None:
        return None

    def ask(*arguments: str) -> str | None:
        # without locks `git status` leaves the index as it is; a repository may name a program as its fsmonitor
        command = [program, "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(folder), *arguments]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        return answer.stdout.strip() if answer.returncode == 0 else None

    commit = ask("rev-parse", "HEAD")
    return None if commit is None else {"commit": commit, "dirty": bool(ask("status", "--porcelain")) if own else None}


def machine() -> dict[str, Any]:
    """Return the machine's name, system and cores, and where it tells them its processor, memory and NVIDIA GPUs."""
    found = {"host": platform.node(), "system": platform.platform(), "cores": os.cpu_count()}
    told = {"processor": _processor(), "memory": _memory(), "gpus": gpus_of(_NVIDIA)}
    return found | {name: value for name, value in told.items() if value}


def _processor() -> str:
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor()


def _memory() -> int:
    """Return the bytes of memory, or 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):  # other systems have other names
        return 0


def gpus_of(driver: Path) -> list[str]:
    """Return the models of the NVIDIA GPUs, as their driver names them; of others nothing is known without torch."""
    try:
        found = sorted(driver.glob("*/information"))
    except OSError:
        return []
    lines = (line.partition(":") for each in found for line in _text(each).splitlines())
    return [value.strip() for name, _, value in lines if name.strip() == "Model"]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def data_settings(folder: Path, runs: Sequence[RunRecord], space: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the data by dotted names, defaults included; those that were searched are left out.

    `space` is the `space` section of resolved.json. It knows no defaults, and speaks where no run has begun.
    """
    configs = (_json(folder / run.run / CONFIG).get("config") for run in runs)
    section = next((config.get("data") for config in configs if isinstance(config, Mapping)), space.get("data"))
    searched = {name for run in runs for name in run.params}
    settings = flatten(section, _SECTION) if isinstance(section, Mapping) else {}
    return {
        name: value
        for name, value in settings.items()
        if not any(name == each or name.startswith(f"{each}.") for each in searched)
    }


def data_described(folder: Path) -> dict[str, str]:
    """Return what the kept fingerprints say of each file, by the setting that names it, and of the other settings."""
    sources = _json(folder / DATA).get("sources")
    described: dict[str, str] = {}
    for source in sources.values() if isinstance(sources, Mapping) else ():
        described |= {name: json.dumps(value) for name, value in source.get("settings", {}).items()}
        for each in source.get("contents", ()):
            described[each["setting"]] = f"{each['path']} of {each['bytes']:,} bytes, sha256 {each['sha256'][:12]}"
    return described


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
