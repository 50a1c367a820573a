"""What the base and each extra bring: packages, and the bytes of their files, by the metadata of an installed `[dev]`.

What pip compiles when it installs (about as much again as half of the base) is not counted.
"""

import importlib.metadata
import platform

from hpsearch.extras import Extra
from tests.bare import base_packages, extra_packages, size_of


def table() -> dict[str, tuple[int, float]]:
    """Return packages and megabytes: of the base, and of what each extra adds to it."""
    base = base_packages()
    found = {"base": (len(base), size_of(base) / 1e6)}
    for extra in (*Extra, "all"):
        more = {name: package for name, package in extra_packages(extra).items() if name not in base}
        found[str(extra)] = (len(more), size_of(more) / 1e6)
    return found


def main() -> None:
    print(f"Python {platform.python_version()} on {platform.machine()}, torch {importlib.metadata.version('torch')}\n")
    print(f"{'':12} packages      MB")
    for name, (packages, megabytes) in table().items():
        print(f"{name:12} {packages:8}  {megabytes:6.0f}")


if __name__ == "__main__":
    main()
