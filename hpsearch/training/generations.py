"""From which of its files a training goes on: the newest checkpoint that is whole, with the weights of its best step.

Of both files the generation before is kept:

    checkpoint.pt   best.pt             the latest checkpoint, and the best weights so far
    previous.pt     previous-best.pt    what these were before they were written last

A checkpoint says of which step and value the best weights are, so that it finds its own whichever name they have: a
crash may have fallen between the writing of the two. One that is damaged, that is another trial's, or whose best
weights are gone, is passed over. On a CPU the training then comes to the same end bit for bit, only later.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import BEST, CHECKPOINT, PREVIOUS, PREVIOUS_BEST
from hpsearch.training.checkpoint import load

_PARTS = {"identity", "progress", "seconds", "model", "optimizer", "random"}
"""What a checkpoint has at least."""


@dataclass(frozen=True)
class Generation:
    """The checkpoint to go on from: the file's name, its content, and the name of the file with its best weights.

    There is no content where no file can be used. `passed_over` says why newer ones were not.
    """

    name: str = CHECKPOINT
    content: dict[str, Any] | None = None
    best: str = BEST
    passed_over: list[str] = field(default_factory=list)

    @property
    def step(self) -> int:
        """The last reported step before the checkpoint; 0 where there is none."""
        evaluations = self.content["progress"]["evaluations"] if self.content else []
        return int(evaluations[-1]["step"]) if evaluations else 0

    @property
    def note(self) -> str | None:
        """What is to be said of damaged files, None if there are none."""
        if not self.passed_over:
            return None
        if self.content is None:
            what = "the training begins again at its beginning"
        else:
            what = f"the training goes on from the checkpoint before it, after step {self.step}"
        return f"{'; '.join(self.passed_over)}; {what}"


def newest(folder: Path, seeds: Mapping[str, Any]) -> Generation:
    """Return the newest generation that a training with these seeds can go on from; nothing is written."""
    passed_over: list[str] = []
    for name in (CHECKPOINT, PREVIOUS):
        if not (folder / name).exists():
            continue
        try:
            content = load(folder / name)
            _check_own(folder / name, content, seeds)
            best = _best_of(folder, content, seeds)
        except HpsearchError as error:
            passed_over.append(str(error))
        else:
            return Generation(name, content, best, passed_over)
    return Generation(passed_over=passed_over)


def take_up(folder: Path, seeds: Mapping[str, Any]) -> Generation:
    """Return what `newest` does, and give its files the names of the latest."""
    found = newest(folder, seeds)
    if found.content is not None:
        if found.best != BEST:  # first: until the checkpoint has its name too, it is still found under the old one
            (folder / found.best).replace(folder / BEST)
        if found.name != CHECKPOINT:
            (folder / found.name).replace(folder / CHECKPOINT)
    return found


def _check_own(path: Path, content: Mapping[str, Any], seeds: Mapping[str, Any]) -> None:
    if not content.keys() >= _PARTS:
        raise HpsearchError(f"{path} is no checkpoint: it has no {', '.join(sorted(_PARTS - content.keys()))}")
    if content["identity"]["seeds"] != seeds:
        raise HpsearchError(f"{path} is another trial's: it has other seeds")


def _best_of(folder: Path, content: Mapping[str, Any], seeds: Mapping[str, Any]) -> str:
    """Return the name of the file with the weights of a checkpoint's best step.

    Those of a later step than the checkpoint's are fine too, as after a copy of a numbered checkpoint: the training
    comes to that step again.

    Raises:
        HpsearchError: They are damaged or gone.
    """
    progress, flaws = content["progress"], []
    if progress["best_step"] is None:
        return BEST
    found: dict[str, int] = {}
    for name in (BEST, PREVIOUS_BEST):
        if not (folder / name).exists():
            continue
        try:
            step, value = _measured(folder / name, seeds)
        except HpsearchError as error:
            flaws.append(str(error))
            continue
        if (step, value) == (progress["best_step"], progress["best_value"]):
            return name
        found[name] = step
    if found.get(BEST, 0) > progress["evaluations"][-1]["step"]:
        return BEST
    raise HpsearchError("; ".join(flaws) or f"{folder / BEST} with the weights of step {progress['best_step']} is gone")


def _measured(path: Path, seeds: Mapping[str, Any]) -> tuple[int, float]:
    """Return the step and the value of a file of best weights. Those of earlier versions do not say whose they are.

    Raises:
        HpsearchError: It is damaged, or another trial's.
    """
    content = load(path)
    if (content.get("seeds") or seeds) != seeds:
        raise HpsearchError(f"{path} is another trial's: it has other seeds")
    if not content.keys() >= {"model", "step", "value"}:
        raise HpsearchError(f"{path} holds no weights of a step")
    return int(content["step"]), float(content["value"])
