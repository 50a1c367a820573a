"""One trial that a program has asked for and trains itself; what it says of it goes to the search, see asking.py."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from hpsearch.errors import HpsearchError
from hpsearch.families.function.signature import Configuration
from hpsearch.jobs import Diverged, Ending, Failed, Job, OutOfMemory, Report, TimedOut
from hpsearch.records import Outcome, metric_numbers

_ENDINGS = {ending.outcome.value: ending for ending in (Failed, Diverged, OutOfMemory, TimedOut)}
"""How a training may fail, by the name of its outcome."""


class Asked(Protocol):
    """The search that a trial belongs to."""

    @property
    def metric(self) -> str:
        """The metric that is searched for."""
        ...

    def reported(self, trial: "AskedTrial", report: Report) -> bool:
        """Write a report down and say whether the trial goes on."""
        ...

    def told(self, trial: "AskedTrial", value: float | None, metrics: Mapping[str, float], seconds: float) -> Outcome:
        """Write down what a trial came to, and return its outcome."""
        ...

    def failed(self, trial: "AskedTrial", ending: Ending) -> Outcome:
        """Write down that a trial has come to nothing, and return its outcome."""
        ...


class AskedTrial:
    """One trial that this program trains.

    Attributes:
        number: The trial's number in the experiment.
        params: The values of the space's ranges by their dotted names.
        config: All settings; `config["lr"]` and `config.lr`.
        seed: A seed of its own; `split_seed` is one for dividing the data, the same for all trials.
        folder: Its own folder, for checkpoints and whatever else; a trial that was lost finds its files there.
        attempt: 1, or more after it was lost.
    """

    def __init__(self, search: Asked, job: Job, *, folder: Path, attempt: int, seconds: float) -> None:
        self.job = job
        self.number = job.number
        self.params = dict(job.params)
        self.config = Configuration(job.config)
        self.seed = job.seeds["initialisation"]
        self.split_seed = job.seeds["split"]
        self.folder = folder
        self.attempt = attempt
        self._search = search
        self._before = seconds
        self._begun = time.monotonic()

    def __repr__(self) -> str:
        return f"<trial {self.number}: {self.params}>"

    @property
    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._begun

    def report(self, step: int, value: Any, *, final: bool = False) -> bool:
        """Report the metric, or several by their names, at a step.

        Args:
            step: An epoch, or any count that grows; what it was told first stays.
            value: A number, or a mapping with the objective in it.
            final: Whether the training ends with this step: then it is not pruned any more.

        Returns:
            Whether to go on. If not, the trial has ended, as pruned, timed out or, after a value that is not finite,
            diverged; there is nothing left to tell.

        Raises:
            HpsearchError: The step or the objective is not what it must be.
        """
        if isinstance(step, bool) or not hasattr(step, "__index__") or not 0 <= step.__index__() < 2**53:
            raise HpsearchError(f"step is {step!r}: expected a whole number from 0 on")
        metrics = self._metrics(value)
        return self._search.reported(self, Report(step.__index__(), metrics, self._seconds, final=final))

    def tell(self, value: Any = None) -> Outcome:
        """Say that the training is at its end, and what it came to.

        Args:
            value: The objective, or a mapping with it; left out, it follows from the reports, as `objective.at` says.

        Returns:
            The trial's outcome, as it was if it had ended before: complete, pruned, diverged.

        Raises:
            HpsearchError: The value is not a number, or there is neither a value nor a report.
        """
        metrics = {} if value is None else self._metrics(value)
        return self._search.told(self, metrics.get(self._search.metric), metrics, self._seconds)

    def fail(self, reason: str, *, outcome: str = Outcome.FAILED) -> Outcome:
        """Say that the training came to nothing, and why.

        Args:
            reason: A sentence.
            outcome: failed, diverged, out_of_memory or timed_out; the sampler learns to avoid the last three.

        Raises:
            HpsearchError: There is no such outcome.
        """
        if outcome not in tuple(_ENDINGS):
            raise HpsearchError(f"outcome is {outcome!r}: expected one of {', '.join(_ENDINGS)}")
        ending: Ending = _ENDINGS[outcome](str(reason))
        return self._search.failed(self, replace(ending, seconds=self._seconds))

    def _metrics(self, value: Any) -> dict[str, float]:
        name = self._search.metric
        try:
            given = value if isinstance(value, Mapping) else {name: value}
            found = metric_numbers(given, needed=name)
        except TypeError as error:
            raise HpsearchError(f"trial {self.number}: {error}") from None
        if name not in found:
            raise HpsearchError(
                f"trial {self.number}: {name} is missing among {', '.join(map(str, given)) or 'nothing'}"
            )
        return found
