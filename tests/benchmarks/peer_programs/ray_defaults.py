"""Ray Tune as its first page shows it: a function, random configurations, no scheduler, MLflow by Ray's callback.

Run alone: `python -m tests.benchmarks.peer_programs.ray_defaults digits --trials 8 --epochs 10 --folder /tmp/x`.
"""

from typing import Any

import ray
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.search import BasicVariantGenerator

from tests.benchmarks.peer_programs.ray_space import ended, fixed, space_of
from tests.benchmarks.peer_programs.searching import Search, asked_for, leave
from tests.benchmarks.peer_programs.trainings import PROBLEMS


def trainable(config: dict[str, Any], problem: str, epochs: int, seed: int) -> None:
    """Train one configuration, and report each epoch."""
    import torch

    from tests.benchmarks.peer_programs.trainings import train

    torch.set_num_threads(1)
    for _, scores in train(problem, config, epochs=epochs, seed=seed, fused=False):
        tune.report(scores)


def main(search: Search) -> None:
    """Search; `prune` changes nothing, since the default is to train everything."""
    ray.init(num_cpus=search.workers)
    generator = BasicVariantGenerator(
        points_to_evaluate=fixed(search.problem)[: search.trials] if search.fixed else None, random_state=search.seed
    )
    results = tune.Tuner(
        tune.with_parameters(trainable, problem=search.problem, epochs=search.epochs, seed=1000 * search.seed),
        param_space=space_of(search.problem),
        tune_config=tune.TuneConfig(
            metric=PROBLEMS[search.problem].metric, mode="min", num_samples=search.trials, search_alg=generator
        ),
        run_config=tune.RunConfig(
            storage_path=str(search.folder.resolve() / "tune"),
            callbacks=[
                MLflowLoggerCallback(
                    tracking_uri=f"sqlite:///{search.folder.resolve()}/mlflow.db", experiment_name="defaults"
                )
            ],
        ),
    ).fit()
    leave(search.folder, ended(search.problem, results))


if __name__ == "__main__":
    main(asked_for(__doc__))
