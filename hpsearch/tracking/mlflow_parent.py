"""What the parent run says about the experiment as a whole; needs no MLflow."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

from hpsearch.experiment.layout import CONFIG, SPACE
from hpsearch.records import Goal, Outcome
from hpsearch.tracking.mlflow_entries import DROPPED, Point, Row, param_text, run_kind, run_title
from hpsearch.tracking.mlflow_state import MirrorState, RunState


def parent_tags(resolved: dict[str, Any], folder: Path) -> dict[str, str]:
    """Return what the experiment is after and where it comes from: versions, commit, machine, seed and space."""
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


def conclusion(folder: Path, resolved: dict[str, Any], state: MirrorState) -> tuple[str | None, Row, dict[str, str]]:
    """Return the path of the best trial, and the metrics and the tags of the parent run."""
    trials = {path: run for path, run in state.runs.items() if run_kind(path) == "trial" and run.outcome != DROPPED}
    counts = Counter(run.outcome for run in trials.values())
    numbers: dict[str, float] = {f"trials/{outcome}": float(counts[outcome]) for outcome in Outcome}
    numbers["trials/unfinished"] = float(counts[None])
    tags: dict[str, str] = {}
    best = _best(trials, goal(resolved))
    if best:
        numbers["best_objective"] = trials[best].value or 0.0
        tags["hpsearch.best_run"] = run_title(best)
        tags |= {f"hpsearch.best.{name}": param_text(value) for name, value in _params(folder / best).items()}
    finished = len(trials) - counts[None]
    return best, [Point(name, value, state.time, finished) for name, value in numbers.items()], tags


def goal(resolved: dict[str, Any]) -> Goal:
    """Return the direction of the space's objective."""
    return Goal(resolved["space"]["objective"]["goal"])


def _best(trials: dict[str, RunState], direction: Goal) -> str | None:
    """Return the complete trial with the best value, the earliest of equals."""
    best: str | None = None
    value = math.nan
    for path, run in trials.items():
        if run.outcome != Outcome.COMPLETE or run.value is None or math.isnan(run.value):
            continue
        if best is None or direction.better(run.value, than=value):
            best, value = path, run.value
    return best


def _params(folder: Path) -> dict[str, Any]:
    file = folder / CONFIG
    params: dict[str, Any] = json.loads(file.read_text()).get("params", {}) if file.exists() else {}
    return params
