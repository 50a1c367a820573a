"""The spaces and studies that come with hpsearch, and a file by its short name: `char_lm` for `spaces/char_lm.yaml`."""

from enum import StrEnum
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from hpsearch.errors import Problem, SpaceError, suggestion

_SUFFIXES = (".yaml", ".yml")


class Shelf(StrEnum):
    """A folder of files that come with hpsearch: of a checkout at its root, of an installed wheel below share/."""

    SPACES = "spaces"
    STUDIES = "studies"

    def folder(self) -> Path | None:
        """Return where it is; None where hpsearch was copied without it."""
        checkout = Path(__file__).parents[2] / self
        if checkout.is_dir() and (checkout.parent / "pyproject.toml").is_file():
            return checkout
        try:
            installed = files("hpsearch") or []
        except PackageNotFoundError:
            return None
        found = (
            each for each in installed if each.parts[-3:-1] == ("hpsearch", str(self)) and each.suffix in _SUFFIXES
        )
        first = next(found, None)
        return None if first is None else Path(str(first.locate())).resolve().parent

    def names(self) -> list[str]:
        """Return the short names of the files."""
        folder = self.folder()
        return sorted(path.stem for path in folder.glob("*.yaml")) if folder is not None else []


def find_file(given: Path, shelf: Shelf) -> Path:
    """Return the file that a path or a short name means.

    A name without a suffix is that of a file here, in the folder `spaces` or `studies` here, or on the shelf.

    Raises:
        SpaceError: It is a short name, and there is no such file.
    """
    if given.exists() or given.suffix in _SUFFIXES or len(given.parts) != 1:
        return given
    name = given.name
    here = [folder / f"{name}{suffix}" for folder in (Path(), Path(str(shelf))) for suffix in _SUFFIXES]
    for path in here:
        if path.is_file():
            return path
    folder, known = shelf.folder(), shelf.names()
    if folder is not None and name in known:
        return folder / f"{name}.yaml"
    kind = "space" if shelf is Shelf.SPACES else "study"
    nearest = suggestion(name, known)
    looked = f"neither {here[0]} nor {here[2]} is there, and hpsearch brings {', '.join(known) or 'none'}"
    raise SpaceError([Problem(name, 0, 0, f"there is no such {kind}{nearest}; {looked}")])
