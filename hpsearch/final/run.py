"""The run of an experiment whose weights are handed on, with its family, configuration and data."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.errors import ExperimentError, UnknownNameError
from hpsearch.experiment.layout import CONFIG
from hpsearch.experiment.reading import read_experiment, read_resolved, space_home
from hpsearch.families import Family
from hpsearch.families.loading import load_family
from hpsearch.final.source import Source
from hpsearch.records import ExperimentRecord, Outcome, RunRecord
from hpsearch.training.task import Splits


@dataclass(frozen=True)
class TrainedRun:
    """A complete training. `seeds` are its own, `resolved` what the experiment says of its space and versions."""

    experiment: ExperimentRecord
    record: RunRecord
    resolved: dict[str, Any]
    family: Family[Any]
    config: Any
    seeds: dict[str, int]

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return Path(self.experiment.folder) / self.record.run

    @property
    def at_best(self) -> bool:
        """Whether its value, and so its weights, are those of its best step."""
        return bool(self.experiment.at == "best")

    def splits(self) -> Splits:
        """Return its data, which are loaded when they are first used; the test split is open."""
        return open_splits(self.family, self.config, self.seeds["split"])


def open_splits(family: Family[Any], config: Any, seed: int) -> Splits:
    """Return the data of a configuration, each split loaded when it is first used; the test split is open."""
    return Splits(lambda split: family.load(config.data, split, seed), sealed=False)


def open_run(source: Source, *, run: str | None = None) -> TrainedRun:
    """Return a training of an experiment's winner, such as `confirm/0003/seed-001`; by default the best trial itself.

    Errors: HpsearchError when there is none, or the family runs programs; ExperimentError for one that is not complete.
    """
    experiment, resolved = read_experiment(source.folder), read_resolved(source.folder)
    record = source.winner if run is None else _named(experiment, run, winner=source.winner.number)
    if record.outcome is not Outcome.COMPLETE:
        raise ExperimentError(f"{record.run} of {source.folder} is not complete, so its weights are not the final ones")
    family = load_family(experiment.family, space_home(source.folder))
    job = json.loads((source.folder / record.run / CONFIG).read_text(encoding="utf-8"))
    changes = job.get("changes") or ()
    config = family.Config.model_validate(changes[-1]["config"] if changes else job["config"])
    return TrainedRun(experiment, record, resolved, family, config, job["seeds"])


def _named(experiment: ExperimentRecord, run: str, *, winner: int) -> RunRecord:
    runs = {each.run: each for each in (*experiment.trials, *experiment.replicates) if each.number == winner}
    if run not in runs:
        raise UnknownNameError("run of the winner", run, runs)
    return runs[run]
