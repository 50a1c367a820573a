"""Which experiments and studies the page can open: those of one folder, by their names."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from hpsearch.cleaning import one_line
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.experiment.activity import in_use
from hpsearch.experiment.layout import LOG, is_experiment, is_study, root_of
from hpsearch.experiment.studies import arm_folders
from hpsearch.web.feed import Feed

SMALL = 2_000_000
"""Bytes of a log."""


@dataclass(frozen=True)
class Opening:
    """With what the page begins, the experiment or study `first` or one of its runs, and what it may do.

    With `control` it gives orders, for which code from outside this project may run if there is `trust`.
    """

    first: str = ""
    run: str = ""
    control: bool = False
    trust: bool = False


class Shelf:
    """The experiments and studies below `root`; an arm of a study is `study/arm`.

    A name that a browser sends is looked up here; no path is made of it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._feeds: dict[str, Feed] = {}
        self._lock = Lock()

    @classmethod
    def around(cls, folder: Path) -> "tuple[Shelf, str]":
        """Return the shelf on which an experiment, an arm or a study is, and its name there."""
        folder = folder.resolve()
        root = root_of(folder)
        return cls(root), one_line(folder.relative_to(root).as_posix())

    def folders(self) -> dict[str, Path]:
        """Return all folders by their names, those that changed last first."""
        found = []
        for path in self.root.iterdir() if self.root.is_dir() else ():
            if is_study(path):
                found.append(path)
                with suppress(HpsearchError):  # its own page says what is wrong with it
                    found += arm_folders(path)
            elif is_experiment(path):
                found.append(path)
        found.sort(key=_changed, reverse=True)
        return {one_line(path.relative_to(self.root).as_posix()): path for path in found}

    def folder(self, name: str) -> Path:
        """Return the folder of a name.

        Raises:
            UnknownNameError: There is none.
        """
        known = self.folders()
        if name not in known:
            raise UnknownNameError("experiment", name, known)
        return known[name]

    def feed(self, name: str) -> Feed:
        """Return what follows an experiment; one for all browsers.

        Raises:
            HpsearchError: There is no such experiment, or it cannot be read.
        """
        with self._lock:
            if name not in self._feeds:
                self._feeds[name] = Feed(self.folder(name))
            return self._feeds[name]

    def told(self) -> list[dict[str, Any]]:
        """Return a line for each experiment and study: its name, what it is, whether it runs, when it changed.

        A `small` one is read in no time, so that a list can show more of it.
        """
        return [
            {
                "name": name,
                "kind": "study" if is_study(path) else "experiment",
                "live": is_experiment(path) and in_use(path),
                "changed": _changed(path) or None,
                "small": is_experiment(path) and _size(path / LOG) < SMALL,
            }
            for name, path in self.folders().items()
        ]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _changed(folder: Path) -> float:
    for path in (folder / LOG, folder):
        try:
            return path.stat().st_mtime
        except OSError:
            continue
    return 0.0
