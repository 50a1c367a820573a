"""A program that was killed between a checkpoint and the line that was to tell of it."""

import sys
from pathlib import Path

import pytest

from hpsearch.records import Outcome
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run

PROGRAM = """
import json, os, signal, sys
struck = os.path.join(os.environ["HPSEARCH_TRIAL_DIR"], "struck")
if not os.path.exists(struck):
    open(struck, "w").close()
    with open(os.environ["HPSEARCH_CHECKPOINT"], "w") as file:
        json.dump(int(sys.argv[2]), file)

    os.kill(os.getpid(), signal.SIGKILL)
checkpoint, epochs = os.environ["HPSEARCH_CHECKPOINT"], 4
start = json.load(open(checkpoint)) if os.path.exists(checkpoint) else 0
for epoch in range(start + 1, epochs + 1):
    json.dump(epoch, open(checkpoint, "w"))
    print(json.dumps({"step": epoch, "val/loss": 1 / epoch}), flush=True)
"""


@pytest.mark.parametrize("ahead", [2, 4])
def test_the_last_epoch_counts_although_the_checkpoint_is_behind_it(
    ahead: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.py").write_text(PROGRAM)
    (tmp_path / "space.yaml").write_text(
        f"family: command\ncommand: [{sys.executable}, train.py, '{{x}}', '{ahead}']\nx: {{float: [0, 1]}}\n"
        "train: {epochs: 4}\nobjective: {metric: val/loss, goal: minimize}\n"
        "search: {sampler: random, pruner: none, trials: 1, seed: 0}\n"
    )
    (trial,) = run(
        load_space(tmp_path / "space.yaml"), folder=tmp_path / "e", options=RunOptions(in_process=True)
    ).record.trials
    assert (trial.outcome, trial.step, trial.value) == (Outcome.COMPLETE, 4, 0.25)
    assert [step for step, _ in trial.history] == ([3, 4] if ahead == 2 else [1, 2, 3, 4])
    assert ("begins again without it" in capsys.readouterr().out) is (ahead == 4)
