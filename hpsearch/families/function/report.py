"""What a user's function is given beside its settings: `report(step, {"val/loss": ...})`."""

import json
import operator
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, SupportsFloat

from hpsearch.records import metric_number, metric_numbers

Tell = Callable[[float | None, Mapping[str, float], bool], bool]
"""Takes a step, its metrics and whether it is the last; says whether the training goes on."""
_LARGEST = 2.0**53
"""From here on floats do not hold every whole number."""
_LONGEST = 200
"""Characters of a message about a value."""


class Stopped(BaseException):
    """Ends a training that was pruned, paused or out of time: no `except Exception` catches it."""


class Report:
    """Tells hpsearch how a training goes, and the training what it needs to know.

    Attributes:
        checkpoint: A file to go on from, if it is there when the training starts, and to write before a report. The
            report takes the file over: it is there again when the training is resumed.
        folder: The training's own folder, for whatever else it writes.
        seed: A seed of the training's own. Random numbers of Python, numpy and torch are seeded with it already.
        split_seed: A seed for dividing the data, the same for all trainings of an experiment.
        device: `cuda`, `mps` or `cpu`.
        tests: Whether scores of the test split are wanted, under names such as `test/accuracy`: only when a winner is
            trained again. Those of the search's own trials are dropped.
        stopped: Whether the training is asked to end.
    """

    def __init__(
        self,
        tell: Tell,
        *,
        checkpoint: Path,
        folder: Path,
        seed: int,
        split_seed: int,
        device: str,
        tests: bool,
        metric: str = "",
    ) -> None:
        """`metric` is the one that has to be a number."""
        self._tell = tell
        self._metric = metric
        self._process = os.getpid()
        self.checkpoint = checkpoint
        self.folder = folder
        self.seed = seed
        self.split_seed = split_seed
        self.device = device
        self.tests = tests
        self.stopped = False
        self.trouble: BaseException | None = None
        """What telling has failed with, if it has."""

    def __call__(
        self,
        step: SupportsFloat | None,
        metrics: Mapping[str, SupportsFloat],
        *,
        final: bool = False,
        raises: bool = True,
    ) -> bool:
        """Report the metrics of a step: numbers by name, such as {"val/loss": 0.2}.

        Args:
            step: How far the training is: an epoch, or any count that grows. None for test scores of the model that
                the training chose at its end.
            metrics: Numbers: Python's, numpy's, arrays and tensors of one element. What is none (a boolean, text, None)
                is left out with a warning in output.log; the objective has to be one.
            final: Whether the training ends with this step: then it is neither pruned nor paused any more. A setting
                `epochs` says that too, where steps are epochs.
            raises: Whether the training is left by an exception when it is to end. Without, it must return by itself.

        Returns:
            Whether to go on.

        Raises:
            Stopped: The training is to end. It is no Exception; let it pass.
            TypeError: The objective is not a number, or the step.
            ValueError: The step is negative, or no number below 2**53.
            RuntimeError: This is another process than the one that hpsearch has called.
        """
        if os.getpid() != self._process:
            raise RuntimeError(
                "report works only in the process that hpsearch has called; a training of several processes is a "
                "program: family: command"
            )
        found, values = None if step is None else _step(step), numbers(metrics, needed=self._metric)
        if not self.stopped:
            try:
                self.stopped = not self._tell(found, values, final)
            except BaseException as error:  # noqa: BLE001 -- raised again where no code of the user's can swallow it
                self.trouble = error
                self.stopped = True
        if self.stopped and raises:
            raise Stopped
        return not self.stopped


def numbers(metrics: Mapping[str, Any], *, needed: str) -> dict[str, float]:
    """Return the numbers among metrics, see `metric_number`.

    Raises:
        TypeError: The `needed` one is not a number, or there is no mapping.
    """
    if not isinstance(metrics, Mapping):
        raise TypeError(f"report takes metrics by name, such as {{'val/loss': 0.2}}, and not {metrics!r}"[:_LONGEST])
    return metric_numbers(metrics, needed=needed)


def _step(step: Any) -> float:
    try:
        found: float = operator.index(step)
    except TypeError:
        number = metric_number(step)
        if number is None:
            raise TypeError(f"the step is no number but a {type(step).__name__}: {step!r}"[:_LONGEST]) from None
        found = number
    if not 0 <= found < _LARGEST:
        raise ValueError(f"the step is {step!r}; steps begin at 0 and end below 2**53")
    return found


def given_report(report: Report | None) -> Report | None:
    """Return the report of a function, or one that prints for hpsearch in a program of `family: command`, or None.

    Of a program with several processes only that of rank 0 prints.
    """
    folder = os.environ.get("HPSEARCH_TRIAL_DIR")
    if report is not None or folder is None:
        return report
    speaks = int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0

    def tell(step: float | None, metrics: Mapping[str, float], _: bool) -> bool:
        if speaks:
            sys.stdout.write(json.dumps({**({} if step is None else {"step": step}), **metrics}) + "\n")
            sys.stdout.flush()
        return True

    seed = int(os.environ["HPSEARCH_SEED"])
    return Report(
        tell,
        checkpoint=Path(os.environ["HPSEARCH_CHECKPOINT"]),
        folder=Path(folder),
        seed=seed,
        split_seed=seed,
        device=os.environ["HPSEARCH_DEVICE"],
        tests=True,
    )


OUTSIDE = "hpsearch: nobody searches here, so the callback does nothing\n"
