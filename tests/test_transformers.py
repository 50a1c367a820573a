"""The callback in Hugging Face's own Trainer: it reports evaluations, prunes and pauses trials, resumes killed ones."""

import sys
from pathlib import Path

import pytest

from hpsearch.experiment.reading import read_metrics
from hpsearch.records import ExperimentRecord, Outcome
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from tests.running.functions import function_space

pytestmark = pytest.mark.slow

MODEL = """
import os, signal
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainerCallback, TrainingArguments
from hpsearch.transformers import Callback

def data(size):
    generator = torch.Generator().manual_seed(size)
    words = torch.randint(0, 30, (size, 6), generator=generator)
    return [{"input_ids": row, "labels": int(row[0] > 15)} for row in words]

def accuracy(found):
    return {"accuracy": float((found.predictions.argmax(-1) == found.label_ids).mean())}

def fit(search, lr, epochs, by="epoch", kill=False):
    config = BertConfig(
        vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=8,
    )
    args = TrainingArguments(
        search.folder, seed=search.seed, learning_rate=lr, num_train_epochs=epochs, eval_strategy=by, eval_steps=4,
        per_device_train_batch_size=8, save_strategy="no", use_cpu=True, report_to=[], disable_tqdm=True,
    )
    begun = search.checkpoint

    class Killing(TrainerCallback):
        def on_epoch_begin(self, args, state, control, **more):
            if kill and state.epoch == 2 and begun is None:
                os.kill(os.getpid(), signal.SIGKILL)

    trainer = Trainer(
        BertForSequenceClassification(config), args, train_dataset=data(64), eval_dataset=data(32),
        compute_metrics=accuracy, callbacks=[search, Killing()],
    )
    trainer.train(resume_from_checkpoint=begun)
    if search.tests:
        trainer.predict(data(40))
"""
FUNCTION = (
    MODEL
    + """
def train(lr: float, epochs: int = 4, by: str = "epoch", kill: bool = False, *, report):
    fit(Callback(report), lr, epochs, by, kill)
"""
)
BODY = "lr: {log: [1e-3, 1e-1]}\n"


def search(folder: Path, *overrides: str, **settings: object) -> ExperimentRecord:
    space = function_space(folder, *overrides, code=FUNCTION, **{"body": BODY, **settings})
    return run(space, folder=folder / "e", options=RunOptions()).record


def test_evaluations_are_reported_and_replicates_tested(tmp_path: Path) -> None:
    record = search(tmp_path, confirm="{seeds: 2}", trials=1)
    [trial] = record.trials
    rows = read_metrics(tmp_path / "e", trial.run)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert {*rows[0]} == {"step", "seconds", "val/loss", "val/accuracy"}
    assert [sorted(each.scores) for each in record.replicates] == [["test/accuracy", "test/loss"]] * 2
    assert len({run.value for run in (*record.trials, *record.replicates)}) == 3


def test_by_steps_they_are_the_optimizers(tmp_path: Path) -> None:
    record = search(tmp_path, "by=steps", "epochs=2", trials=1)
    assert [step for step, _ in record.trials[0].history] == [4, 8, 12, 16]


def test_pruned_and_paused_trainings_end(tmp_path: Path) -> None:
    record = search(tmp_path, "epochs=9", pruner="auto", trials=8)
    assert {trial.outcome for trial in record.trials} == {Outcome.COMPLETE, Outcome.PRUNED}
    assert max(trial.attempts for trial in record.trials) > 1
    assert all(len(trial.history) < 9 for trial in record.trials if trial.outcome is Outcome.PRUNED)


def test_killed_and_resumed_it_is_the_same_training(tmp_path: Path) -> None:
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = search(tmp_path / "whole", trials=1, confirm="{seeds: 1}")
    killed = search(tmp_path / "killed", "kill=true", trials=1, confirm="{seeds: 1}")
    assert [each.attempts for each in killed.trials] == [2]
    assert killed.trials[0].history == whole.trials[0].history
    assert killed.replicates[0].scores == whole.replicates[0].scores


PROGRAM = (
    MODEL
    + """
import sys
if __name__ == "__main__":
    fit(Callback(), float(sys.argv[1]), 3)
"""
)
COMMAND = """\
family: command
objective: {metric: val/accuracy, goal: maximize}
search: {sampler: random, pruner: none, trials: 1, workers: 1}
confirm: {seeds: 1}
command: [PYTHON, program.py, "{model.lr}"]
model: {lr: {log: [1e-3, 1e-1]}}
"""


def test_a_program_prints_what_hpsearch_reads(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "space.yaml").write_text(COMMAND.replace("PYTHON", sys.executable))
    record = run(load_space(tmp_path / "space.yaml"), folder=tmp_path / "e").record
    assert [[step for step, _ in trial.history] for trial in record.trials] == [[1, 2, 3]]
    assert sorted(record.replicates[0].scores) == ["test/accuracy", "test/loss"]
