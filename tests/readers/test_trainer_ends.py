"""Which runs of Hugging Face's Trainer have ended: what its files say after an end, an early stop and a kill."""

import json
from pathlib import Path
from typing import Any

import pytest

from hpsearch.readers.shelf import read_sources
from hpsearch.records import FinishedRun, Outcome

CONTROL = {"args": {"should_training_stop": False}, "attributes": {}}
STOP = {"args": {"should_training_stop": True}, "attributes": {}}


def run_of(folder: Path) -> FinishedRun:
    (run,) = read_sources([str(folder)]).runs
    return run


def early_stopping(counter: int) -> dict[str, Any]:
    return {
        "args": {"early_stopping_patience": 2, "early_stopping_threshold": 0.0},
        "attributes": {"early_stopping_patience_counter": counter},
    }


def state(step: int, planned: int, callbacks: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return the fields of a trainer_state.json that say where a training was."""
    history = [{"step": step, "epoch": 1.0, "eval_loss": 0.5}, *more.pop("history", [])]
    fields = {"global_step": step, "max_steps": planned, "num_train_epochs": 3, "log_history": history}
    return fields | {"stateful_callbacks": callbacks or {}}


@pytest.mark.parametrize(
    ("content", "ended"),
    [
        (state(6, 12), False),
        (state(12, 12), True),
        (state(6, 12, {"TrainerControl": CONTROL, "EarlyStoppingCallback": early_stopping(1)}), False),
        (state(6, 12, {"EarlyStoppingCallback": early_stopping(2)}), True),
        (state(6, 12, {"EarlyStoppingCallback": [early_stopping(0), early_stopping(2)]}), True),
        (state(6, 12, {"TrainerControl": STOP}), True),
        (state(6, 12, history=[{"step": 6, "train_runtime": 1.5}]), True),
        (state(6, 0), True),  # a plan that nobody noted
    ],
)
def test_what_a_checkpoint_says_of_the_end(tmp_path: Path, content: dict[str, Any], *, ended: bool) -> None:
    folder = tmp_path / "bert_seed_1"
    (folder / "checkpoint-6").mkdir(parents=True)
    (folder / "checkpoint-6" / "trainer_state.json").write_text(json.dumps(content))
    run = run_of(tmp_path)
    assert run.outcome is (Outcome.COMPLETE if ended else None)
    if not ended:
        assert (run.dropped or "").startswith("it has not ended: its last checkpoint is of step 6 of 12")
        (folder / "train_results.json").write_text("{}")  # trainer.save_metrics("train", ...)
        assert run_of(tmp_path).outcome is Outcome.COMPLETE


class KilledError(Exception):
    """Ends a training in the middle, as a kill would."""


@pytest.mark.slow
def test_the_trainers_own_files(tmp_path: Path) -> None:
    import torch
    from transformers import (
        BertConfig,
        BertForSequenceClassification,
        EarlyStoppingCallback,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    class Kill(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            if state.global_step == 2:
                raise KilledError

    config = BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_labels=2
    )
    data = [{"input_ids": torch.tensor([1, 2, 3]), "labels": torch.tensor(each % 2)} for each in range(8)]

    def trainer(name: str, *callbacks: TrainerCallback) -> Trainer:
        arguments = TrainingArguments(
            output_dir=str(tmp_path / name),
            num_train_epochs=4,
            learning_rate=0.0,  # nothing improves, so that patience is over after two evaluations
            eval_strategy="epoch",
            save_strategy="epoch",
            load_best_model_at_end=True,
            report_to=[],
            use_cpu=True,
        )
        model = BertForSequenceClassification(config)
        return Trainer(model, arguments, train_dataset=data, eval_dataset=data, callbacks=list(callbacks))

    trainer("whole").train()
    assert run_of(tmp_path / "whole").outcome is Outcome.COMPLETE
    trainer("early", EarlyStoppingCallback(early_stopping_patience=1)).train()
    early = run_of(tmp_path / "early")
    assert (early.outcome, early.steps) == (Outcome.COMPLETE, 2)
    with pytest.raises(KilledError):
        trainer("killed", Kill()).train()
    killed = run_of(tmp_path / "killed")
    assert (killed.outcome, killed.steps) == (None, 2)
    assert "step 2 of 4" in (killed.dropped or "")
