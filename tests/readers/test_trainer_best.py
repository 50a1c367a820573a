"""What the Trainer of Hugging Face says of the model that it leaves: the best one, if it was loaded at the end."""

import json
from pathlib import Path
from typing import Any

import pytest

from hpsearch.readers.huggingface import loads_best_model
from hpsearch.readers.shelf import read_sources
from hpsearch.records import FinishedRun, Measurement

ROWS: list[dict[str, Any]] = [
    {"step": 10, "loss": 3.0},
    {"step": 10, "eval_acc": 0.7, "eval_loss": 0.99},
    {"step": 20, "loss": 2.0},
    {"step": 20, "eval_acc": 0.9, "eval_loss": 0.95},
    {"step": 30, "loss": 1.0},
    {"step": 30, "eval_acc": 0.8, "eval_loss": 1.2},
]


def write_state(folder: Path, rows: list[dict[str, Any]] = ROWS, **more: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    last = max(int(row["step"]) for row in rows)
    state = {"global_step": last, "max_steps": last, "log_history": rows, **more}
    (folder / "trainer_state.json").write_text(json.dumps(state))


def read(folder: Path) -> FinishedRun:
    (run,) = read_sources([str(folder)]).runs
    return run


@pytest.mark.parametrize(
    "noted",
    [
        {"best_global_step": 20},
        {"best_model_checkpoint": "/scratch/bert/checkpoint-20"},
        {"best_model_checkpoint": "C:\\bert\\checkpoint-20"},
        {"best_model_checkpoint": None},
    ],
)
def test_the_scores_of_the_best_step(tmp_path: Path, noted: dict[str, Any]) -> None:
    write_state(tmp_path / "bert_seed_1", best_metric=0.9, **noted)
    run = read(tmp_path)
    assert run.metrics["eval_acc"] == Measurement(0.9, 20)
    assert run.metrics["eval_loss"] == Measurement(0.95, 20)  # of the same model, not the lowest of all
    assert run.metrics["loss"] == Measurement(1.0, 30)
    assert list(run.histories["eval_acc"].values) == [0.7, 0.9, 0.8]


def test_without_a_best_model_the_last_evaluation_counts(tmp_path: Path) -> None:
    write_state(tmp_path / "bert_seed_1", best_metric=None)
    assert read(tmp_path).metrics["eval_acc"] == Measurement(0.8, 30)


def test_saved_results_are_of_the_model_that_was_kept(tmp_path: Path) -> None:
    folder = tmp_path / "bert_seed_1"
    write_state(folder / "checkpoint-30", best_metric=0.9, best_global_step=20)
    (folder / "all_results.json").write_text('{"epoch": 3.0, "eval_acc": 0.91, "test_acc": 0.85, "train_loss": 2.0}')
    (folder / "test_results.json").write_text('{"test_acc": 0.1, "test_f1": 0.8}')
    metrics = read(tmp_path).metrics
    assert {name: metrics[name].value for name in ("eval_acc", "eval_loss", "test_acc", "test_f1", "train_loss")} == {
        "eval_acc": 0.91,
        "eval_loss": 0.95,
        "test_acc": 0.85,
        "test_f1": 0.8,
        "train_loss": 2.0,
    }
    assert "epoch" not in metrics


@pytest.mark.parametrize("loaded", [True, False])
def test_the_saved_arguments_say_whether_it_was_loaded(tmp_path: Path, *, loaded: bool) -> None:
    """A metric for the best model may be named for the schedule or for the checkpoints alone."""
    import torch

    folder = tmp_path / "bert_seed_1"
    write_state(folder, best_metric=0.9, best_global_step=20)
    torch.save(Arguments(load_best_model_at_end=loaded), folder / "training_args.bin")
    assert loads_best_model([folder]) is loaded
    assert read(tmp_path).metrics["eval_acc"].value == (0.9 if loaded else 0.8)


class Arguments:
    """Keeps its fields as TrainingArguments does."""

    def __init__(self, *, load_best_model_at_end: bool) -> None:
        self.metric_for_best_model = "acc"
        self.load_best_model_at_end = load_best_model_at_end
        self.greater_is_better = True


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"\x80\x04."])
def test_damaged_arguments_say_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "training_args.bin").write_bytes(content)
    assert loads_best_model([tmp_path]) is None
    assert loads_best_model([tmp_path / "nowhere"]) is None


def test_a_training_that_was_resumed_after_its_state_was_saved(tmp_path: Path) -> None:
    folder = tmp_path / "bert_seed_1"
    write_state(folder, ROWS[:4])
    (folder / "train_results.json").write_text("{}")
    write_state(folder / "checkpoint-30", ROWS, max_steps=40)
    resumed = read(tmp_path)
    assert (resumed.outcome, resumed.steps) == (None, 30)
    write_state(folder / "checkpoint-40", [*ROWS, {"step": 40, "eval_acc": 0.85}])
    resumed = read(tmp_path)
    assert (resumed.metrics["eval_acc"], resumed.dropped) == (Measurement(0.85, 40), None)


def test_checkpoints_of_an_older_run_in_the_same_folder(tmp_path: Path) -> None:
    folder = tmp_path / "bert_seed_1"
    write_state(folder / "checkpoint-99", [{"step": 99, "eval_acc": 0.1}])
    write_state(folder)
    assert read(tmp_path).metrics["eval_acc"] == Measurement(0.8, 30)


@pytest.mark.slow
def test_the_real_trainer_keeps_its_best_model(tmp_path: Path) -> None:
    import torch
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

    config = BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_labels=2
    )
    data = [{"input_ids": torch.tensor([1, 2, each]), "labels": torch.tensor(each % 2)} for each in range(8)]
    for name, loads in (("loads_seed_1", True), ("stays_seed_1", False)):
        arguments = TrainingArguments(
            output_dir=str(tmp_path / name),
            num_train_epochs=2,
            learning_rate=0.5,  # far too high, so that the best epoch is not the last
            eval_strategy="epoch",
            save_strategy="epoch",
            load_best_model_at_end=loads,
            metric_for_best_model="loss",
            report_to=[],
            use_cpu=True,
            seed=1,
        )
        torch.manual_seed(0)
        trainer = Trainer(
            BertForSequenceClassification(config), arguments, train_dataset=data, eval_dataset=list(reversed(data))
        )
        trainer.train()
        said = trainer.evaluate()["eval_loss"]
        run = read(tmp_path / name)
        values = list(run.histories["eval_loss"].values)
        assert run.metrics["eval_loss"].value == pytest.approx(said)
        assert run.metrics["eval_loss"].value == (min(values) if loads else values[-1])
        assert min(values) < values[-1], "the case tests nothing"
