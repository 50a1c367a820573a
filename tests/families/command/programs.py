"""Two foreign programs, in Python and in POSIX shell, and spaces over them."""

import sys
from pathlib import Path
from typing import Any

from hpsearch.running.loading import load_space
from hpsearch.space import Space

PYTHON = r"""
import argparse, os, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--trouble", default="")
options = parser.parse_args()
for epoch in range(1, 5):
    loss = (options.lr - 0.3) ** 2 + 1 / epoch
    if options.trouble == "nan" and epoch == 2:
        loss = float("nan")
    print("Epoch %d/4 - loss: %.6f - took no time" % (epoch, loss))
    if options.trouble == "hang":
        time.sleep(600)
    if options.trouble == "memory":
        sys.exit("torch.OutOfMemoryError: CUDA out of memory.")
    if options.trouble == "fail":
        raise ValueError("no such layer")
    if options.trouble == "kill":
        os.kill(os.getpid(), 9)
    if options.trouble == "crash":
        os.abort()
"""
PATTERN = r"Epoch (?P<epoch>\d+)/4 - loss: (?P<loss>\S+)"

SHELL = r"""
rate=$1; folder=$2; start=1
[ -n "$3" ] && start=$(( $(cat "$3") + 1 ))
for epoch in $(seq "$start" 4); do
  echo "chatter of epoch $epoch with seed $HPSEARCH_SEED on $HPSEARCH_DEVICE"
  echo "{\"epoch\": $epoch, \"val/loss\": $(( rate + 4 - epoch )), \"test/loss\": $(( rate * 10 + epoch ))}"
  echo "$epoch" > "$folder/checkpoint"
  PAUSE
done
"""

HEAD = """\
family: command
objective: {{metric: {metric}, goal: minimize, at: {at}}}
search: {{sampler: random, pruner: {pruner}, trials: {trials}, workers: 1, seed: 0, retries: 1}}
confirm: {confirm}
"""


def _space(folder: Path, body: str, settings: dict[str, Any], overrides: list[str]) -> Space:
    given = {"metric": "loss", "at": "best", "pruner": "none", "trials": 3, "confirm": "null", **settings}
    path = folder / "program.yaml"
    path.write_text(HEAD.format(**given) + body, encoding="utf-8")
    return load_space(path, overrides=overrides)


def python_space(folder: Path, *overrides: str, trouble: str = "", **settings: Any) -> Space:
    """A program that prints for people, unchanged."""
    (folder / "train.py").write_text(PYTHON, encoding="utf-8")
    body = f"""\
command: [{sys.executable}, train.py, --lr, "{{train.lr}}", "--trouble={trouble}"]
metrics: {{pattern: '{PATTERN}'}}
grace: 1
train: {{lr: {{float: [0, 1]}}}}
"""
    return _space(folder, body, settings, list(overrides))


def shell_space(folder: Path, *overrides: str, pause: str = ":", **settings: Any) -> Space:
    """A shell program that prints JSON lines and goes on from a checkpoint."""
    (folder / "train.sh").write_text(SHELL.replace("PAUSE", pause), encoding="utf-8")
    body = """\
command: "sh train.sh {model.rate} {trial_dir} {checkpoint}"
grace: 1
model: {rate: {int: [1, 9]}}
"""
    return _space(folder, body, {"metric": "val/loss", **settings}, list(overrides))
