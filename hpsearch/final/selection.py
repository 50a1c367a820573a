"""How a configuration was chosen: the search, what it spent, its confirmation, and the study around it, as plain data.

It is written into `origin.json` of a final training when that begins, so that the card of its model can tell it even
after the search's folder is gone.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hpsearch.compare import compare_runs
from hpsearch.errors import ExperimentError
from hpsearch.experiment.layout import ORIGIN
from hpsearch.experiment.reading import read_experiment
from hpsearch.final.source import Source
from hpsearch.loading import open_space
from hpsearch.readers import Wanted, hpsearch_experiment
from hpsearch.records import ExperimentRecord, Goal

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Selection:
    """How a winner became the winner.

    `configurations` is how many the space has, None for a continuum. `scores` are of the winner's replicates: test
    metric -> n, mean, sd, ci95, ci_method; `replication` says what they are replicates of. `baselines`: method -> test
    metric -> value. `study` is None where the experiment is no arm of one.
    """

    experiment: str
    folder: str
    objective: Mapping[str, Any]
    search: Mapping[str, Any]
    ranges: int
    configurations: int | None
    trials: int
    outcomes: Mapping[str, int]
    winner: int
    value: float | None
    params: Mapping[str, Any]
    replication: str = ""
    scores: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    study: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Origin:
    """Whose winner a final training trains, and the command that trained it."""

    command: str
    selection: Selection

    def to_json(self) -> dict[str, Any]:
        """Return what origin.json holds."""
        return {"version": FORMAT_VERSION, **asdict(self)}


def read_origin(folder: Path) -> Origin | None:
    """Return where a final training comes from; None for other experiments. Errors: ExperimentError."""
    path = folder / ORIGIN
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] > FORMAT_VERSION:
            raise ExperimentError(f"{path} was written by a newer hpsearch (format {content['version']})")
        return Origin(content["command"], Selection(**content["selection"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ExperimentError(f"{path} is damaged: {error}") from error


def selection_of(source: Source) -> Selection:
    """Return how the winner of an experiment was chosen, from its folder as it stands. Errors: HpsearchError."""
    record, best, space = read_experiment(source.folder), source.winner, open_space(source.folder)
    scores, replication = _scores(record, best.number, space.face.metrics)
    return Selection(
        experiment=record.name,
        folder=str(source.folder.resolve()),
        objective=space.objective.model_dump(mode="json"),
        search={"sampler": space.search.sampler.kind, "pruner": space.search.pruner.kind, "seed": space.search.seed},
        ranges=len(space.parameters),
        configurations=space.size,
        trials=len(record.trials),
        outcomes=dict(Counter(str(trial.outcome or "unfinished") for trial in record.trials)),
        winner=best.number,
        value=best.value,
        params=dict(best.params),
        replication=replication,
        scores=scores,
        baselines={each.name: of_test(each.scores) for each in record.baselines},
        study=_study(source),
    )


def of_test(scores: Mapping[str, float]) -> dict[str, float]:
    """Return the test scores that are numbers."""
    return {name: value for name, value in scores.items() if name.startswith("test/") and math.isfinite(value)}


def _scores(record: ExperimentRecord, winner: int, goals: Mapping[str, Goal]) -> tuple[dict[str, Any], str]:
    """Return the summary of each test metric over the winner's replicates, and what these are."""
    runs = [
        run
        for run in hpsearch_experiment.read(Path(record.folder), Wanted("")).runs
        if run.search is None and not run.deterministic and run.trial == winner
    ]
    found: dict[str, Any] = {}
    reason = ""
    for metric in dict.fromkeys(name for run in runs for name in run.metrics if name.startswith("test/")):
        goal = goals.get(metric.partition("/")[2], Goal.MINIMIZE)  # only a comparison would need it
        comparison = compare_runs(runs, metric=metric, goal=goal)
        summary, reason = comparison.experiments[0].to_json(), comparison.unit_reason
        found[metric] = {name: summary[name] for name in ("n", "mean", "sd", "ci95", "ci_method")}
    return found, reason


def _study(source: Source) -> dict[str, Any] | None:
    if source.study is None:
        return None
    told: dict[str, Any] = {"name": source.study.resolve().name, "arm": source.arm}
    told |= {"grounds": source.grounds, "named": source.named}
    if source.result is None:
        return told
    kept = {name: source.result[name] for name in ("question", "answer", "confirmatory", "quick", "command")}
    arms = [
        {name: each[name] for name in ("name", "n", "mean", "sd", "ci95", "ci_method")}
        for each in source.result["comparison"]["experiments"]
    ]
    return {**told, **kept, "metric": source.result["comparison"]["metric"], "arms": arms}
