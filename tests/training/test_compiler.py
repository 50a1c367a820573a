"""Trainings do without torch's compiler, and are what they are with it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys, tempfile
from pathlib import Path

import torch

from hpsearch.records import Decision
from hpsearch.training import compiler
from hpsearch.training.loop import fit
from hpsearch.training.random_state import isolated
from hpsearch.training.settings import TrainSettings
from tests.training.toy import MONITOR, SEEDS, NetTask, line_splits

NAMES = ("adamw", "adam", "sgd", "rmsprop", "radam", "adafactor")


def weights():
    found = []
    for name in NAMES:
        settings = TrainSettings(optimizer=name, epochs=3, batch_size=8)
        answers = [Decision.PAUSE, *[Decision.CONTINUE] * 9]
        with tempfile.TemporaryDirectory() as folder:  # after a pause the optimizer's memory is loaded
            for _ in range(2):
                result = fit(
                    NetTask(), line_splits(), settings, seeds=SEEDS, monitor=MONITOR,
                    report=lambda _: answers.pop(0), folder=Path(folder), device="cpu",
                )
        assert result.epochs == 3
        found += result.model.state_dict().values()
    return found


alone = weights()
assert not compiler.is_there(), "the compiler was imported"
assert all(compiler._is_marked(function) for function in compiler._left_alone())
assert len(list(compiler._left_alone())) == 4
import torch._dynamo

beside = weights()
assert all(torch.equal(*pair) for pair in zip(alone, beside, strict=True))
assert not any(compiler._is_marked(function) for function in compiler._left_alone())
with isolated(torch.device("cpu"), deterministic=True):
    assert torch._inductor.config.deterministic and torch.are_deterministic_algorithms_enabled()
assert not torch._inductor.config.deterministic
with isolated(torch.device("cpu"), deterministic=True):
    torch._inductor.config.deterministic = False  # as if the compiler had come a moment ago
    compiler.settle()
    assert torch._inductor.config.deterministic
"""


def test_trainings_need_no_compiler_and_are_bit_for_bit_those_with_it() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, cwd=ROOT, check=False)
    assert ended.returncode == 0, ended.stderr
