"""An installation of the base alone, made of links to this environment's packages: no extra can be imported in it."""

import re
import subprocess
import sysconfig
import tomllib
import venv
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


@cache
def project() -> dict[str, Any]:
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def base_packages() -> dict[str, Distribution]:
    """Return what `pip install hpsearch` brings."""
    return brought(map(Requirement, project()["dependencies"]))


def extra_packages(extra: str) -> dict[str, Distribution]:
    """Return what `pip install "hpsearch[EXTRA]"` brings."""
    return brought(map(Requirement, [*project()["dependencies"], *project()["optional-dependencies"][extra]]))


def size_of(packages: Mapping[str, Distribution]) -> int:
    """Return the bytes of their files, without the bytecode that pip makes of them."""
    return sum(file.size or 0 for package in packages.values() for file in package.files or ())


def brought(requirements: Iterable[Requirement]) -> dict[str, Distribution]:
    """Return the packages that these bring, by the metadata of what is installed here."""
    found: dict[str, Distribution] = {}
    left, done = list(requirements), set()
    while left:
        wanted = left.pop()
        name, extras = canonical(wanted.name), frozenset(wanted.extras)
        if (name, extras) in done:
            continue
        done.add((name, extras))
        if name == "hpsearch":
            optional = project()["optional-dependencies"]
            left += [Requirement(text) for extra in extras for text in optional[extra]]
            continue
        found[name] = distribution(name)
        for text in found[name].requires or ():
            further = Requirement(text)
            marker = further.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
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
