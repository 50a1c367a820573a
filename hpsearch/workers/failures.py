"""What an exception of the user's code says, as text that can always be printed."""

import traceback

from hpsearch.errors import HpsearchError
from hpsearch.experiment.files import printable

_LONGEST_MESSAGE, _LONGEST_TRACEBACK = 4000, 100_000
"""Characters; longer ones are shortened in the middle."""


def reason_of(error: BaseException) -> str:
    """Return the message of an exception, after its type unless it is an error of hpsearch."""
    message = message_of(error)
    return message if isinstance(error, HpsearchError) else f"{type(error).__name__}: {message}"


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
