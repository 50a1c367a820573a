"""An installation of the base alone, made of links to this environment's packages: no extra can be imported in it."""

import re
import subprocess
import sysconfig
import tomllib
import venv
from functools import cache
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


@cache
def project() -> dict[str, object]:
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def base_packages() -> dict[str, Distribution]:
    """Return what `pip install hpsearch` brings, by the metadata of what is installed here."""
    found: dict[str, Distribution] = {}
    left = [Requirement(text) for text in project()["dependencies"]]
    while left:
        wanted = left.pop()
        name = canonical(wanted.name)
        if name in found:
            continue
        found[name] = distribution(name)
        for text in found[name].requires or ():
            further = Requirement(text)
            if further.marker is None or any(
                further.marker.evaluate({"extra": extra}) for extra in ("", *wanted.extras)
            ):
                left.append(further)
    return found


def bare_environment(place: Path) -> Path:
    """Make an environment with the base's packages and nothing else, and return its Python."""
    venv.create(place, with_pip=False, symlinks=True)
    (library,) = (place / "lib").glob("python*/site-packages")
    here = Path(sysconfig.get_path("purelib"))
    for package in base_packages().values():
        tops = {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}
        for name in tops:
            (library / name).symlink_to(here / name)
    return place / "bin" / "python"


def run(python: Path, *words: str, folder: Path, path: str = "") -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{python.parent}:/usr/bin:/bin", "PYTHONPATH": path, "HOME": str(folder)}
    return subprocess.run(
        [str(python), *words], cwd=folder, capture_output=True, text=True, check=False, env=environment
    )
