"""Which settings a training looked at, from a single access to a whole search over a setting that nobody reads."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from hpsearch.experiment.layout import UNREAD
from hpsearch.experiment.reading import read_evidence, read_experiment
from hpsearch.health import Kind, examine
from hpsearch.reads import counted_reads, uncounted
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from hpsearch.settings import UNFOLD, Option, Settings


class Rope(Option):
    kind: Literal["rope"] = "rope"
    base: float = 1e4


class Plain(Option):
    kind: Literal["plain"] = "plain"


class Model(Settings):
    width: int = 8
    depth: int = 2
    position: Annotated[Rope | Plain, Field(discriminator="kind"), UNFOLD] = Rope()
    free: dict[str, Any] = {"rate": 1}  # noqa: RUF012 -- pydantic copies defaults


class Config(Settings):
    model: Model = Model()


PATHS = ["model.width", "model.depth", "model.position", "model.position.rope.base", "model.free.rate"]


def unread_after(look: Any) -> list[str]:
    config = Config()
    with counted_reads([config]) as reads:
        look(config)
    return reads.unread(PATHS)


def test_what_is_read_is_noted_leaf_by_leaf() -> None:
    assert unread_after(lambda _: None) == PATHS
    assert unread_after(lambda config: config.model.width) == PATHS[1:]
    assert unread_after(lambda config: config.model.position.kind) == [*PATHS[:2], *PATHS[3:]]
    assert unread_after(lambda config: config.model.position.base) == [*PATHS[:2], PATHS[4]]
    assert unread_after(lambda config: config.model.free["rate"]) == PATHS[:4]
    assert unread_after(lambda config: getattr(config.model, "depth")) == [PATHS[0], *PATHS[2:]]  # noqa: B009 -- another road


@pytest.mark.parametrize(
    "look",
    [lambda model: model.model_dump(), vars, dict, lambda model: model.model_copy(), lambda model: model == model],
)
def test_who_takes_the_whole_may_have_read_everything(look: Any) -> None:
    assert unread_after(lambda config: look(config.model)) == []


def test_to_write_settings_down_is_not_to_use_them() -> None:
    def look(config: Config) -> None:
        with uncounted():
            config.model_dump()

    assert unread_after(look) == PATHS
    with uncounted():
        Config().model_dump()  # outside of a block it does nothing


def test_the_hook_is_gone_afterwards() -> None:
    config = Config()
    with pytest.raises(ZeroDivisionError), counted_reads([config]) as reads:
        1 / 0  # noqa: B018 -- raised on purpose
    assert config.model.width == 8
    assert reads.unread(PATHS) == PATHS
    assert "__getattribute__" not in vars(Settings)


def test_other_configurations_do_not_count() -> None:
    one, other = Config(), Config()
    with counted_reads([one]) as reads:
        other.model.model_dump()
    assert reads.unread(PATHS) == PATHS


IGNORING = """\
from hpsearch.training.settings import TrainSettings
from tests.toy_family import Toy, ToyConfig, ToyModel


class Deep(ToyModel):
    depth: int = 1


class Idle(TrainSettings):
    idle: float = 1.0


class Config(ToyConfig):
    model: Deep = Deep()
    train: Idle = Idle(batch_size=8)


class Ignoring(Toy):
    \"\"\"The toy with a depth that it does not look at.\"\"\"

    Config = Config
"""
SPACE = """\
family: ./ignoring.py:Ignoring
objective: {metric: val/loss}
search: {sampler: random, pruner: none, trials: 2, workers: 1}
model: {depth: {int: [1, 64]}, width: {int: [1, 4]}}
train:
  idle: {float: [0, 1]}
  learning_rate: {log: [1e-3, 1e-1]}
  optimizer: {choice: {sgd: {momentum: {float: [0, 0.9]}}}}
  epochs: 2
"""


def test_a_search_over_a_setting_that_nobody_reads_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "ignoring.py").write_text(IGNORING, encoding="utf-8")
    (tmp_path / "deep.yaml").write_text(SPACE, encoding="utf-8")
    folder = tmp_path / "deep"
    run(load_space(tmp_path / "deep.yaml"), folder=folder, options=RunOptions(in_process=True, confirm=False))
    written = json.loads((folder / "trials" / "0000" / UNREAD).read_text(encoding="utf-8"))
    assert written == {"unread": ["model.depth", "train.idle"]}
    record = read_experiment(folder)
    found = examine([read_evidence(folder, trial) for trial in record.trials], record.objective)
    told = [each.sentence for each in found if each.kind is Kind.UNREAD_SETTING]
    assert ["model.depth" in told[0], "train.idle" in told[1]] == [True, True]
