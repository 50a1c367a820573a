"""What a session and a comparison read: each log once, and each earlier trial once, whoever wants to know of them."""

import sys
from pathlib import Path

import pytest

import hpsearch
from hpsearch.experiment import codec
from hpsearch.experiment.layout import LOG
from hpsearch.workers import ledger
from tests.counting import calls

PROGRAM = "import json, sys; print(json.dumps({'loss': json.load(open(sys.argv[1]))['train']['rate']}))"
TEXT = """\
family: command
objective: {{metric: loss, goal: minimize}}
search: {{sampler: random, pruner: {pruner}, trials: {trials}, workers: 1}}
command: [{python}, program.py, "{{config}}"]
train: {{rate: {{float: [0, 1]}}}}
"""


@pytest.mark.parametrize("pruner", ["none", "median"])
def test_a_log_and_its_trials_are_read_once(pruner: str, tmp_path: Path) -> None:
    """A changed pruner makes it a changed space, for which earlier trials are looked at before anything is written."""
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")

    def run(pruner: str, trials: int) -> None:
        text = TEXT.format(pruner=pruner, trials=trials, python=sys.executable)
        (tmp_path / "space.yaml").write_text(text, encoding="utf-8")
        hpsearch.run(tmp_path / "space.yaml", root=tmp_path, name="e", in_process=True, mlflow=False)

    run("none", 4)
    lines = (tmp_path / "e" / LOG).read_bytes().count(b"\n")
    assert calls(lambda: run(pruner, 5), codec.decode, ledger.stored_job) == [lines, 4]


def test_a_comparison_reads_each_log_once() -> None:
    kept = Path(__file__).parents[1] / "kept"
    logs = [kept / name for name in ("search", "population")]
    lines = sum((log / LOG).read_bytes().count(b"\n") for log in logs)
    assert calls(lambda: hpsearch.compare(logs), codec.decode) == [lines]
