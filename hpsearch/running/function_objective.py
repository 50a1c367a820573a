"""What a worker does with a job of a user's function: call it, hand on what it reports, judge its end."""

import os
import random
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.errors import DataError, DivergedError
from hpsearch.experiment.checksums import checksum_of
from hpsearch.experiment.layout import CHECKPOINT, PREVIOUS
from hpsearch.families.command.heard import Heard
from hpsearch.families.command.printed import Measured
from hpsearch.families.command.settings import flat
from hpsearch.families.function.report import Report, numbers
from hpsearch.families.loading import load_function
from hpsearch.jobs import BaselinesScored, Completed, Diverged, Failed, Job, JobKind, JobResult, Reporter, stopped
from hpsearch.records import Decision, Goal, Monitor
from hpsearch.running.attempts import Attempts, Notes

_LIVE = "checkpoint"
"""The file that the function writes. A report makes it CHECKPOINT, so that no half of a file is ever gone on from."""
_EPOCHS = ("epochs", "train.epochs")
"""Settings that say where a training ends."""
_SEED_BITS = 32


class FunctionObjective:
    """Calls a user's function for each job."""

    def __init__(
        self, *, folder: str, family: str, family_folder: str, metric: str, goal: str, at_best: bool, threads: int
    ) -> None:
        self._folder = Path(folder)
        self._home = Path(family_folder)
        self._function = load_function(family, self._home)
        self._monitor = Monitor(metric, Goal(goal))
        self._at_best = at_best
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(threads)

    def __call__(self, job: Job, report: Reporter, started: Callable[[], None]) -> JobResult:
        """Call the function with a job's configuration, until it returns or a report is answered with a stop."""
        if job.kind is JobKind.BASELINES:
            return BaselinesScored()
        config = self._function.config(job.config, self._home)
        heard = Heard(self._monitor, epochs=_epochs(job.config), at_best=self._at_best)
        tested = job.kind is JobKind.REPLICATE
        notes = Notes((self._folder / job.run).resolve(), self._monitor, tests=tested)
        attempts = Attempts(heard, notes, self._monitor.metric, report)
        try:
            if attempts.replay() is not None:
                attempts.end()
            if attempts.decision is Decision.CONTINUE:
                returned = self._call(job, config, attempts, started)
                if attempts.decision is Decision.CONTINUE:
                    self._take_returned(returned, attempts, tested=tested)
        except DivergedError as error:
            return Diverged(str(error), seconds=attempts.seconds)
        return _ending(attempts, tested=tested)

    def _call(self, job: Job, config: Any, attempts: Attempts, started: Callable[[], None]) -> Any:
        """Call the function; return what it returned, or None if it was told to stop.

        Raises:
            DivergedError: It reported an objective that is not finite.
            DataError: A file that its configuration names is not there.
        """
        files = _Checkpoint((self._folder / job.run).resolve())
        dropped = _TestScores(wanted=job.kind is JobKind.REPLICATE)

        def tell(step: float | None, metrics: Mapping[str, float], final: bool) -> bool:
            measured = Measured(step, _completed(dropped.without(metrics), step, attempts))
            kept = attempts.metric in metrics
            # first: a checkpoint that is kept must not be ahead of what is known
            attempts.note(measured, final=final, checkpoint=files.checksum if kept else None)
            if kept:
                files.take_over()
            attempts.tell(measured, final=final)
            return attempts.decision is Decision.CONTINUE

        report = Report(
            tell,
            checkpoint=files.live,
            folder=files.live.parent,
            seed=job.seeds["initialisation"],
            split_seed=job.seeds["split"],
            device=_device(),
            tests=job.kind is JobKind.REPLICATE,
            metric=self._monitor.metric,
        )
        restored = files.restore(attempts.checkpoints)
        if restored.note:
            attempts.say(restored.note)
        new = files.checksum if restored.there and restored.step is None else None
        attempts.begin(resuming=restored.there, step=restored.step, checkpoint=new)
        started()
        _seed(report.seed)
        returned = None
        try:
            places, named = self._function.signature.arguments(config, report)
            returned = self._function.function(*places, **named)
        except BaseException as error:
            if not report.stopped and not _ends_well(error):
                self._explain(config, error)
                raise
            # it was told to stop: what it makes of that is no failure, and neither is sys.exit(0)
        finally:
            attempts.end()
        if report.trouble is not None:
            raise report.trouble
        return returned

    def _explain(self, config: Any, error: BaseException) -> None:
        """Raise DataError for a file that the configuration names and that is not there."""
        if isinstance(error, FileNotFoundError) and self._function.missing_file(config, error):
            raise DataError(f"there is no file {error.filename}") from error

    def _take_returned(self, returned: Any, attempts: Attempts, *, tested: bool) -> None:
        """Take what the function returned: its only report if it made none, and test scores."""
        metric = self._monitor.metric
        if isinstance(returned, Mapping):
            reported = bool(attempts.heard.values)  # then it may return whatever else, such as a model
            counts = {name: value for name, value in returned.items() if not reported or str(name).startswith("test/")}
            kept = _TestScores(wanted=tested).without(numbers(counts, needed=metric))
        elif returned is not None and not attempts.heard.values:
            kept = numbers({metric: returned}, needed=metric)
        else:
            kept = {}
        if kept:
            attempts.note(Measured(None, kept))
            attempts.tell(Measured(None, kept))


def _ends_well(error: BaseException) -> bool:
    """Return whether an exception is `sys.exit()` or `sys.exit(0)`, which a program ends well with."""
    return isinstance(error, SystemExit) and error.code in (None, 0)


def _completed(metrics: dict[str, float], step: float | None, attempts: Attempts) -> dict[str, float]:
    """Return the metrics of a step, with the objective where that was told before them: then they are told again."""
    known = None if step is None or attempts.metric in metrics else attempts.heard.value_at(step)
    return metrics if known is None or not metrics else {**metrics, attempts.metric: known}


def _ending(attempts: Attempts, *, tested: bool) -> JobResult:
    """Return how a function's job ended that raised nothing."""
    heard, seconds = attempts.heard, attempts.seconds
    if attempts.decision is not Decision.CONTINUE:
        return stopped(attempts.decision, seconds=seconds)
    if not heard.values:
        nothing = f"the training ended without reporting {attempts.metric}"
        return Failed("; ".join(filter(None, [nothing, attempts.names])), seconds=seconds)
    missing = ", ".join(heard.untold) if tested else ""
    reason = f"{missing} was not told of step {heard.step}, which counts" if missing else None
    return Completed(reason, seconds=seconds, scores=heard.scores if tested else {})


@dataclass(frozen=True)
class _Restored:
    """Whether there is a file to go on from, that of which step if that is known, and what is to be said of others."""

    there: bool
    step: int | None = None
    note: str = ""


class _Checkpoint:
    """The file that a function goes on from: the one of its last report, never half of one.

    The one before it is kept, too. Their checksums stand beside what was reported with them.
    """

    def __init__(self, folder: Path) -> None:
        self.live = folder / _LIVE
        self._kept = folder / CHECKPOINT
        self._former = folder / PREVIOUS

    @property
    def checksum(self) -> str | None:
        """That of the file which the function has written since its last report; None if it has written none."""
        return checksum_of(self.live) if self.live.is_file() else None

    def restore(self, steps: Mapping[str, int]) -> _Restored:
        """Put the newest file that is whole in its place; `steps` are those of all that were kept, by their checksums.

        What earlier versions of hpsearch have kept has no checksum, and is taken as it is.
        """
        self.live.unlink(missing_ok=True)
        damaged: list[str] = []
        for path in (self._kept, self._former):
            if not path.is_file():
                continue
            step = steps.get(checksum_of(path))
            if step is None and steps:
                damaged.append(f"{path}: its checksum does not fit")
                continue
            if path == self._former:
                path.replace(self._kept)
            shutil.copyfile(self._kept, self.live)
            whence = "the checkpoint before it" + (f", after step {step}" if step else "")
            note = f"{'; '.join(damaged)}; the training goes on from {whence}" if damaged else ""
            return _Restored(there=True, step=step, note=note)
        note = f"{'; '.join(damaged)}; the training begins again at its beginning" if damaged else ""
        return _Restored(there=False, note=note)

    def take_over(self) -> None:
        """Keep what was written since the last report.

        Raises:
            ValueError: It is a folder.
        """
        if self.live.is_file():
            if self._kept.exists():
                self._kept.replace(self._former)
            self.live.replace(self._kept)
        elif self.live.is_dir():
            raise ValueError(
                "report.checkpoint is a folder, and has to be a file; write a folder below report.folder and its name "
                "into that file"
            )


class _TestScores:
    """Drops the scores of the test split where they are not wanted, and says so once."""

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted
        self._said = False

    def without(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Return the metrics that are kept."""
        kept = {name: value for name, value in metrics.items() if self._wanted or not name.startswith("test/")}
        if len(kept) < len(metrics) and not self._said:
            self._said = True
            dropped = ", ".join(name for name in metrics if name not in kept)
            sys.stdout.write(
                f"hpsearch: {dropped} is dropped, as a search must not see the test split; see report.tests\n"
            )
        return kept


def _epochs(config: Mapping[str, Any]) -> float | None:
    """Return the last epoch, where the configuration says it."""
    known = flat(config)
    values = [known[name] for name in _EPOCHS if name in known]
    return next((each for each in values if isinstance(each, int | float) and not isinstance(each, bool)), None)


def _device() -> str:
    """Return where the training may compute: on the GPU that was assigned to it, or that torch finds, else the CPU."""
    gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if torch := sys.modules.get("torch"):
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    return "cuda" if gpu else "cpu"


def _seed(seed: int) -> None:
    """Seed the random numbers of Python, and of numpy and torch where they are imported."""
    random.seed(seed)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(seed % (1 << _SEED_BITS))
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)
