"""How a configuration was chosen: the search, what it spent, its confirmation, and the study around it, as plain data.

It is written into `origin.json` of a final training when that begins, so that the card of its model can tell it even
after the search's folder is gone.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hpsearch.comparing import Comparison, Question, compare_runs
from hpsearch.errors import ExperimentError
from hpsearch.experiment.layout import ORIGIN
from hpsearch.experiment.reading import read_experiment
from hpsearch.final.source import Source
from hpsearch.readers import Wanted, hpsearch_experiment
from hpsearch.records import BaselineRecord, ExperimentRecord, Goal
from hpsearch.report.replicates import Confirmed, group_of, summarise_baselines
from hpsearch.running.loading import open_space

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Selection:
    """How a winner became the winner.

    `configurations` is how many the space has, None for a continuum. `scores` are of the winner's replicates: test
    metric -> n, mean, sd, ci95, ci_method; `replicates` says what one of them is (seed or fold), `replication` explains
    it. `baselines`: method -> test metric -> value. `study` is None where the experiment is no arm of one.
    `data_changed` says how the data of the final training differ from those of the search.
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
    replicates: str = ""
    replication: str = ""
    scores: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    study: Mapping[str, Any] | None = None
    data_changed: Sequence[str] = ()


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
    group = _counted(record, best.number)
    comparisons = _described(record, group, space.face.metrics)
    described = next(iter(comparisons.values()), None)
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
        replicates=str(described.unit) if described else "",
        replication=described.unit_reason if described else "",
        scores={metric: _score(comparison) for metric, comparison in comparisons.items()},
        baselines={
            name: of_test({metric: score.mean for metric, score in scores.items()})
            for name, scores in summarise_baselines(_beside(record, group)).items()
        },
        study=_study(source),
    )


def of_test(scores: Mapping[str, float]) -> dict[str, float]:
    """Return the test scores that are numbers."""
    return {name: value for name, value in scores.items() if name.startswith("test/") and math.isfinite(value)}


def _counted(record: ExperimentRecord, winner: int) -> Confirmed | None:
    """Return the winner's replicates that count: those on seeds, where there are any, and on folds are never mixed."""
    groups = {group_of(each) for each in record.replicates if each.number == winner}
    return min(groups, key=lambda group: group.folds or 0, default=None)


def _beside(record: ExperimentRecord, group: Confirmed | None) -> list[BaselineRecord]:
    """Return the classical methods' scores of the same kind; all where the winner has no replicates."""
    return [each for each in record.baselines if group is None or (each.fold and each.fold.folds) == group.folds]


def _described(record: ExperimentRecord, group: Confirmed | None, goals: Mapping[str, Goal]) -> dict[str, Comparison]:
    """Return for each test metric a comparison that holds nothing but these replicates."""
    names = {f"{record.name}/{each.run}" for each in record.replicates if group_of(each) == group}
    runs = [run for run in hpsearch_experiment.read(Path(record.folder), Wanted("")).runs if run.run in names]
    metrics = dict.fromkeys(name for run in runs for name in run.metrics if name.startswith("test/"))
    return {
        # the goal would matter only for a second arm
        metric: compare_runs(runs, Question(metric, goals.get(metric.partition("/")[2], Goal.MINIMIZE)))
        for metric in metrics
    }


def _score(comparison: Comparison) -> dict[str, Any]:
    summary = comparison.experiments[0].to_json()
    return {name: summary[name] for name in ("n", "mean", "sd", "ci95", "ci_method")}


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
    comparison = source.result["comparison"]
    return {**told, **kept, "metric": comparison["metric"], "goal": comparison["goal"], "arms": arms}
