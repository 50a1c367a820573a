"""What an exception of the user's code says, as text that can always be printed."""

import sysconfig
import traceback
from pathlib import Path

from hpsearch.errors import HpsearchError
from hpsearch.experiment.files import printable

_LONGEST_MESSAGE, _LONGEST_TRACEBACK = 4000, 100_000
"""Characters; longer ones are shortened in the middle."""


def reason_of(error: BaseException) -> str:
    """Return the message of an exception between its type and its place, unless it is an error of hpsearch."""
    message = message_of(error)
    if isinstance(error, HpsearchError):
        return message
    place = place_of(error)
    return f"{type(error).__name__}: {message}" + (f" ({place})" if place else "")


def place_of(error: BaseException) -> str:
    """Return `FILE:LINE` of where an exception left the code that somebody would change; nothing if that is unknown.

    This is the innermost line of a family or of the user's own code, rather than one of a library or of hpsearch.
    """
    places = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    places = [(file, line) for file, line in places if not file.startswith("<")]
    theirs = [place for place in places if not _of_a_library(place[0])]
    if not places:
        return ""
    file, line = (theirs or places)[-1]
    return printable(f"{_shown(file)}:{line}")


_PACKAGE = Path(__file__).parents[1]
_LIBRARIES = tuple(dict.fromkeys(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")))


def _of_a_library(file: str) -> bool:
    path = Path(file)
    if path.is_relative_to(_PACKAGE):
        return not path.is_relative_to(_PACKAGE / "families")
    return any(path.is_relative_to(folder) for folder in _LIBRARIES)


def _shown(file: str) -> str:
    """Return a file of hpsearch with its folders, and of another one its name, so that all machines say the same."""
    path = Path(file)
    return str(path.relative_to(_PACKAGE.parent)) if path.is_relative_to(_PACKAGE) else path.name


def message_of(error: BaseException) -> str:
    """Return the message of an exception; of a very long one the beginning and the end."""
    try:
        return printable(_shortened(str(error), _LONGEST_MESSAGE))
    except BaseException as wrong:  # noqa: BLE001 -- what prints the user's exceptions is the user's code too
        return f"its message cannot be printed ({type(wrong).__name__})"


def current_traceback() -> str:
    """Return the traceback of the exception that is being handled; of a very long one both ends."""
    try:
        return printable(_shortened(traceback.format_exc(), _LONGEST_TRACEBACK))
    except BaseException as wrong:  # noqa: BLE001 -- it prints the user's exception, and those that led to it
        return f"the traceback cannot be printed ({type(wrong).__name__})\n"


def _shortened(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]} [... {len(text) - 2 * half} characters ...] {text[-half:]}"


def out_of_memory(error: BaseException) -> bool:
    """Recognise an exhausted memory by what Python, CUDA and torch's CPU allocator raise, without importing torch."""
    text = message_of(error).lower()
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text))
    )
