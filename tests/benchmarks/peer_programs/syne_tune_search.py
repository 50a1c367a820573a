"""Syne Tune as its tutorials show it: a process for each trial, its TPE, or ASHA where trials may be stopped.

It needs an interpreter that has syne-tune beside what hpsearch needs. The tuner looks every half second instead of
every five, and logs each trial to MLflow by one `log_batch`, so that trials need no MLflow of their own.
Run alone: `PYTHON -m tests.benchmarks.peer_programs.syne_tune_search digits --trials 8 --epochs 10 --folder /tmp/x`.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from syne_tune import Reporter, StoppingCriterion, Tuner
from syne_tune.backend import LocalBackend
from syne_tune.config_space import choice, finrange, loguniform
from syne_tune.optimizer.baselines import ASHA, TPE
from syne_tune.tuner_callback import TunerCallback

from tests.benchmarks.peer_programs.searching import Ended, Search, asked_for, leave
from tests.benchmarks.peer_programs.trainings import PROBLEMS

TIME = "st_worker_timestamp"


def be_a_trial() -> None:
    """Train one configuration, in the process that the backend has started for it."""
    import torch

    from tests.benchmarks.peer_programs.trainings import train

    parser = argparse.ArgumentParser()
    parser.add_argument("--problem")
    for name in ("epochs", "seed"):
        parser.add_argument(f"--{name}", type=int)
    problem = parser.parse_known_args()[0].problem
    for name, (kind, *given) in PROBLEMS[problem].space.items():
        parser.add_argument(f"--{name}", type={"int": int, "log": float, "choice": type(given[0])}[kind])
    config = vars(parser.parse_known_args()[0])
    torch.set_num_threads(1)
    report = Reporter()
    for epoch, scores in train(problem, config, epochs=config["epochs"], seed=config["seed"], fused=False):
        report(epoch=epoch, **scores)


def space_of(search: Search) -> dict[str, Any]:
    """Return the space in Syne Tune's words, and what each trial is told besides."""
    space: dict[str, Any] = {"problem": search.problem, "epochs": search.epochs, "seed": 1000 * search.seed}
    for name, (kind, *given) in PROBLEMS[search.problem].space.items():
        if kind == "int":
            space[name] = finrange(given[0], given[1], (given[1] - given[0]) // given[2] + 1, cast_int=True)
        elif kind == "log":
            space[name] = loguniform(*given)
        else:
            space[name] = choice(given)
    return space


class History(TunerCallback):
    """Keeps every result in memory."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[int, dict[str, Any]]] = {}
        self.configs: dict[int, dict[str, Any]] = {}

    def on_trial_result(self, trial: Any, status: str, result: dict[str, Any], decision: str) -> None:
        """Take a result."""
        self._take(trial, result)

    def on_trial_complete(self, trial: Any, result: dict[str, Any]) -> None:
        """Take the last one."""
        self._take(trial, result)

    def _take(self, trial: Any, result: dict[str, Any]) -> None:
        self.configs[trial.trial_id] = trial.config
        self.rows.setdefault(trial.trial_id, {})[result["epoch"]] = dict(result)


def log(search: Search, history: History) -> None:
    """Write all trials to MLflow."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    client = MlflowClient(f"sqlite:///{search.folder}/mlflow.db")
    experiment = client.create_experiment("syne tune")
    for trial, rows in history.rows.items():
        run = client.create_run(experiment, run_name=f"trial-{trial}").info.run_id
        metrics = [
            Metric(key, row[key], int(1000 * row[TIME]), epoch)
            for epoch, row in rows.items()
            for key in ("loss", "bits_per_char", "accuracy")
        ]
        client.log_batch(run, metrics, [Param(key, str(value)) for key, value in history.configs[trial].items()])
        client.set_terminated(run)


def main(search: Search) -> None:
    """Search, log, leave the results."""
    os.environ["SYNETUNE_FOLDER"] = str(search.folder / "syne-tune")
    metric, history = PROBLEMS[search.problem].metric, History()
    points = [{"base": 1e4, **config} for config in PROBLEMS[search.problem].fixed] if search.fixed else None
    given: dict[str, Any] = {"metric": metric, "random_seed": search.seed, "points_to_evaluate": points}
    if search.prune and search.epochs > 1:
        scheduler = ASHA(space_of(search), time_attr="epoch", max_t=search.epochs, **given)
    else:
        scheduler = TPE(space_of(search), **given)
    ask = scheduler.suggest

    def suggest() -> Any:
        """Propose as many as are asked for: the stopping criterion alone is looked at after the next has begun."""
        asked.append(None)
        return ask() if len(asked) <= search.trials else None

    asked: list[None] = []
    scheduler.suggest = suggest
    Tuner(
        trial_backend=LocalBackend(entry_point=str(Path(__file__).resolve()), num_gpus_per_trial=0),
        scheduler=scheduler,
        stop_criterion=StoppingCriterion(max_num_trials_finished=search.trials),
        n_workers=search.workers,
        sleep_time=0.5,
        wait_trial_completion_when_stopping=True,
        callbacks=[history],
    ).run()
    log(search, history)
    leave(
        search.folder,
        [
            Ended(min(row[metric] for row in rows.values()), len(rows), max(row[TIME] for row in rows.values()))
            for rows in history.rows.values()
        ],
    )


if __name__ == "__main__":
    if "--problem" in sys.argv:
        be_a_trial()
    else:
        main(asked_for(__doc__))
