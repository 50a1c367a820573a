"""Optuna as its tutorials show it: processes over one SQLite file, TPE, median pruner, MLflow logged epoch by epoch.

Run alone: `python -m tests.benchmarks.peer_programs.optuna_recipe digits --trials 8 --epochs 10 --folder /tmp/x`.
"""

import subprocess
import sys

from tests.benchmarks.peer_programs.searching import Ended, Search, asked_for, leave


def work(search: Search, place: int) -> None:
    """Be one of the processes: train its share of the trials."""
    import mlflow
    import optuna
    import torch

    from tests.benchmarks.peer_programs.optuna_space import suggest
    from tests.benchmarks.peer_programs.trainings import PROBLEMS, train

    torch.set_num_threads(1)
    mlflow.set_tracking_uri(f"sqlite:///{search.folder}/mlflow.db")
    mlflow.set_experiment("recipe")
    metric = PROBLEMS[search.problem].metric

    def objective(trial: optuna.Trial) -> float:
        config, best = suggest(search.problem, trial), float("inf")
        with mlflow.start_run(run_name=f"trial-{trial.number}"):
            mlflow.log_params(config)
            for epoch, scores in train(
                search.problem, config, epochs=search.epochs, seed=1000 * search.seed + trial.number, fused=False
            ):
                mlflow.log_metrics(scores, step=epoch)
                best = min(best, scores[metric])
                trial.report(scores[metric], epoch)
                if trial.should_prune() and epoch < search.epochs:
                    raise optuna.TrialPruned
        return best

    study = optuna.load_study(
        study_name="recipe",
        storage=f"sqlite:///{search.folder}/study.db",
        sampler=optuna.samplers.TPESampler(seed=search.workers * search.seed + place),
        pruner=optuna.pruners.MedianPruner() if search.prune else optuna.pruners.NopPruner(),
    )
    study.optimize(objective, n_trials=len(range(place, search.trials, search.workers)))


def main(search: Search) -> None:
    """Make the study and MLflow's tables, start the processes, wait for them."""
    import mlflow
    import optuna

    from tests.benchmarks.peer_programs.optuna_space import enqueue

    mlflow.set_tracking_uri(f"sqlite:///{search.folder}/mlflow.db")
    mlflow.set_experiment("recipe")
    study = optuna.create_study(study_name="recipe", storage=f"sqlite:///{search.folder}/study.db")
    if search.fixed:
        enqueue(search.problem, study)
    command = [sys.executable, "-m", "tests.benchmarks.peer_programs.optuna_recipe", *search.arguments]
    processes = [subprocess.Popen([*command, f"--place={place}"]) for place in range(search.workers)]
    statuses = [process.wait() for process in processes]
    if any(statuses):
        raise SystemExit("a process failed")
    leave(
        search.folder,
        [
            Ended(
                min(trial.intermediate_values.values()),
                len(trial.intermediate_values),
                trial.datetime_complete.timestamp(),
            )
            for trial in study.trials
        ],
    )


if __name__ == "__main__":
    place = next((int(word.partition("=")[2]) for word in sys.argv if word.startswith("--place=")), None)
    sys.argv = [word for word in sys.argv if not word.startswith("--place=")]
    search = asked_for(__doc__)
    if place is None:
        main(search)
    else:
        work(search, place)
