"""Counting what Python does, where a clock would depend on the machine: for tests of how a cost grows."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def instructions(work: Callable[[], object]) -> int:
    """Return how many instructions of Python a call takes. What C code does inside one of them is not seen."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def calls(work: Callable[[], object], *functions: Callable[..., object]) -> list[int]:
    """Return how often each of some functions of Python is called in the course of a call."""
    counts = {function.__code__: 0 for function in functions}  # type: ignore[attr-defined]  # none of them is of C

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code in counts:
            counts[frame.f_code] += 1

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return [*counts.values()]
