"""What MLflow is told of a whole experiment or study: the tags of its run and of its page, and what came out."""

import json
import math
import statistics
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpsearch.cleaning import markdown
from hpsearch.experiment.files import read_json
from hpsearch.experiment.layout import CONFIG, SPACE, RunKind, raced_trial, run_kind
from hpsearch.experiment.reading import most_seeds
from hpsearch.experiment.studies import read_result
from hpsearch.records import Goal, Outcome
from hpsearch.tracking.entries import DROPPED, MirroredRun, MirrorState, Point, Row, run_title
from hpsearch.tracking.mlflow.writing import param_text

BEST_TAG, BEST_RUN_TAG, STUDY_TAG = "hpsearch.best", "hpsearch.best_run", "hpsearch.study_id"
DESCRIPTION_TAG = "mlflow.note.content"
"""MLflow shows it as the description of a run or an experiment, in Markdown."""


def parent_tags(resolved: dict[str, Any], folder: Path) -> dict[str, str]:
    """Return the experiment's objective and provenance: versions, commit, machine, seed and space."""
    tags = {"mlflow.source.name": "hpsearch", "hpsearch.folder": str(folder), "hpsearch.space": str(folder / SPACE)}
    tags |= {f"hpsearch.{name}": str(resolved["space"]["objective"][name]) for name in ("metric", "goal")}
    for name in ("family", "seed", "machine"):
        if resolved.get(name) is not None:
            tags[f"hpsearch.{name}"] = param_text(resolved[name])
    for name, version in (resolved.get("versions") or {}).items():
        tags[f"hpsearch.version.{name}"] = str(version)
    if git := resolved.get("git"):
        tags |= {"mlflow.source.git.commit": str(git["commit"]), "hpsearch.git.dirty": str(git["dirty"]).lower()}
    return tags


def experiment_tags(resolved: dict[str, Any], folder: Path, *, best: tuple[str, float] | None = None) -> dict[str, str]:
    """Return what the page of the MLflow experiment says: what is searched, and the best trial with its value."""
    objective = resolved["space"]["objective"]
    family, goal, metric = str(resolved["space"].get("family", "")), str(objective["goal"]), str(objective["metric"])
    # the page shows the first line until it is unfolded
    parts = [f"Search of {markdown(folder.name)}: {markdown(family)}, {goal} {markdown(metric)}."]
    tags = {"hpsearch.family": family, "hpsearch.metric": metric, "hpsearch.goal": goal}
    if best is not None:
        path, value = best
        given = ", ".join(f"{name} = {param_text(each)}" for name, each in _params(folder / path).items())
        parts[0] += f" Best: **{value:.6g}** in {run_title(path)}" + (f" ({markdown(given)})." if given else ".")
        tags |= {BEST_TAG: repr(value), BEST_RUN_TAG: run_title(path)}
    parts.append(f"Folder: {markdown(str(folder))}")
    tags |= {"hpsearch.kind": "experiment", "hpsearch.space": str(folder / SPACE), "hpsearch.folder": str(folder)}
    return tags | {DESCRIPTION_TAG: "\n\n".join(parts)}


def conclusion(folder: Path, resolved: dict[str, Any], state: MirrorState) -> tuple[str | None, Row, dict[str, str]]:
    """Return the path of the best trial, and the metrics and the tags of the parent run."""
    trials = {
        path: run for path, run in state.runs.items() if run_kind(path) is RunKind.TRIAL and run.outcome != DROPPED
    }
    counts = Counter(run.outcome for run in trials.values())
    numbers: dict[str, float] = {f"trials/{outcome}": float(counts[outcome]) for outcome in Outcome}
    numbers["trials/unfinished"] = float(counts[None])
    tags: dict[str, str] = {}
    values = values_by_seed(state.runs)
    space = resolved["space"]
    best = _best(trials, values, Goal(space["objective"]["goal"]), most_seeds=most_seeds(space))
    if best:
        numbers["best_objective"] = math.fsum(values[best]) / len(values[best])
        if len(values[best]) > 1:
            numbers |= {"best_objective/seeds": len(values[best]), "best_objective/sd": statistics.stdev(values[best])}
        tags[BEST_RUN_TAG] = run_title(best)
        tags |= {f"hpsearch.best.{name}": param_text(value) for name, value in _params(folder / best).items()}
    finished = len(trials) - counts[None]
    return best, [Point(name, value, state.time, finished) for name, value in numbers.items()], tags


def values_by_seed(runs: Mapping[str, MirroredRun]) -> dict[str, list[float]]:
    """Return the values of each trial that has come to its end, on all seeds that it was trained on (search.seeds)."""
    values = {
        path: [run.value]
        for path, run in runs.items()
        if run_kind(path) is RunKind.TRIAL
        and run.outcome == Outcome.COMPLETE
        and run.value is not None
        and not math.isnan(run.value)
    }
    for path, run in runs.items():
        trial = raced_trial(path)
        if trial is None or run.outcome is None or trial not in values:
            continue
        if run.outcome == Outcome.COMPLETE and run.value is not None and math.isfinite(run.value):
            values[trial].append(run.value)
        else:  # what cannot be trained on every seed is not the best
            del values[trial]
    return values


def _best(
    trials: Mapping[str, MirroredRun], values: Mapping[str, list[float]], direction: Goal, *, most_seeds: int
) -> str | None:
    """Return the complete trial with the best mean, the earliest of equals; those with all seeds come first."""
    full = any(path in values and len(values[path]) >= most_seeds for path in trials)
    best: str | None = None
    value = math.nan
    for path in trials:
        if path in values and (len(values[path]) >= most_seeds or not full):
            mean = math.fsum(values[path]) / len(values[path])
            if best is None or direction.better(mean, than=value):
                best, value = path, mean
    return best


def _params(folder: Path) -> dict[str, Any]:
    """Return what was searched in a run, as far as its folder can tell: a damaged configuration cannot."""
    try:
        return dict(read_json(folder / CONFIG)["params"])
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def study_tags(study: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Return the study's question and provenance."""
    plan, result = study["latest"], read_result(folder)
    answer = [f"**{markdown(result['answer'])}**"] if result else []
    tags = {
        STUDY_TAG: study["id"],
        "hpsearch.kind": "study",
        "hpsearch.question": plan["question"],
        "hpsearch.metric": plan["metric"]["name"],
        "hpsearch.goal": plan["metric"]["goal"],
        "hpsearch.seed": str(plan["seed"]),
        "hpsearch.study_file": study["file"],
        "hpsearch.folder": str(folder),
        "mlflow.source.name": "hpsearch",
        DESCRIPTION_TAG: "\n\n".join([markdown(plan["question"]), *answer]),
    }
    if result:
        tags |= {"hpsearch.answer": result["answer"], "hpsearch.confirmatory": json.dumps(result["confirmatory"])}
    return tags
