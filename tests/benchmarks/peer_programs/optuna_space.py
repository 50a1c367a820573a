"""The problems' spaces in Optuna's words."""

from typing import Any

import optuna

from tests.benchmarks.peer_programs.trainings import PROBLEMS


def suggest(problem: str, trial: optuna.Trial) -> dict[str, Any]:
    """Return a configuration; `base` is asked for only where it means something."""
    config: dict[str, Any] = {}
    for name, (kind, *given) in PROBLEMS[problem].space.items():
        if name == "base" and config["position"] != "rope":
            continue
        if kind == "int":
            config[name] = trial.suggest_int(name, given[0], given[1], step=given[2])
        elif kind == "log":
            config[name] = trial.suggest_float(name, *given, log=True)
        else:
            config[name] = trial.suggest_categorical(name, given)
    return config


def enqueue(problem: str, study: optuna.Study) -> None:
    """Let a study begin with the fixed configurations."""
    for config in PROBLEMS[problem].fixed:
        study.enqueue_trial(dict(config))
