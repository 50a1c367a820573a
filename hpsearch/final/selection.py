"""Whose winner is taken, and how it was chosen: the search, what it spent, its confirmation, the study around it.

It is the winner of an experiment, or of the arm that a study's planned comparison puts first. How it was chosen is
written, as plain data, into `origin.json` of a final training when that begins, so that the card of its model can tell
it even after the search's folder is gone.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hpsearch.comparing import Comparison, Question, compare_runs
from hpsearch.comparing.conclusion import listed
from hpsearch.errors import ExperimentError, HpsearchError, UnknownNameError
from hpsearch.experiment.layout import ORIGIN, is_experiment, is_study
from hpsearch.experiment.reading import read_experiment
from hpsearch.experiment.studies import read_result
from hpsearch.readers import Wanted, hpsearch_experiment
from hpsearch.records import BaselineRecord, ExperimentRecord, Goal, RunRecord
from hpsearch.report.replicates import Confirmed, group_of, summarise_baselines
from hpsearch.running.loading import open_space


@dataclass(frozen=True)
class WinnerSource:
    """The experiment whose winner is taken.

    Of a study also its folder, its result, the arm, the grounds on which it is taken, and whether the user named it.
    """

    folder: Path
    study: Path | None = None
    arm: str = ""
    grounds: str = ""
    named: bool = False
    result: Mapping[str, Any] | None = None

    @property
    def winner(self) -> RunRecord:
        """The experiment's best trial.

        Raises:
            HpsearchError: if there is none.
        """
        record = read_experiment(self.folder)
        best = record.best
        if best is None:
            damage = "".join(f"; {warning}" for warning in record.warnings)
            raise HpsearchError(f"{self.folder} has no complete trial yet, so there is no best one{damage}")
        return best

    @property
    def params(self) -> dict[str, Any]:
        """The values of the winner.

        Raises:
            HpsearchError: if there is none, or they changed while it was trained.
        """
        best = self.winner
        if best.changes:
            raise HpsearchError(
                f"the settings of the best trial in {self.folder} changed while it was trained; `hpsearch confirm` "
                "trains its whole schedule"
            )
        return dict(best.params)


def find_source(path: Path, *, arm: str | None = None) -> WinnerSource:
    """Return the experiment that a path names: itself, or an arm of a study, by default the first of its comparison.

    Raises:
        ExperimentError: for a study without a result.
        UnknownNameError: for the arm.
        HpsearchError: An arm was given, but the folder is not a study.
    """
    if not is_study(path):
        if arm is not None:
            raise HpsearchError(f"--arm={arm}: {path} is not a study, so it has no arms")
        return WinnerSource(path)
    if arm is not None:
        return _named(path, arm)
    result = _result(path)
    if result is None:
        raise ExperimentError(
            f"the study {path} has no result yet, or has gone on since, so no arm is the first; run `hpsearch study` "
            "to its end, or choose one with --arm"
        )
    chosen = _first(result)
    return WinnerSource(path / chosen, path, chosen, _standing(result, chosen), result=result)


def _result(study: Path) -> Mapping[str, Any] | None:
    """Return the study's result, unless one of its searches has found a better winner since."""
    result = read_result(study)
    if result is None:
        return None
    for arm, winner in result["winners"].items():
        best = read_experiment(study / arm).best if is_experiment(study / arm) else None
        if best is not None and best.number != winner["trial"]:
            return None
    return result


def _named(path: Path, arm: str) -> WinnerSource:
    result = _result(path)
    arms = list(result["winners"]) if result else sorted(each.parent.name for each in path.glob("*/resolved.json"))
    if arm not in arms:
        raise UnknownNameError("searched arm", arm, arms)
    standing = f" {_standing(result, arm)}" if result else ""
    grounds = f"It was named with --arm, not chosen by its score.{standing}"
    return WinnerSource(path / arm, path, arm, grounds, named=True, result=result)


def _means(result: Mapping[str, Any]) -> dict[str, float]:
    """Return the mean test score of each searched arm that has one."""
    found = {each["name"]: each["mean"] for each in result["comparison"]["experiments"]}
    return {name: found[name] for name in result["winners"] if found.get(name) is not None}


def _first(result: Mapping[str, Any]) -> str:
    means, goal = _means(result), Goal(result["comparison"]["goal"])
    if not means:
        raise ExperimentError("no searched arm has its own mean test score; choose one with --arm")
    best = next(iter(means))
    for name, value in means.items():
        best = name if goal.better(value, means[best]) else best
    return best


def _standing(result: Mapping[str, Any], arm: str) -> str:
    """Describe the arm's rank among the searched ones and what the planned test has shown of it."""
    means, metric = _means(result), result["comparison"]["metric"]
    others = [name for name in means if name != arm]
    if arm not in means or not others:
        return f"It is the only arm that was searched and scored by {metric}."
    goal = Goal(result["comparison"]["goal"])
    above = [name for name in others if goal.better(means[name], means[arm])]
    said = f"It has the {_rank(len(above))} mean {metric} of {len(means)} searched arms ({means[arm]:.4g})."
    better = [name for name in others if _verdict(result, arm, name) == "better"]
    if len(better) == len(others):
        return f"{said} By the planned test it is better than {listed(others)}."
    open_ = [f"{name} ({_verdict(result, arm, name)})" for name in others if name not in better]
    shown = f" By the planned test it is better than {listed(better)}." if better else ""
    best = "" if above else ": it is nominally the best, not proven to be"
    return f"{said}{shown} That it is better than {listed(open_)} has not been shown{best}."


def _verdict(result: Mapping[str, Any], arm: str, other: str) -> str:
    """Return the planned test's verdict on the arm, as seen from it."""
    turned = {"better": "worse", "worse": "better"}
    for pair in result["comparison"]["pairs"]:
        verdict = str(pair["verdict"])
        if (pair["a"], pair["b"]) == (arm, other):
            return verdict
        if (pair["a"], pair["b"]) == (other, arm):
            return turned.get(verdict, verdict)
    return "not tested"


def _rank(above: int) -> str:
    names = ("best", "second best", "third best")
    return names[above] if above < len(names) else f"{above + 1}th best"


FORMAT_VERSION = 1


@dataclass(frozen=True)
class Selection:
    """How a winner became the winner.

    `configurations` is how many the space has, None for a continuum. `scores` are of the winner's replicates: test
    metric -> n, mean, sd, ci95, ci_method; `replicates` says what one of them is (seed or fold), `replication` explains
    it. `baselines`: method -> test metric -> value. `study` is None if the experiment is not an arm of one.
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
        """Return the contents of origin.json."""
        return {"version": FORMAT_VERSION, **asdict(self)}


def read_origin(folder: Path) -> Origin | None:
    """Return the origin of a final training, or None for other experiments.

    Raises:
        ExperimentError: the folder cannot be used.
    """
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


def selection_of(source: WinnerSource) -> Selection:
    """Read from an experiment's folder how its winner was selected.

    Raises:
        HpsearchError: it cannot be done; the message says why.
    """
    record, best, space = read_experiment(source.folder), source.winner, open_space(source.folder, programs=False)
    group = _counted(record, best.number)
    comparisons = _described(record, group, space.interface.metrics)
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


def _study(source: WinnerSource) -> dict[str, Any] | None:
    if source.study is None:
        return None
    told: dict[str, Any] = {"name": source.study.resolve().name, "arm": source.arm}
    told |= {"grounds": source.grounds, "named": source.named}
    if source.result is None:
        return told
    kept = {name: source.result[name] for name in ("question", "answer", "confirmatory", "quick", "command")}
    kept |= {"standard": True} if source.result.get("standard") else {}  # results of earlier versions have no such word
    arms = [
        {name: each[name] for name in ("name", "n", "mean", "sd", "ci95", "ci_method")}
        for each in source.result["comparison"]["experiments"]
    ]
    comparison = source.result["comparison"]
    return {**told, **kept, "metric": comparison["metric"], "goal": comparison["goal"], "arms": arms}
