"""The callback in Lightning's own Trainer: validations are reported, trials pruned and paused, killed ones resumed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch.experiment.reading import read_metrics
from hpsearch.records import ExperimentRecord, Outcome
from hpsearch.running.runner import RunOptions, run
from tests.running.functions import function_space

pytestmark = pytest.mark.slow

MODEL = """
import os, signal, warnings
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader, TensorDataset
from hpsearch.lightning import Callback

class Model(LightningModule):
    def __init__(self, lr):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 1))
        self.lr = lr

    def loss(self, batch):
        return torch.nn.functional.mse_loss(self.net(batch[0]), batch[1])

    def training_step(self, batch):
        return self.loss(batch)

    def validation_step(self, batch):
        self.log_dict({"val_loss": self.loss(batch), "val/twice": 2 * self.loss(batch)})

    def test_step(self, batch):
        self.log("test_loss", self.loss(batch))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.lr)

def loader(size, shuffle=False):
    x = torch.rand(size, 4, generator=torch.Generator().manual_seed(size))
    return DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=8, shuffle=shuffle)
"""
FIT = """
    model = Model(lr)
    trainer = Trainer(
        max_epochs=epochs, callbacks=[search], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator="cpu", val_check_interval=check or 1.0,
    )
    trainer.fit(model, loader(64, shuffle=True), loader(16), ckpt_path=search.checkpoint)
    if search.tests:
        trainer.test(model, loader(24), verbose=False)
"""
FUNCTION = (
    MODEL
    + """
def train(lr: float, epochs: int = 4, kill: bool = False, check: float = 0.0, *, report):
    search = Callback(report)
    if kill and search.checkpoint is None:
        class Killing(Callback):
            def on_train_epoch_start(self, trainer, pl_module):
                if trainer.current_epoch == 2:
                    os.kill(os.getpid(), signal.SIGKILL)
        search = Killing(report)
"""
    + FIT
)
BODY = "lr: {log: [1e-3, 1e-1]}\n"


def search(folder: Path, *overrides: str, **settings: object) -> ExperimentRecord:
    space = function_space(folder, *overrides, code=FUNCTION, **{"body": BODY, **settings})
    return run(space, folder=folder / "e", options=RunOptions()).record


def test_validations_are_reported_and_replicates_tested(tmp_path: Path) -> None:
    record = search(tmp_path, confirm="{seeds: 2}", trials=2)
    for trial in record.trials:
        rows = read_metrics(tmp_path / "e", trial.run)
        assert [row["step"] for row in rows] == [1, 2, 3, 4]
        assert [row["val/twice"] for row in rows] == pytest.approx([2 * row["val/loss"] for row in rows])
        assert not trial.scores
    assert [list(each.scores) for each in record.replicates] == [["test/loss"]] * 2
    assert len({run.value for run in (*record.trials, *record.replicates)}) == 4


def test_within_epochs_the_steps_are_the_optimizers(tmp_path: Path) -> None:
    record = search(tmp_path, "check=0.5", "epochs=2", trials=1)
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
    lr, epochs, check = float(sys.argv[1]), 3, 0
    search = Callback()
"""
    + FIT
)
COMMAND = """\
family: command
objective: {metric: val/loss, goal: minimize}
search: {sampler: random, pruner: none, trials: 2, workers: 1}
confirm: {seeds: 1}
command: [PYTHON, program.py, "{model.lr}"]
model: {lr: {log: [1e-3, 1e-1]}}
"""


def test_a_program_prints_what_hpsearch_reads(tmp_path: Path) -> None:
    from hpsearch.running.loading import load_space

    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "space.yaml").write_text(COMMAND.replace("PYTHON", sys.executable))
    record = run(load_space(tmp_path / "space.yaml"), folder=tmp_path / "e").record
    assert [[step for step, _ in trial.history] for trial in record.trials] == [[1, 2, 3]] * 2
    assert list(record.replicates[0].scores) == ["test/loss"]


def test_on_its_own_and_with_two_processes_it_trains_as_ever(tmp_path: Path) -> None:
    """Outside of a search a sentence is said; of two processes in a search one speaks."""
    two = PROGRAM.replace('accelerator="cpu"', 'accelerator="cpu", devices=2, strategy="ddp"')
    told = {}
    for name, code, more in (
        ("alone", PROGRAM, {}),
        (
            "two",
            two,
            {
                "HPSEARCH_TRIAL_DIR": "t",
                "HPSEARCH_SEED": "3",
                "HPSEARCH_CHECKPOINT": "t/checkpoint",
                "HPSEARCH_DEVICE": "cpu",
            },
        ),
    ):
        (tmp_path / "t").mkdir(exist_ok=True)
        (tmp_path / f"{name}.py").write_text(code)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **more}
        words = [sys.executable, f"{name}.py", "0.01"]
        told[name] = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert "nobody searches here, so the callback does nothing" in told["alone"].stderr
    assert "val/loss" not in told["alone"].stdout
    rows = [json.loads(line) for line in told["two"].stdout.splitlines() if line.startswith("{")]
    assert [row.get("step") for row in rows] == [1, 2, 3, None]
    assert (tmp_path / "t" / "checkpoint").is_file()
