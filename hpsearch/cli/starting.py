"""Ctrl-C while the command is imported, or has not begun, or has ended its work. This file imports next to nothing."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

INTERRUPTED = 130
"""The exit status, as a shell has it for Ctrl-C."""
SENTENCE = "hpsearch: interrupted; what was begun goes on with the same command\n"


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Leave the process with a sentence at a Ctrl-C in the block.

    In the midst of an import it may come out as any error: then that is not told as one.
    """
    interrupts: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        interrupts.append(number)
        signal.default_int_handler(number, frame)

    kept = signal.getsignal(signal.SIGINT)
    ours = kept is signal.default_int_handler and threading.current_thread() is threading.main_thread()
    if ours:
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except SystemExit as end:  # typer makes it of a KeyboardInterrupt, without a word
        if interrupts and end.code == INTERRUPTED:
            sys.stderr.write(SENTENCE)
        raise
    except BaseException as error:
        if not interrupts and not isinstance(error, KeyboardInterrupt):
            raise
        sys.stderr.write(SENTENCE)
        sys.exit(INTERRUPTED)
    finally:
        if ours and signal.getsignal(signal.SIGINT) is interrupt:
            signal.signal(signal.SIGINT, kept)
