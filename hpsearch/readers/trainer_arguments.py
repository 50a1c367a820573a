"""What the Trainer's `training_args.bin` says: a pickle, which is never loaded, only its instructions are read."""

import pickletools
import zipfile
from collections.abc import Iterable
from pathlib import Path

FILE = "training_args.bin"
_WORD = "load_best_model_at_end"
_LARGEST = 2**20
_MEMOS = {"MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT"}
_TRUTH = {"NEWTRUE": True, "NEWFALSE": False}


def loads_best_model(folders: Iterable[Path]) -> bool | None:
    """Say whether the Trainer loads the best model at its end, by the arguments in the first folder that has any."""
    for folder in folders:
        if (folder / FILE).is_file():
            return _read(folder / FILE)
    return None


def _read(file: Path) -> bool | None:
    """Return the value behind the setting's name, None for a file that is none of the Trainer's."""
    try:
        with zipfile.ZipFile(file) as archive:
            name = next(name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl")
            with archive.open(name) as content:
                pickle = content.read(_LARGEST)
        found = False
        for code, argument, _ in pickletools.genops(pickle):
            if found and code.name not in _MEMOS:
                return _TRUTH.get(code.name)
            found = found or argument == _WORD
    except (OSError, ValueError, zipfile.BadZipFile, StopIteration):
        return None
    return None
