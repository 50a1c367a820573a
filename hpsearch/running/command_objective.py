"""What a worker does with a job of the family `command`: run the program, read its metrics, judge its end."""

import os
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hpsearch.errors import DivergedError
from hpsearch.experiment.files import write_atomically
from hpsearch.experiment.layout import CAPTURED
from hpsearch.families.command.family import missing_data
from hpsearch.families.command.heard import Heard
from hpsearch.families.command.program import Capture, Program
from hpsearch.families.command.settings import CommandConfig, arguments, environment, settings_text
from hpsearch.jobs import (
    BaselinesScored,
    Completed,
    Diverged,
    Failed,
    Job,
    JobKind,
    JobResult,
    Lost,
    OutOfMemory,
    Reporter,
    TimedOut,
    stopped,
)
from hpsearch.records import Decision, Goal, Monitor
from hpsearch.running.attempts import Notes
from hpsearch.running.hearing import Hearing

_SETTINGS = "settings.json"
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that somebody else sends; others are the program's own fault."""
_MEMORY = re.compile(
    r"out of memory|OutOfMemoryError|^MemoryError|std::bad_alloc|cannot allocate memory|can't allocate memory",
    re.IGNORECASE | re.MULTILINE,
)


class CommandObjective:
    """Runs jobs as processes. `trial_time` is the time limit of a trial in seconds."""

    def __init__(
        self,
        *,
        folder: str,
        family_folder: str,
        metric: str,
        goal: str,
        at_best: bool,
        trial_time: float | None = None,
    ) -> None:
        self._folder = Path(folder)
        self._home = Path(family_folder)
        self._monitor = Monitor(metric, Goal(goal))
        self._at_best = at_best
        self._trial_time = trial_time

    def __call__(self, job: Job, report: Reporter, started: Callable[[], None]) -> JobResult:
        """Run the program of a job to its end, or until a report is answered with a stop."""
        if job.kind is JobKind.BASELINES:
            return BaselinesScored()
        config = CommandConfig.model_validate(job.config)
        place = (self._folder / job.run).resolve()
        tested = job.kind is JobKind.REPLICATE
        heard = Heard(self._monitor, epochs=config.epochs, at_best=self._at_best)
        hearing = Hearing(heard, Notes(place, self._monitor, tests=tested), config, self._monitor.metric, report)
        again = False
        while True:
            resumed = (place / config.checkpoint).is_file()
            with Capture(place / CAPTURED) as capture:
                try:
                    if not again:
                        hearing.resume(capture)
                    if hearing.decision is not Decision.CONTINUE:
                        capture.remove()
                        return stopped(hearing.decision, seconds=hearing.seconds)
                    program, over = self._run(job, config, hearing, capture, started)
                except DivergedError as error:
                    capture.remove()
                    return Diverged(str(error), seconds=hearing.seconds)
            if again or over or not resumed or not heard.misses_the_end or program.wait() != 0:
                break
            again = True  # it was killed between a checkpoint and the line that was to tell of it
            hearing.say("the program's checkpoint was ahead of what it had told; it begins again without it")
            (place / config.checkpoint).replace(place / f"{config.checkpoint}.ahead")
        result = self._result(hearing, program, over=over, tested=tested)
        if isinstance(result, Failed) and missing_data(config, self._home, program.errors):
            return replace(result, mistake=True)
        return result

    def _run(
        self, job: Job, config: CommandConfig, hearing: Hearing, capture: Capture, started: Callable[[], None]
    ) -> tuple[Program, bool]:
        """Run the program to its end; return it, and whether it was silent at its time limit."""
        place = (self._folder / job.run).resolve()
        given = _given(config, job, place)
        write_atomically(place / _SETTINGS, settings_text(config.model_extra or {}).encode())
        resuming = (place / config.checkpoint).is_file()
        hearing.begin(resuming=resuming)
        started()
        program = Program(
            arguments(config, given, resuming=resuming),
            directory=self._home / config.directory,
            environment=environment(config, given),
            capture=capture,
            errors_too=config.metrics.stderr,
        )
        try:
            over = hearing.listen(program, limit=self._trial_time if job.kind is JobKind.TRIAL else None)
        finally:
            program.stop(grace=config.grace)
        hearing.end()
        capture.remove()
        return program, over

    def _result(self, hearing: Hearing, program: Program, *, over: bool, tested: bool) -> JobResult:
        """Return the result of a job whose program has ended; `over` says that it was silent at its time limit."""
        heard, seconds, failure = hearing.heard, hearing.seconds, _judged(program.wait(), program.errors)
        paused = hearing.decision is Decision.PAUSE
        if hearing.decision is not Decision.CONTINUE and not (paused and failure is None and heard.finished):
            return stopped(hearing.decision, seconds=seconds)
        if over:
            silent = f"no report within the trial's time of {self._trial_time:g} s"
            return TimedOut(silent, seconds=seconds)
        if failure is not None:
            return replace(failure, seconds=seconds)
        if not heard.values:
            return Failed(hearing.why_nothing(program.errors), seconds=seconds)
        missing = ", ".join(heard.untold) if tested else ""
        reason = f"{missing} was not told of step {heard.step}, which counts" if missing else None
        return Completed(reason, seconds=seconds, scores=heard.scores if tested else {})


def _given(config: CommandConfig, job: Job, place: Path) -> dict[str, str]:
    """Return the values of the placeholders that are not settings."""
    gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return {
        "trial_dir": str(place),
        "seed": str(job.seeds["initialisation"]),
        "checkpoint": str(place / config.checkpoint),
        "device": ("cuda" if gpu else "cpu") if config.device == "auto" else config.device,
        "config": str(place / _SETTINGS),
    }


def _judged(status: int, errors: str) -> Lost | OutOfMemory | Failed | None:
    """Return the result of a program that failed, and None for one that did not."""
    if status == 0:
        return None
    end = errors.strip().splitlines()[-1:]
    if status < 0 and -status in _FROM_OUTSIDE:
        return Lost(f"the program was ended by {_signal(-status)}")
    how = f"signal {_signal(-status)}" if status < 0 else f"exit status {status}"
    reason = ": ".join([f"the program ended with {how}", *end])
    return (OutOfMemory if _MEMORY.search(errors) else Failed)(reason)


def _signal(number: int) -> str:
    """Return the name of a signal; some have none."""
    return signal.Signals(number).name if number in set(signal.Signals) else str(number)
