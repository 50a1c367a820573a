"""Every reader reads what the real tool has just written."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch.readers.shelf import Found, read_sources
from hpsearch.records import FinishedRun, Goal, Outcome


def only(found: Found, run: str) -> FinishedRun:
    """Return the run of that name."""
    (chosen,) = [each for each in found.runs if each.run == run]
    return chosen


def test_lightnings_csv_logger(tmp_path: Path) -> None:
    from lightning.pytorch.loggers import CSVLogger

    for seed in (3, 4):
        logger = CSVLogger(tmp_path, "resnet")
        logger.log_hyperparams({"lr": 0.01, "seed": seed, "model": {"width": 8}})
        for step in range(3):
            logger.log_metrics({"train_loss": 1.0 / (step + 1)}, step=step)
            logger.log_metrics({"val_loss": 2.0 - step + seed, "epoch": step}, step=step)
        logger.save()
        logger.finalize("success")
    found = read_sources([str(tmp_path)])
    assert {name for _, name in found.readers} == {"metrics"}
    assert [(run.experiment, run.seed) for run in found.runs] == [("resnet", 3), ("resnet", 4)]
    first = only(found, "version_0")
    assert first.params == {"lr": 0.01, "seed": 3, "model.width": 8}
    assert (first.metrics["val_loss"].value, first.metrics["val_loss"].step) == (3.0, 2)
    assert list(first.histories["train_loss"].values) == [1.0, 0.5, 1 / 3]


def test_tensorboards_event_files_with_hyperparameters(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    for seed in range(2):
        with SummaryWriter(str(tmp_path / f"baseline_seed_{seed}")) as writer:
            for step in range(4):
                writer.add_scalar("Loss/val", 0.5**step, step)
            writer.add_hparams({"lr": 0.1, "optimizer": "adam"}, {"hparam/accuracy": 0.75})
    found = read_sources([str(tmp_path)])
    assert [(run.experiment, run.seed) for run in found.runs] == [("baseline", 0), ("baseline", 1)]
    run = found.runs[0]
    assert run.params == {"lr": 0.1, "optimizer": "adam"}
    assert (run.metrics["Loss/val"].value, run.metrics["Loss/val"].step) == (0.125, 3)
    assert run.metrics["hparam/accuracy"].value == 0.75
    assert list(run.histories["Loss/val"].steps) == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_optunas_storages(tmp_path: Path, kind: str) -> None:
    import optuna
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.report(x + 1, 1)
        if trial.number == 1:
            raise optuna.TrialPruned
        if trial.number == 2:
            raise ValueError
        trial.set_user_attr("test_accuracy", 0.5)
        return x

    path = tmp_path / "store"
    storage = RDBStorage(f"sqlite:///{path}") if kind == "sqlite" else JournalStorage(JournalFileBackend(str(path)))
    study = optuna.create_study(storage=storage, study_name="mine", direction="maximize")
    study.optimize(objective, 3, catch=(ValueError,))
    found = read_sources([str(path) if kind == "journal" else f"sqlite:///{path}"])
    assert found.goals == {"objective": Goal.MAXIMIZE}
    assert found.main == ("objective",)
    assert [run.outcome for run in found.runs] == [Outcome.COMPLETE, Outcome.PRUNED, Outcome.FAILED]
    first = only(found, "mine/0")
    assert first.search is not None
    assert first.search.metric == "objective"
    assert first.params == study.trials[0].params
    assert first.metrics["objective"].value == study.trials[0].value
    assert first.metrics["test_accuracy"].value == 0.5


@pytest.mark.slow
def test_mlflows_store_and_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    from tests.tracking.servers import free_port, mlflow_server

    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    store = tmp_path / "mlflow.db"
    client = mlflow.tracking.MlflowClient(tracking_uri=f"sqlite:///{store}")
    experiment = client.create_experiment("base", artifact_location=(tmp_path / "artifacts").as_uri())
    for seed in range(2):
        run = client.create_run(experiment, run_name=f"run-{seed}").info.run_id
        client.log_param(run, "seed", seed)
        client.log_param(run, "lr", 0.1)
        for step in range(3):
            client.log_metric(run, "val_accuracy", 0.1 * step + seed, step=step)
        for time, value in ((1, 0.7), (3, 0.6), (2, 0.8)):  # of one step the value of the latest time counts
            client.log_metric(run, "val_accuracy", value, step=9, timestamp=time)
        client.log_metric(run, "val_accuracy", 0.9, step=1)
        client.log_metric(run, "val_loss", float("nan"), step=3)
        client.set_terminated(run, "FINISHED" if seed == 0 else "FAILED")
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    from_file = read_sources([f"sqlite:///{store}"], metric="val_accuracy")
    with mlflow_server(store, tmp_path / "artifacts", free_port()) as uri:
        from_server = read_sources([uri], metric="val_accuracy")
    for found in (from_file, from_server):
        assert [(run.experiment, run.run, run.seed) for run in found.runs] == [
            ("base", "run-0", 0),
            ("base", "run-1", 1),
        ]
        assert [run.outcome for run in found.runs] == [Outcome.COMPLETE, Outcome.FAILED]
        last = found.runs[1].metrics["val_accuracy"]
        assert (last.value, last.step) == (0.6, 9)
        assert found.runs[0].metrics["val_loss"].value != found.runs[0].metrics["val_loss"].value
        values = [0.0, 0.1, 0.9, 0.2, 0.7, 0.8, 0.6]
        assert list(found.runs[0].histories["val_accuracy"].values) == pytest.approx(values)
        assert found.runs[0].params == {"seed": 0, "lr": 0.1}
    assert not list((tmp_path / "home").iterdir()), "reading has made something"


RAY_SEARCH = """
import sys
import ray
from ray import tune


def train(config):
    for step in range(3):
        if config["rate"] > 1:
            raise ValueError
        tune.report({"loss": config["rate"] * step, "nested": {"accuracy": step / 4}})


ray.init(address="local", num_cpus=2, include_dashboard=False)
tune.Tuner(
    train,
    param_space={"rate": tune.grid_search([0.5, 2.0, 0.25]), "model": {"width": 3}},
    run_config=tune.RunConfig(name="mine", storage_path=sys.argv[1]),
).fit()
ray.shutdown()
"""


@pytest.mark.slow
def test_ray_tunes_folders(tmp_path: Path) -> None:
    """A process of its own: Tune as its users start it, with the loggers that tests of this process switch off."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TUNE_"))}
    command = [sys.executable, "-c", RAY_SEARCH, str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, timeout=300, env=own)
    found = read_sources([str(tmp_path)])
    assert {name for _, name in found.readers} == {"ray"}
    by_rate = {run.params["rate"]: run for run in found.runs}
    assert by_rate[0.5].metrics["loss"].value == 1.0
    assert by_rate[0.5].metrics["nested.accuracy"].value == 0.5
    assert list(by_rate[0.25].histories["loss"].values) == [0.0, 0.25, 0.5]
    assert by_rate[0.5].params["model.width"] == 3
    assert all(run.search is not None and run.experiment == "mine" for run in found.runs)


@pytest.mark.slow
def test_the_trainer_of_hugging_face(tmp_path: Path) -> None:
    import torch
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

    config = BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_labels=2
    )
    data = [{"input_ids": torch.tensor([1, 2, 3]), "labels": torch.tensor(each % 2)} for each in range(8)]
    for seed in (1, 2):
        arguments = TrainingArguments(
            output_dir=str(tmp_path / f"bert_seed_{seed}"),
            num_train_epochs=2,
            eval_strategy="epoch",
            save_strategy="epoch",
            logging_steps=1,
            report_to=[],
            use_cpu=True,
            seed=seed,
        )
        trainer = Trainer(BertForSequenceClassification(config), arguments, train_dataset=data, eval_dataset=data)
        trainer.train()
    found = read_sources([str(tmp_path)])
    assert [(run.experiment, run.seed, run.steps) for run in found.runs] == [("bert", 1, 2), ("bert", 2, 2)]
    logged = [row["eval_loss"] for row in trainer.state.log_history if "eval_loss" in row]
    assert list(found.runs[1].histories["eval_loss"].values) == logged
    assert found.runs[1].metrics["eval_loss"].value == logged[-1]


OFFLINE_RUNS = """
import sys
import wandb

settings = wandb.Settings(x_service_wait=200)  # seconds for its own process to start, on a machine that others use
for seed in range(2):
    config = {"lr": 0.1, "seed": seed}
    run = wandb.init(
        project="p", config=config, dir=sys.argv[1], name=f"base-{seed}", group="g", mode="offline", settings=settings
    )
    for step in range(400):  # more than one block of the file
        run.log({"val/loss": 1 / (step + 1), "text": "x" * 200})
    run.summary["test/accuracy"] = 0.75
    run.finish()
"""


@pytest.mark.slow
def test_offline_runs_of_weights_and_biases(tmp_path: Path) -> None:
    """A process of its own: wandb keeps the mode of a process's first run."""
    command = [sys.executable, "-c", OFFLINE_RUNS, str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    # two runs of one second are in the order of their random names
    runs = sorted(read_sources([str(tmp_path)]).runs, key=lambda run: run.run)
    assert [(run.experiment, run.run, run.seed) for run in runs] == [("g", "base-0", 0), ("g", "base-1", 1)]
    first = runs[0]
    assert first.params == {"lr": 0.1, "seed": 0}
    assert list(first.histories["val/loss"].values) == [1 / (step + 1) for step in range(400)]
    assert first.metrics["test/accuracy"].value == 0.75


def test_loops_written_by_hand(tmp_path: Path) -> None:
    """The layout of guide 004: a folder for each setting, which holds the parameters in its name."""
    for rate in (0.001, 0.01):
        folder = tmp_path / f"lr_{rate}_dim_256"
        folder.mkdir()
        with (folder / "metrics.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, ["step", "train_loss", "val_loss"])
            writer.writeheader()
            writer.writerow({"step": 100, "train_loss": 2.0, "val_loss": ""})
            writer.writerow({"step": 200, "train_loss": 1.5, "val_loss": rate})
    found = read_sources([str(tmp_path)])
    assert [run.experiment for run in found.runs] == ["lr_0.001_dim_256", "lr_0.01_dim_256"]
    assert [run.params for run in found.runs] == [{"lr": 0.001, "dim": 256}, {"lr": 0.01, "dim": 256}]
    assert found.runs[1].metrics["val_loss"].value == 0.01
    assert found.runs[1].steps == 200
