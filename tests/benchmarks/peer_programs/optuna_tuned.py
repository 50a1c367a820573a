"""Optuna as somebody tunes it who knows where the time goes.

Imports once, then forked processes; a journal file as storage; MLflow gets one `log_batch` a trial; fused AdamW.
Run alone: `python -m tests.benchmarks.peer_programs.optuna_tuned digits --trials 8 --epochs 10 --folder /tmp/x`.
"""

import multiprocessing
import warnings

import mlflow
import optuna
import torch
from mlflow.entities import Metric, Param

from tests.benchmarks.peer_programs.optuna_space import enqueue, suggest
from tests.benchmarks.peer_programs.searching import Ended, Search, asked_for, leave, now
from tests.benchmarks.peer_programs.trainings import PROBLEMS, train


def load(search: Search, seed: int) -> optuna.Study:
    """Open the study."""
    backend = optuna.storages.journal.JournalFileBackend(str(search.folder / "journal.log"))
    return optuna.create_study(
        study_name="tuned",
        storage=optuna.storages.JournalStorage(backend),
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner() if search.prune else optuna.pruners.NopPruner(),
        load_if_exists=True,
    )


def work(search: Search, place: int, experiment: str) -> None:
    """Be one of the processes."""
    client = mlflow.MlflowClient(f"sqlite:///{search.folder}/mlflow.db")
    metric = PROBLEMS[search.problem].metric

    def objective(trial: optuna.Trial) -> float:
        config, logged, values = suggest(search.problem, trial), [], []
        for epoch, scores in train(
            search.problem, config, epochs=search.epochs, seed=1000 * search.seed + trial.number, fused=True
        ):
            logged += [Metric(name, value, int(1000 * now()), epoch) for name, value in scores.items()]
            values.append(scores[metric])
            trial.report(values[-1], epoch)
            if search.prune and epoch < search.epochs and trial.should_prune():
                break
        run = client.create_run(experiment, run_name=f"trial-{trial.number}").info.run_id
        client.log_batch(run, logged, [Param(name, str(value)) for name, value in config.items()])
        client.set_terminated(run)
        if len(values) < search.epochs:
            raise optuna.TrialPruned
        return min(values)

    study = load(search, search.workers * search.seed + place)
    study.optimize(objective, n_trials=len(range(place, search.trials, search.workers)))


def main(search: Search) -> None:
    """Make the study and MLflow's tables, fork, wait."""
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    torch.set_num_threads(1)
    PROBLEMS[search.problem].load()
    study = load(search, 0)
    if search.fixed:
        enqueue(search.problem, study)
    client = mlflow.MlflowClient(f"sqlite:///{search.folder}/mlflow.db")
    experiment = client.create_experiment("tuned")
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=work, args=(search, place, experiment)) for place in range(search.workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
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
    main(asked_for(__doc__))
