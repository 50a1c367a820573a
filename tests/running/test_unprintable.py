"""Exceptions that cannot be printed, are very long, or are no Exceptions: each costs its trial, and nothing more."""

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from hpsearch.errors import SearchFailedError
from hpsearch.experiment.layout import LOG, OUTPUT
from hpsearch.experiment.log import Log
from hpsearch.experiment.reading import read_lines
from hpsearch.jobs import Failed, Job, JobResult, ObjectiveSpec, Reporter, result_to_json
from hpsearch.records import Decision
from hpsearch.search.sources import JobList
from hpsearch.workers.coordinator import Coordinator, StopReason
from hpsearch.workers.job_runner import run_job
from hpsearch.workers.ledger import Ledger
from hpsearch.workers.limits import Limits
from hpsearch.workers.local.in_process import InProcessWorkers
from tests.running.hearing import Hearing


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this can be said")


class NotTextError(Exception):
    def __str__(self) -> str:
        return 3  # type: ignore[return-value] # noqa: PLE0307 -- that is the point


class Base(BaseException):
    pass


class ExitingError(Exception):
    def __str__(self) -> str:
        raise SystemExit(0)


class EndlessError(Exception):
    def __str__(self) -> str:
        return f"again: {self}"


class HugeError(Exception):
    def __str__(self) -> str:
        return "begin" + 100_000_000 * "x" + "end"


class UnpicklableError(Exception):
    def __reduce__(self) -> str:
        raise TypeError("no pickle")


def _group() -> BaseException:
    return BaseExceptionGroup("both workers", [ValueError("first"), KeyboardInterrupt("second")])


def _caused() -> Exception:
    error = ValueError("caused")
    error.__cause__ = MuteError()
    return error


ERRORS: dict[str, tuple[Callable[[], BaseException], str]] = {
    "surrogate": (lambda: ValueError("no label for /data/\udcff.png"), r"ValueError: no label for /data/\udcff.png"),
    "name": (lambda: FileNotFoundError(2, "No such file", "/data/\udcff"), "FileNotFoundError: [Errno 2] No such file"),
    "mute": (MuteError, "MuteError: its message cannot be printed (RuntimeError)"),
    "not text": (NotTextError, "NotTextError: its message cannot be printed (TypeError)"),
    "base": (lambda: Base("mine"), "Base: mine"),
    "generator": (GeneratorExit, "GeneratorExit: "),
    "exit": (lambda: SystemExit(3), "SystemExit: 3"),
    "exit 0": (lambda: SystemExit(0), "SystemExit: 0"),
    "exit text": (lambda: SystemExit("no GPU here"), "SystemExit: no GPU here"),
    "ctrl-c": (KeyboardInterrupt, "KeyboardInterrupt: "),
    "exiting": (ExitingError, "ExitingError: its message cannot be printed (SystemExit)"),
    "endless": (EndlessError, "EndlessError: its message cannot be printed (RecursionError)"),
    "huge": (HugeError, "HugeError: beginxxx"),
    "unpicklable": (lambda: UnpicklableError("mine"), "UnpicklableError: mine"),
    "group": (_group, "BaseExceptionGroup: both workers (2 sub-exceptions)"),
    "ours": (lambda: SearchFailedError("a search within a training"), "a search within a training"),
    "caused": (_caused, "ValueError: caused"),
    "control": (lambda: ValueError("a\0b\x1b[31m"), "ValueError: a\0b\x1b[31m"),
}


class Raising:
    """Raises the error that a job names."""

    def __call__(self, job: Job, report: Reporter, started: Callable[[], None]) -> JobResult:
        started()
        if job.params["error"] != "none":
            error, _ = ERRORS[job.params["error"]]
            raise error()
        raise AssertionError


def make_raising() -> Raising:
    return Raising()


def _job(error: str) -> Job:
    return Job(f"trials/{error.replace(' ', '-')}", 0, {"error": error}, {}, {"initialisation": 1})


@pytest.mark.parametrize("error", ERRORS)
def test_its_reason_can_be_read_anywhere(error: str) -> None:
    result = run_job(Raising(), _job(error), lambda _: Decision.CONTINUE, lambda: None)
    assert isinstance(result, Failed)
    assert result.reason.startswith(ERRORS[error][1])
    assert len(orjson.dumps(result_to_json(result))) < 150_000  # which refuses what is no UTF-8


def test_a_very_long_message_is_shortened_in_the_middle() -> None:
    def objective(*_: object) -> JobResult:
        raise ValueError("begin" + "x" * 30_000_000 + "end")

    result = run_job(objective, _job("none"), lambda _: Decision.CONTINUE, lambda: None)
    assert isinstance(result, Failed)
    reason = result.reason
    assert reason.startswith("ValueError: begin")
    assert re.search(r"end \(test_unprintable\.py:\d+\)$", reason)
    assert len(reason) < 5000


def test_its_reason_says_which_line_somebody_would_change() -> None:
    """Not the line of the library that it was raised in."""

    def objective(*_: object) -> JobResult:
        json.loads("{")
        raise AssertionError

    result = run_job(objective, _job("none"), lambda _: Decision.CONTINUE, lambda: None)
    line = objective.__code__.co_firstlineno + 1
    assert isinstance(result, Failed)
    assert result.reason.endswith(f" (test_unprintable.py:{line})")
    assert "json/decoder.py" in (result.details or "")


class Struck:
    """Is interrupted by the user while it trains, and makes something else of that."""

    def __call__(self, job: Job, report: Reporter, started: Callable[[], None]) -> JobResult:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ValueError("it could not be imported") from None
        raise AssertionError


def make_struck() -> Struck:
    return Struck()


def test_a_ctrl_c_of_the_user_is_no_failure_whatever_the_training_makes_of_it(tmp_path: Path) -> None:
    workers = InProcessWorkers(ObjectiveSpec("tests.running.test_unprintable:make_struck", {}))
    workers.start(_job("none"))
    hearing = Hearing()
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        workers.serve(hearing, timeout=0.0)
    assert not hearing.endings
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_search_goes_on_after_them_and_its_log_is_whole(tmp_path: Path) -> None:
    log = Log(tmp_path / LOG)
    ledger = Ledger(tmp_path, log, metric="val/loss", value_of=lambda history: (history[-1][1], history[-1][0]))
    workers = InProcessWorkers(ObjectiveSpec("tests.running.test_unprintable:make_raising", {}))
    jobs = [_job(error) for error in ERRORS]
    assert Coordinator(ledger, workers, Limits()).run(JobList(jobs)) is StopReason.FINISHED
    log.close()
    lines = (tmp_path / LOG).read_text(encoding="utf-8").splitlines()
    assert len(list(read_lines(tmp_path / LOG))) == len(lines)
    ends = {event["run"]: event for event in map(json.loads, lines) if event["event"] == "outcome"}
    assert {event["outcome"] for event in ends.values()} == {"failed"}
    assert len(ends) == len(jobs)
    assert r"/data/\udcff.png" in (tmp_path / "trials/surrogate" / OUTPUT).read_text(encoding="utf-8")
