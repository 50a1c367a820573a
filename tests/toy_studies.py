"""Study files over the toy family, written where a test wants them."""

from pathlib import Path

from hpsearch.running.runner import RunOptions, run
from hpsearch.studies.reading import load_study
from hpsearch.studies.run import RunArm
from hpsearch.studies.study import Study
from tests.toy_spaces import write_space

TEXT = """\
question: {question}
metric: {{name: test/loss}}
arms:
  sgd: {{space: toy.yaml, set: {{train.optimizer: sgd}}}}
  adamw: {{space: toy.yaml, set: {{train.optimizer: adamw}}}}
  mean: {{baseline: mean}}
budget: {{trials: {trials}}}
replicates: {{seeds: {seeds}}}
decide: {{margin: {margin}}}
seed: {seed}
quick: {{budget.trials: 1, replicates.seeds: 2}}
"""


def write_study(
    folder: Path, *, trials: int = 3, seeds: int = 3, margin: float = 0.1, seed: int = 0, question: str = "Which?"
) -> Path:
    """Write a toy study with its space and return its path."""
    write_space(folder, seed=7, more="quick: {train.epochs: 2}")
    path = folder / "study.yaml"
    path.write_text(TEXT.format(trials=trials, seeds=seeds, margin=margin, seed=seed, question=question))
    return path


def toy_study(folder: Path, **settings: object) -> Study:
    """Write a toy study and read it."""
    return load_study(write_study(folder, **settings))  # type: ignore[arg-type]


def altered(path: Path, *changes: tuple[str, str]) -> Path:
    """Replace pieces of a file's text, all of which are there, and return its path."""
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


def with_options(options: RunOptions) -> RunArm:
    """Return a function that runs an arm as `hpsearch run` would."""
    return lambda arm, folder: run(arm.space, folder=folder, options=options)
