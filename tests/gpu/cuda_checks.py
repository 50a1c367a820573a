"""What only a CUDA device can show: run by `make gpu` where there is one, and collected by nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hpsearch.experiment.layout import BEST, CHECKPOINT
from hpsearch.records import Decision
from hpsearch.training.checkpoint import load
from hpsearch.training.devices import is_out_of_memory, resolve_device
from hpsearch.training.loop import fit
from hpsearch.training.optimizer_settings import SGD
from hpsearch.training.settings import Evaluate, Loading, TrainSettings
from tests.training.test_quick_adam import taken
from tests.training.toy import MONITOR, SEEDS, LineTask, NetTask, Recorder, line_splits, numbers

ROOT = Path(__file__).parents[2]


def train(settings: TrainSettings, folder: Path, *, report: Recorder | None = None, device: str = "auto", task=None):  # type: ignore[no-untyped-def]
    report = report or Recorder()
    task = task or NetTask(augmented=True)
    result = fit(
        task, line_splits(), settings, seeds=SEEDS, monitor=MONITOR, report=report, folder=folder, device=device
    )
    return result, report


def test_auto_is_the_first_cuda_device() -> None:
    assert resolve_device("auto") == torch.device("cuda:0")


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("extra", [{}, {"ema": 0.9, "clip_norm": 1.0, "accumulate": 2}, {"lookahead": {}}])
def test_paused_and_gone_on_it_is_the_unbroken_training(
    tmp_path: Path, precision: str, extra: dict[str, object]
) -> None:
    settings = TrainSettings(epochs=4, batch_size=5, precision=precision, evaluate=Evaluate(steps=2), **extra)
    unbroken, whole = train(settings, tmp_path / "a")
    train(settings, tmp_path / "b", report=Recorder({2: Decision.PAUSE}))
    resumed, rest = train(settings, tmp_path / "b")
    assert unbroken.step == resumed.step
    assert numbers(whole.seen)[-1] == numbers(rest.seen)[-1]
    for name in (CHECKPOINT, BEST):
        first, second = load(tmp_path / "a" / name)["model"], load(tmp_path / "b" / name)["model"]
        assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("optimizer", ["adamw", "adam"])
def test_a_quick_step_of_adam_is_the_optimizers_own(optimizer: str) -> None:
    assert any(taken(TrainSettings(optimizer=optimizer, weight_decay=0.1), device="cuda"))


def test_one_sgd_step_is_that_of_the_cpu(tmp_path: Path) -> None:
    settings = TrainSettings(epochs=1, batch_size=22, optimizer=SGD(momentum=0.0), learning_rate=0.1)
    ends = {device: train(settings, tmp_path / device, device=device, task=LineTask())[0] for device in ("cpu", "cuda")}
    for cpu, cuda in zip(ends["cpu"].model.parameters(), ends["cuda"].model.parameters(), strict=True):
        assert torch.allclose(cpu, cuda.cpu(), atol=1e-6)


def test_loader_processes_and_pinned_memory_change_nothing(tmp_path: Path) -> None:
    plain, pinned = (
        TrainSettings(epochs=2, batch_size=4),
        TrainSettings(epochs=2, batch_size=4, loading=Loading(workers=2)),
    )
    first, second = train(plain, tmp_path / "a")[1], train(pinned, tmp_path / "b")[1]
    assert numbers(first.seen) == numbers(second.seen)


def test_compiled_steps_learn_the_same(tmp_path: Path) -> None:
    settings = TrainSettings(epochs=3, batch_size=8)
    plain = train(settings, tmp_path / "a", task=NetTask(dropout=0.0))[0]
    compiled = train(settings.model_copy(update={"compile": True}), tmp_path / "b", task=NetTask(dropout=0.0))[0]
    assert compiled.best_value == pytest.approx(plain.best_value, rel=1e-3)


def test_a_real_out_of_memory_is_recognised_and_leaves_room(tmp_path: Path) -> None:
    class Hungry(NetTask):
        def loss(self, forward, batch, scalars):  # type: ignore[no-untyped-def]
            torch.empty(1 << 50, device=batch["x"].device)
            return super().loss(forward, batch, scalars)

    with pytest.raises(RuntimeError) as caught:
        train(TrainSettings(epochs=1), tmp_path / "a", task=Hungry())
    assert is_out_of_memory(caught.value)
    train(TrainSettings(epochs=1), tmp_path / "b")


def test_a_search_on_the_device(tmp_path: Path) -> None:
    """Two trials of the character model in worker processes, confirmed; bf16, an average, two sizes of batches."""
    command = [sys.executable, "-m", "hpsearch", "run", str(ROOT / "spaces" / "char_lm.yaml"), "--quick", "--no-mlflow"]
    for setting in (
        "search.trials=2",
        "train.precision=bf16",
        "train.epochs=1",
        "confirm.seeds=1",
        "search.pruner=none",
    ):
        command += ["--set", setting]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "2 complete" in done.stdout + done.stderr
