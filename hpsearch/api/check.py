"""Space and study files, read and checked without training anything: `hpsearch.check`."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from hpsearch.api.arguments import Overrides, StrPath, settings_of
from hpsearch.errors import HpsearchError, Problem, SpaceError, UntrustedCodeError
from hpsearch.running.loading import check_file
from hpsearch.space.checks import data_notes, no_test_split, secret_notes
from hpsearch.space.shelf import Shelf, find_file
from hpsearch.studies.reading import is_study, load_study
from hpsearch.trust import trusting


@dataclass(frozen=True)
class CheckedFile:
    """What a file without mistakes holds.

    Attributes:
        path: The file.
        arms: How many arms a study has, or None for a space.
        ranges: How many settings of a space are ranges.
        configurations: How many configurations they make, or None for a continuum.
        notes: What is worth knowing of its data: encodings that were guessed, a test split that is missing.
        left_out: The code from outside this project that was not imported; what it decides was not checked.
    """

    path: Path
    arms: int | None = None
    ranges: int = 0
    configurations: int | None = None
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.left_out:
            return f"as far as it was checked; --trust also imports {'; '.join(self.left_out)}"
        if self.arms is not None:
            return f"a study of {self.arms} arms"
        size = "" if self.configurations is None else f", {self.configurations} configurations"
        return f"{self.ranges} ranges{size}"


def check(
    paths: StrPath | Iterable[StrPath],
    *,
    quick: bool = False,
    set: Overrides | None = None,  # noqa: A002 -- the option's name
    trust: bool | None = None,
    announce: Callable[[CheckedFile], None] | None = None,
) -> list[CheckedFile]:
    """Check space and study files: every name, type, range and requirement; `hpsearch check` in Python.

    Code from outside this project is not imported unless it is trusted; what was left out is said.

    Example:
        for found in hpsearch.check("spaces"):
            print(found.path, found)

    Args:
        paths: Files, or folders of them.
        quick: Check what the `quick` section makes of them.
        set: Values or ranges that replace those of the files, by their dotted names.
        trust: Whether code from outside this project may run; by default it may, but a command asks (SECURITY.md).
        announce: Hears of each file without mistakes, also if another one has some.

    Raises:
        SpaceError: All mistakes of all files, each with its place.
        HpsearchError: A folder has no .yaml files.
    """
    found: list[CheckedFile] = []
    problems: list[Problem] = []
    for path in _files([paths] if isinstance(paths, str | PathLike) else paths):
        try:
            with trusting(trust):
                held = _held(path, quick=quick, overrides=settings_of(set))
        except SpaceError as error:
            problems += error.problems
            continue
        found.append(held)
        if announce is not None:
            announce(held)
    if problems:
        raise SpaceError(problems)
    return found


def _files(paths: Iterable[StrPath]) -> Iterator[Path]:
    for path in (find_file(Path(given), Shelf.SPACES) for given in paths):
        files = sorted([*path.glob("*.yaml"), *path.glob("*.yml")]) if path.is_dir() else [path]
        if not files:
            raise HpsearchError(f"{path} holds no .yaml files")
        yield from files


def _held(path: Path, *, quick: bool, overrides: list[str]) -> CheckedFile:
    if is_study(path):
        try:
            return CheckedFile(path, arms=len(load_study(path, quick=quick, programs=False).arms))
        except UntrustedCodeError as error:
            return CheckedFile(path, left_out=tuple(map(str, error.code)))
    space, left_out = check_file(path, quick=quick, overrides=overrides)
    if space is None:
        return CheckedFile(path, left_out=tuple(left_out))
    missing = no_test_split(space)
    notes = (*secret_notes(space), *data_notes(space), *([missing] if missing else []))
    return CheckedFile(path, ranges=len(space.parameters), configurations=space.size, notes=notes)
