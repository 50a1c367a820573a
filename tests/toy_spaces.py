"""Space files over the toy family, written where a test wants them."""

from pathlib import Path

from hpsearch.running.loading import load_space
from hpsearch.space import Space

FAMILY = Path(__file__).with_name("toy_family.py")

SEARCH = """\
family: {family}:Toy
objective: {{metric: val/loss, at: best}}
search: {{sampler: {sampler}, pruner: {pruner}, trials: {trials}, workers: {workers}, seed: {seed}{search}}}
{data}
model:
  start: {{float: [-1, 1]}}
  width: {width}
train:
  epochs: {epochs}
  batch_size: 8
  learning_rate: {rate}
  optimizer: {{choice: {{sgd: {{momentum: {{float: [0, 0.9]}}}}, adamw: {{}}}}}}
{more}
"""


def write_space(
    folder: Path,
    *,
    sampler: str = "random",
    pruner: str = "none",
    trials: int = 6,
    workers: int | str = 1,
    seed: int = 0,
    search: str = "",
    epochs: int = 3,
    width: str = "{int: [1, 4]}",
    rate: str = "{log: [1e-3, 1]}",
    data: str = "",
    more: str = "",
    name: str = "toy.yaml",
) -> Path:
    """Write a toy space file and return its path."""
    path = folder / name
    text = SEARCH.format(
        family=FAMILY,
        sampler=sampler,
        pruner=pruner,
        trials=trials,
        workers=workers,
        seed=seed,
        search=f", {search}" if search else "",
        epochs=epochs,
        width=width,
        rate=rate,
        data=data,
        more=more,
    )
    path.write_text(text, encoding="utf-8")
    return path


def toy_space(folder: Path, **settings: object) -> Space:
    """Write a toy space and read it."""
    return load_space(write_space(folder, **settings))  # type: ignore[arg-type]
