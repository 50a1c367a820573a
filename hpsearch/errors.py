"""Every error that hpsearch raises on purpose.

HpsearchError                  the user can act on it: the message says what and where
├── SpaceError                 a space file (or an override) is wrong; carries one Problem for each mistake
├── UnknownNameError           a family, engine, sampler, metric ... that does not exist; lists those that do
├── UntrustedCodeError         code from outside the project would run, and nobody has said that it may
├── ExperimentError            an experiment folder cannot be read, or does not fit what is asked of it
│   └── ExperimentBusyError    another process is running this experiment
├── SealedSplitError           a family asked for the test split during the search
├── DataError                  the data named in the space cannot be used
│   └── NoSplitError           they have no such split
├── ProgramError               the program named in the space cannot be started
├── DivergedError              a loss or a metric is not finite
├── PeerLostError              another process of the same training is gone
├── SearchFailedError          the search ended because its trials fail
└── TrackingError              the tracking store cannot be reached
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class HpsearchError(Exception):
    """A mistake or an obstacle that the user can act on; the message is a full sentence."""


@dataclass(frozen=True)
class Problem:
    """One mistake in a file: its place (1-based line and column, 0 if unknown) and what is wrong."""

    source: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}:{self.column}" if self.line else self.source
        return f"{place}: {self.message}"


class SpaceError(HpsearchError):
    """All the mistakes of one space file, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.source, problem.line, problem.column)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnknownNameError(HpsearchError):
    """A name that is not on its shelf."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.known = tuple(sorted(known))
        super().__init__(f"unknown {kind} '{name}'{suggestion(name, self.known)}; known: {', '.join(self.known)}")


class UntrustedCodeError(HpsearchError):
    """Code from outside the project that the user has not trusted; `code` says which."""

    def __init__(self, message: str, code: Iterable[str]) -> None:
        self.code = tuple(code)
        super().__init__(message)


class ExperimentError(HpsearchError):
    """An experiment folder that cannot be read or does not fit the request."""


class ExperimentBusyError(ExperimentError):
    """A second start of an experiment that is running."""


class SealedSplitError(HpsearchError):
    """The test split was asked for where only training and validation data may be read."""


class DataError(HpsearchError):
    """The data that a space names are missing or malformed."""


class NoSplitError(DataError):
    """Data that have no test split."""


class ProgramError(HpsearchError):
    """A program that cannot be started, as it or its folder is not there; a run that failed so is tried again."""


class DivergedError(HpsearchError):
    """A loss, a gradient or a metric became NaN or infinite; the trial's outcome is `diverged`."""


class PeerLostError(HpsearchError):
    """Another process of the same training died or gave up; the run's outcome is `lost` unless that one says why."""


class SearchFailedError(HpsearchError):
    """The search cannot go on, for instance because the first trials all failed in the same way."""


class TrackingError(HpsearchError):
    """The tracking store refused, or cannot be reached."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return `, did you mean 'x'?` for the nearest known name, or an empty string when none is near."""
    nearest = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean '{nearest[0]}'?" if nearest else ""
