"""Ray Tune as somebody tunes it: actors that are used again, Optuna's TPE, ASHA, no dashboard, no files for each trial.

Fused AdamW, imports once for each actor; MLflow gets one `log_batch` a trial from the driver, after the search.
Run alone: `python -m tests.benchmarks.peer_programs.ray_tuned digits --trials 8 --epochs 10 --folder /tmp/x`.
"""

import os
from collections.abc import Iterator
from typing import Any

os.environ |= {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "TUNE_RESULT_BUFFER_LENGTH": "0"}  # read at import

import optuna
import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler
from ray.tune.search.optuna import OptunaSearch

from tests.benchmarks.peer_programs.ray_space import fixed, space_of
from tests.benchmarks.peer_programs.searching import Ended, Search, asked_for, leave
from tests.benchmarks.peer_programs.trainings import PROBLEMS


class Training(tune.Trainable):
    """One configuration after the other in the same process."""

    def setup(self, config: dict[str, Any], **given: Any) -> None:
        """Begin the first."""
        import torch

        torch.set_num_threads(1)
        self._given = given
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another one."""
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        from tests.benchmarks.peer_programs.trainings import train

        self._scores: Iterator[tuple[int, dict[str, float]]] = train(config=config, fused=True, **self._given)

    def step(self) -> dict[str, Any]:
        """Train an epoch."""
        epoch, scores = next(self._scores)
        return {**scores, "done": epoch == self._given["epochs"]}


class History(tune.Callback):
    """Keeps every result in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.configs: dict[str, dict[str, Any]] = {}

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Take a result."""
        self.configs[trial.trial_id] = dict(trial.config)
        self.rows.setdefault(trial.trial_id, []).append(dict(result))


def log(search: Search, history: History) -> None:
    """Write all trials to MLflow."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    client = MlflowClient(f"sqlite:///{search.folder}/mlflow.db")
    experiment = client.create_experiment("tuned")
    for name, rows in history.rows.items():
        run = client.create_run(experiment, run_name=name).info.run_id
        metrics = [
            Metric(key, row[key], 1000 * int(row["timestamp"]), epoch)
            for epoch, row in enumerate(rows, start=1)
            for key in ("loss", "bits_per_char", "accuracy")
        ]
        client.log_batch(run, metrics, [Param(key, str(value)) for key, value in history.configs[name].items()])
        client.set_terminated(run)


def main(search: Search) -> None:
    """Search, log, leave the results."""
    ray.init(num_cpus=search.workers, include_dashboard=False, log_to_driver=False)
    metric, history = PROBLEMS[search.problem].metric, History()
    given = {"name": search.problem, "epochs": search.epochs, "seed": 1000 * search.seed}
    points = fixed(search.problem)[: search.trials] if search.fixed else None
    tune.Tuner(
        tune.with_parameters(Training, **given),
        param_space=space_of(search.problem),
        tune_config=tune.TuneConfig(
            metric=metric,
            mode="min",
            num_samples=search.trials,
            search_alg=OptunaSearch(sampler=optuna.samplers.TPESampler(seed=search.seed), points_to_evaluate=points),
            scheduler=ASHAScheduler(max_t=search.epochs) if search.prune and search.epochs > 1 else FIFOScheduler(),
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            storage_path=str(search.folder.resolve() / "tune"),
            callbacks=[history],
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    ).fit()
    log(search, history)
    leave(
        search.folder,
        [
            Ended(min(row[metric] for row in rows), len(rows), float(rows[-1]["timestamp"]))
            for rows in history.rows.values()
        ],
    )


if __name__ == "__main__":
    main(asked_for(__doc__))
