"""Space and study files over the family that divides its data into folds."""

from pathlib import Path

from hpsearch.running.loading import load_space
from hpsearch.space import Space
from hpsearch.studies.reading import load_study
from hpsearch.studies.study import Study

FAMILY = Path(__file__).with_name("folded_family.py")

SPACE = """\
family: {family}:Folded
objective: {{metric: val/loss}}
search: {{sampler: random, pruner: none, trials: {trials}, workers: 1, seed: {seed}}}
train:
  learning_rate: {{log: [1e-2, 1]}}
  optimizer: {{choice: {{sgd: {{}}, adamw: {{}}}}}}
confirm: {confirm}
"""

STUDY = """\
question: Which optimizer?
metric: {{name: test/loss}}
arms:
  sgd: {{space: folded.yaml, set: {{train.optimizer: sgd}}}}
  adamw: {{space: folded.yaml, set: {{train.optimizer: adamw}}}}
  frequency: {{baseline: frequency}}
budget: {{trials: 2}}
replicates: {replicates}
decide: {{margin: 0.05}}
seed: {seed}
quick: {{budget.trials: 1, replicates.repeats: 1}}
"""


def write_folded_space(
    folder: Path, *, trials: int = 2, seed: int = 0, confirm: str = "{folds: 3, repeats: 2}", more: str = ""
) -> Path:
    """Write a space whose winner is confirmed on folds, and return its path."""
    path = folder / "folded.yaml"
    path.write_text(SPACE.format(family=FAMILY, trials=trials, seed=seed, confirm=confirm) + more)
    return path


def folded_space(folder: Path, **settings: object) -> Space:
    """Write such a space and read it."""
    return load_space(write_folded_space(folder, **settings))  # type: ignore[arg-type]


def write_folded_study(folder: Path, *, replicates: str = "{folds: 2, repeats: 2}", seed: int = 0) -> Path:
    """Write a study on folds with its space, and return its path."""
    write_folded_space(folder)
    path = folder / "study.yaml"
    path.write_text(STUDY.format(replicates=replicates, seed=seed))
    return path


def folded_study(folder: Path, **settings: object) -> Study:
    """Write such a study and read it."""
    return load_study(write_folded_study(folder, **settings))  # type: ignore[arg-type]
