"""An experiment in Weights & Biases: a run for each training, grouped by experiment. Offline unless WANDB_MODE is set.

Offline runs lie in the experiment's folder `wandb/`; `wandb sync` sends them. Project, entity, tags, notes and name are
wandb's own environment variables: WANDB_PROJECT (by default `hpsearch`), WANDB_ENTITY, WANDB_TAGS, WANDB_NOTES and
WANDB_NAME (in front of a run's title).
"""

import hashlib
import os
from pathlib import Path
from typing import Any

from hpsearch.tracking.entries import MirroredRun, run_title
from hpsearch.tracking.mirror import ExperimentMirror, RunNews, Sink

PROJECT = "hpsearch"


def wandb_mirror(folder: Path) -> ExperimentMirror:
    """Return the mirror of an experiment."""
    return ExperimentMirror(folder, WandbSink(folder.resolve()))


class WandbSink(Sink):
    """Runs of wandb by their path in the experiment; those that go on stay open. Wandb takes its own time of day."""

    name = title = "wandb"
    state_file = "tracking-wandb.json"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs: dict[str, Any] = {}

    def write(self, run: MirroredRun, news: RunNews) -> None:  # noqa: ARG002 - the contract's signature
        """Set the configuration, log metrics and histograms by step, and finish a run that ended."""
        if news.config is not None:
            self._run(news.path).config.update(news.changes.params | news.config, allow_val_change=True)
        steps: dict[int, dict[str, Any]] = {}
        for row in news.rows:
            for point in row:
                steps.setdefault(point.step, {})[point.key] = point.value
        for look in news.looks:
            steps.setdefault(look["step"], {}).update(_histograms(look["parameters"]))
        for step in sorted(steps):
            self._run(news.path).log(steps[step], step=step)
        if news.outcome:
            self._run(news.path).summary["outcome"] = news.outcome
            self._runs.pop(news.path).finish()

    def close(self) -> None:
        """Finish the runs that are open; they go on under the same id."""
        while self._runs:
            self._runs.popitem()[1].finish()

    def _run(self, path: str) -> Any:
        if path not in self._runs:
            import wandb

            name = "-".join(filter(None, [os.environ.get("WANDB_NAME"), run_title(path)]))
            identity = hashlib.sha256(f"{self._folder}/{path}".encode()).hexdigest()[:16]
            self._runs[path] = wandb.init(
                project=os.environ.get("WANDB_PROJECT", PROJECT),
                entity=os.environ.get("WANDB_ENTITY"),
                tags=[tag for tag in os.environ.get("WANDB_TAGS", "").split(",") if tag],
                notes=os.environ.get("WANDB_NOTES"),
                group=self._folder.name,
                name=name,
                id=identity,
                resume="allow",
                dir=str(self._folder),
                mode=os.environ.get("WANDB_MODE", "offline"),  # type: ignore[arg-type] # wandb checks the name
                reinit="create_new",
                settings=wandb.Settings(silent=True, console="off", disable_git=True, x_disable_stats=True),
            )
        return self._runs[path]


def _histograms(parameters: dict[str, dict[str, Any]]) -> dict[str, Any]:
    import wandb

    return {
        f"{kind}s/{parameter}": wandb.Histogram(np_histogram=_bins(numbers[kind]))  # type: ignore[arg-type] # lists do
        for parameter, numbers in parameters.items()
        for kind in ("gradient", "weight")
        if kind in numbers
    }


def _bins(numbers: dict[str, Any]) -> tuple[list[int], list[float]]:
    low, counts = numbers["low"], numbers["counts"]
    width = (numbers["high"] - low) / len(counts)
    return counts, [low + place * width for place in range(len(counts) + 1)]
