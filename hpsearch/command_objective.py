"""What a worker does with a job of the family `command`: run the program, read its metrics, judge its end."""

import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from hpsearch.engines import Ended, Job, Report, Reporter
from hpsearch.errors import DivergedError
from hpsearch.experiment.files import write_json
from hpsearch.families.command.arguments import arguments, environment
from hpsearch.families.command.printed import Measured, Tail, read_line
from hpsearch.families.command.program import Program, ran_out_of_memory
from hpsearch.families.command.settings import CommandConfig
from hpsearch.records import Decision, Goal, Monitor, Outcome

_LOOK_SECONDS = 0.2
_SETTINGS = "settings.json"
_OUTCOME_OF = {Decision.PRUNE: Outcome.PRUNED, Decision.TIME_OUT: Outcome.TIMED_OUT, Decision.PAUSE: None}
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that somebody else sends; others are the program's own fault."""


class CommandObjective:
    """Runs jobs as processes. The arguments are those of FamilyObjective."""

    def __init__(
        self,
        *,
        folder: str,
        family: str,
        family_folder: str,
        metric: str,
        goal: str,
        at_best: bool,
        threads: int,
        share: str | None,
        processes: int,
    ) -> None:
        del (
            family,
            threads,
            share,
            processes,
        )  # the program loads its own data; its threads are those of its environment
        self._folder = Path(folder)
        self._home = Path(family_folder)
        self._monitor = Monitor(metric, Goal(goal))
        self._at_best = at_best

    def __call__(self, job: Job, report: Reporter, started: Callable[[], None]) -> Ended:
        """Run the program of a job to its end, or until a report is answered with a stop."""
        if job.baselines:
            return Ended(Outcome.COMPLETE)
        config = CommandConfig.model_validate(job.config)
        place = (self._folder / job.run).resolve()
        given = _given(config, job, place)
        write_json(place / _SETTINGS, dict(config.model_extra or {}))
        resuming = (place / config.checkpoint).is_file()
        begun = time.monotonic()
        started()
        program = Program(
            arguments(config, given, resuming=resuming),
            directory=self._home / config.directory,
            environment=environment(config, given),
        )
        listener = _Listener(config, self._monitor, report, replicate=job.replicate is not None, at_best=self._at_best)
        try:
            for measured in _measured(program, config, place):
                decision = listener.hear(measured, time.monotonic() - begun)
                if decision is not Decision.CONTINUE:
                    return Ended(_OUTCOME_OF[decision], seconds=time.monotonic() - begun)
            ended = _judged(program.wait(), program.errors)
        finally:
            program.stop(grace=config.grace)
        if ended is not None:
            return ended
        return Ended(Outcome.COMPLETE, seconds=time.monotonic() - begun, scores=listener.scores)


def _given(config: CommandConfig, job: Job, place: Path) -> dict[str, str]:
    """Return what the placeholders beside the settings stand for."""
    gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return {
        "trial_dir": str(place),
        "seed": str(job.seeds["initialisation"]),
        "checkpoint": str(place / config.checkpoint),
        "device": ("cuda" if gpu else "cpu") if config.device == "auto" else config.device,
        "config": str(place / _SETTINGS),
    }


def _measured(program: Program, config: CommandConfig, place: Path) -> Iterator[Measured]:
    """Yield the metrics of a program until it has ended, those that it wrote at its end too."""
    file = Tail(place / config.metrics.file) if config.metrics.file is not None else None
    for line in program.lines(look=_LOOK_SECONDS):
        lines = file.lines() if file else [line] if line is not None else []
        yield from _found(lines, config)
    if file:
        yield from _found(file.lines(), config)


def _found(lines: "Iterator[str] | list[str]", config: CommandConfig) -> Iterator[Measured]:
    return (measured for line in lines if (measured := read_line(line, config.metrics)) is not None)


class _Listener:
    """Makes reports of the metrics, one for each that has the objective, and keeps the test scores for a replicate."""

    def __init__(
        self, config: CommandConfig, monitor: Monitor, report: Reporter, *, replicate: bool, at_best: bool
    ) -> None:
        self._config = config
        self._monitor = monitor
        self._report = report
        self._replicate = replicate
        self._at_best = at_best
        self._step = 0
        self._best: float | None = None
        self._waiting: dict[str, float] = {}
        self._tested: dict[str, float] = {}
        self._chosen: dict[str, float] = {}

    def hear(self, measured: Measured, seconds: float) -> Decision:
        """Report a line's metrics with those of lines before it, if it has the objective."""
        for name, value in measured.metrics.items():
            (self._tested if name.startswith("test/") else self._waiting)[name] = value
        if self._monitor.metric not in measured.metrics:
            return Decision.CONTINUE
        value = measured.metrics[self._monitor.metric]
        self._step = measured.step if measured.step is not None else self._step + 1
        if not math.isfinite(value):
            raise DivergedError(f"{self._monitor.metric} became {value} at step {self._step}")
        if not self._at_best or self._best is None or self._monitor.goal.better(value, self._best):
            self._best, self._chosen = value, dict(self._tested)
        self._tested = {}
        metrics, self._waiting = self._waiting, {}
        final = self._config.epochs is not None and self._step >= self._config.epochs
        return self._report(Report(self._step, metrics, seconds, final=final))

    @property
    def scores(self) -> dict[str, float]:
        """The test scores of a replicate: those printed after the last step, else those of the step that counts."""
        return (self._chosen | self._tested) if self._replicate else {}


def _judged(status: int, errors: str) -> Ended | None:
    """Return the ending of a program that failed, and None for one that did not."""
    if status == 0:
        return None
    end = errors.strip().splitlines()[-1:]
    if status < 0 and -status in _FROM_OUTSIDE:
        return Ended(Outcome.LOST, f"the program was ended by {signal.Signals(-status).name}")
    how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    reason = ": ".join([f"the program ended with {how}", *end])
    return Ended(Outcome.OUT_OF_MEMORY if ran_out_of_memory(errors) else Outcome.FAILED, reason)
