"""Where an experiment comes from: versions, git commit, machine. Written into resolved.json."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

_PACKAGES = ("hpsearch", "torch", "optuna", "mlflow", "numpy", "scipy", "pandas", "pydantic")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a result, without importing them."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return the commit of the checkout around a folder and whether it has changes, or None outside of one."""
    program = shutil.which("git")
    if program is None:
        return None

    def ask(*arguments: str) -> str | None:
        command = [program, "-C", str(folder), *arguments]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        return answer.stdout.strip() if answer.returncode == 0 else None

    commit = ask("rev-parse", "HEAD")
    return None if commit is None else {"commit": commit, "dirty": bool(ask("status", "--porcelain"))}


def machine() -> dict[str, Any]:
    """Return the machine's name, system and cores."""
    return {"host": platform.node(), "system": platform.platform(), "cores": os.cpu_count()}
