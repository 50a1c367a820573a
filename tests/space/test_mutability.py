import json

import pytest

from hpsearch.errors import SpaceError
from hpsearch.running.loading import load_space
from hpsearch.space import differences, space_from_resolved
from hpsearch.space.ranges import Choice, Float, Int
from tests.space.toy import DATA, HEAD, Toy, read
from tests.toy_spaces import FAMILY

TRAIN = """\
train:
  learning_rate: {log: [1e-4, 1e-1], mutable: true}
  epochs: {int: [1, 9], step: 2, mutable: false}
  clip: {choice: [null, 1.0], mutable: true}
model:
  layers: {int: [1, 8], log: true, mutable: true}
  dropout: {float: [0, 0.5], step: 0.1, mutable: true}
"""


def test_the_flag_stands_beside_every_kind_of_range(tmp_path):
    space = read(tmp_path, HEAD + DATA + TRAIN)
    assert {parameter.path: parameter.range for parameter in space.parameters} == {
        "train.learning_rate": Float(1e-4, 1e-1, log=True, mutable=True),
        "train.epochs": Int(1, 9, step=2),
        "train.clip": Choice((None, 1.0), mutable=True),
        "model.layers": Int(1, 8, log=True, mutable=True),
        "model.dropout": Float(0, 0.5, step=0.1, mutable=True),
    }


def test_it_survives_being_resolved_and_is_a_difference(tmp_path):
    space = read(tmp_path, HEAD + DATA + TRAIN)
    resolved = json.loads(json.dumps(space.resolved()))
    again = space_from_resolved(resolved, Toy())
    assert again.parameters == space.parameters
    changed = read(tmp_path, HEAD + DATA + TRAIN, overrides=["train.learning_rate.mutable=false"])
    assert differences(resolved, changed.resolved()) == [
        "train.learning_rate: {log: [0.0001, 0.1], mutable: true} -> {log: [0.0001, 0.1]}"
    ]


def problems(folder, text):
    with pytest.raises(SpaceError) as caught:
        read(folder, HEAD + text)
    return [(each.line, each.column, each.message) for each in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        (
            DATA + "train: {learning_rate: {log: [1e-4, 1e-1], mutable: 1}}",
            *(4, 53, "train.learning_rate: 'mutable' of a range is true or false"),
        ),
        (
            DATA + "model: {position: {choice: {learned: , rope: }, mutable: true}}",
            *(4, 49, "model.position: the option of a branch cannot be mutable; its settings can"),
        ),
        (
            DATA + "model: {position: {choice: [learned, rope], mutable: false}}",
            *(4, 45, "model.position: the option of a branch cannot be mutable; its settings can"),
        ),
        (
            "data:\n  corpus: tiny\n  size:\n    int: [1, 9]\n    mutable: true",
            *(7, 5, "data.size: data cannot change while a training runs, so it cannot be mutable"),
        ),
        (
            DATA + "search: {pruner: {pbt: {interval: 3}}}\ntrain: {epochs: {int: [1, 3]}}",
            *(4, 18, "search.pruner: pbt needs a range to change; add mutable: true to one"),
        ),
        (
            DATA + "search:\n  pruner: pb2",
            *(5, 11, "search.pruner: pb2 needs a range to change; add mutable: true to one"),
        ),
        (
            DATA + "search: {pruner: pb2}\ntrain: {clip: {choice: [1, 2], mutable: true}}",
            *(5, 32, "train.clip: pb2 changes numbers only; a mutable choice needs the pruner pbt"),
        ),
        (
            DATA + "search: {pruner: {pbt: {quantile: 0.6}}}\ntrain: {clip: {choice: [1, 2], mutable: true}}",
            *(4, 35, "search.pruner.pbt.quantile: 0.6 is out of bounds (expected a number above 0 and of at most 0.5)"),
        ),
    ],
)
def test_mistakes_are_located(text, line, column, message, tmp_path):
    assert problems(tmp_path, text) == [(line, column, message)]


def space_with(folder, settings):
    path = folder / "toy.yaml"
    path.write_text(f"family: {FAMILY}:Toy\nobjective: {{metric: val/loss}}\ntrain:\n  {settings}\n", encoding="utf-8")
    return load_space(path)


FIXED = {
    "epochs": "{int: [1, 9], mutable: true}",
    "batch_size": "{choice: [4, 8], mutable: true}",
    "accumulate": "{int: [1, 2], mutable: true}",
    "decay_norms_and_biases": "{choice: [true, false], mutable: true}",
    "schedule": "{cosine: {floor: {float: [0, 0.5], mutable: true}}}",
    "warmup": "{steps: {int: [0, 3], mutable: true}}",
    "precision": "{choice: [fp32, bf16], mutable: true}",
    "ema": "{float: [0.5, 0.9], mutable: true}",
    "early_stopping": "{patience: {int: [1, 9], mutable: true}}",
    "evaluate": "{epochs: {int: [1, 2], mutable: true}}",
    "deterministic": "{choice: [true, false], mutable: true}",
    "device": "{choice: [auto, cpu], mutable: true}",
}


@pytest.mark.parametrize("setting", FIXED)
def test_training_settings_that_are_fixed_cannot_be_mutable(setting, tmp_path):
    with pytest.raises(SpaceError, match=rf"toy.yaml:4:\d+: train\.\S+: train\.{setting} cannot change") as caught:
        space_with(tmp_path, f"{setting}: {FIXED[setting]}")
    assert len(caught.value.problems) == 1


def test_the_others_can(tmp_path):
    settings = "clip_norm: {choice: [null, 1], mutable: true}\n  weight_decay: {float: [0, 1], mutable: true}"
    space = space_with(tmp_path, settings)
    assert [each.path for each in space.parameters if each.range.mutable] == ["train.clip_norm", "train.weight_decay"]
