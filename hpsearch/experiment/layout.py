"""Where each file of an experiment stands.

experiments/<name>/
  space.yaml          the file as given
  resolved.json       after --set/--quick, with versions, git commit, machine, seed; resolved-1.json: before a change
  log.jsonl           see log.py               lock            held while a process runs the experiment
  tracking.json       which MLflow run mirrors which run; tracking.lock: held while a process mirrors; with another
                      tracker tracking-NAME.json and .lock; tensorboard/, wandb/: what these two have
  trials/0007/        config.json  metrics.jsonl  checkpoint.pt  best.pt  output.log  artifacts/ (see artifacts.py)
                      unread.json: searched settings that the training never read, if any
                      rate_decisions.jsonl under the schedules plateau and adaptive
  confirm/0007/seed-002/      the same for a replicate
experiments/mlflow.db, experiments/mlartifacts/, experiments/mlflow.lock (held while the database is made)
"""

from pathlib import Path

FORMAT_VERSION = 1
SPACE = "space.yaml"
RESOLVED = "resolved.json"
LOG = "log.jsonl"
LOCK = "lock"
TRACKING = "tracking.json"
CONFIG = "config.json"
METRICS = "metrics.jsonl"
CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
NUMBERED = "checkpoint-*.pt"
"""Kept checkpoints, see `train.keep`."""
RATE_DECISIONS = "rate_decisions.jsonl"
"""What a schedule with a memory decided (plateau, adaptive): step, epoch, reason, factor before and after."""
OUTPUT = "output.log"
HISTOGRAMS = "histograms.jsonl"
"""Only with `train.histograms`; see histograms.py."""
ARTIFACTS = "artifacts"
UNREAD = "unread.json"


def trial_run(number: int) -> str:
    """Return the run name of a trial."""
    return f"trials/{number:04d}"


def replicate_run(number: int, replicate: int) -> str:
    """Return the run name of a replicate of trial `number`."""
    return f"confirm/{number:04d}/seed-{replicate:03d}"


BASELINES_RUN = "confirm/baselines"
"""Below it each of the family's classical methods is a run of its own, such as `confirm/baselines/sloreta`."""


def is_experiment(folder: Path) -> bool:
    """Say whether a folder holds an experiment."""
    return (folder / RESOLVED).is_file()
