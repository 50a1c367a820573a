"""Configurations: the seed's two, the ones that cannot be, and where mistakes are shown."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from hpsearch.errors import HpsearchError
from hpsearch.families.relative_vit.family import RelativeVit
from hpsearch.families.relative_vit.settings import Relative, RelativeVitConfig
from hpsearch.running.loading import load_space
from hpsearch.training.optimizers import parameter_groups
from hpsearch.training.settings import Cosine, Warmup
from hpsearch.training.task import Splits

RPB_CONFIG = """
family: relative_vit
objective: {metric: val/accuracy, goal: maximize}
search: {trials: 2, seed: 42}
data: {source: {synthetic: {size: [112, 112], examples: 20}}}
model:
  {patch: 16, window: [7, 7], width: 96, heads: 4, head_width: 24, dropout: 0.1, attention_dropout: 0.1, scale: true,
   position: {relative: {type: 2d, learnable: true, init_std: 0.02}}}
train: {batch_size: 32, device: auto, weight_decay: {log: [0.01, 0.1]}}
"""
MY_EXPERIMENT = """
family: relative_vit
objective: {metric: val/accuracy, goal: maximize}
search: {trials: 2, seed: 123}
data: {source: {synthetic: {size: [224, 224], examples: 20}}}
model: {patch: 16, window: [14, 14], width: 192, heads: 8, dropout: 0.1, position: {relative: {type: 2d}}}
train: {batch_size: 64, weight_decay: {log: [0.01, 0.1]}}
"""


def opened(config):
    family = RelativeVit()
    splits = Splits(lambda split: family.load(config.data, split, seed=0), sealed=True)
    return splits, family.task(config, splits)


@pytest.mark.parametrize(("text", "rows", "heads"), [(RPB_CONFIG, 169, 4), (MY_EXPERIMENT, 729, 8)])
def test_the_configurations_of_the_seed_build_and_train(tmp_path: Path, text, rows, heads):
    path = tmp_path / "seed.yaml"
    path.write_text(text)
    config = load_space(path).config({"train.weight_decay": 0.05})
    splits, task = opened(config)
    model = task.build_model()
    tables = [parameter for name, parameter in model.named_parameters() if name.endswith("bias.table")]
    assert [table.shape for table in tables] == [(rows, heads)] * 3
    task.loss(model, splits["train"].batch([0, 1]), {})["loss"].backward()
    assert all(table.grad.abs().sum() > 0 for table in tables)


def test_the_defaults_are_the_recipe_of_the_seed():
    train = RelativeVitConfig().train
    assert (train.optimizer.kind, train.learning_rate, train.weight_decay, train.epochs) == ("adamw", 1e-3, 0.05, 100)
    assert (train.schedule, train.warmup) == (Cosine(), Warmup(fraction=0.1, start_factor=0.1))
    assert (train.clip_norm, train.early_stopping.patience) == (1.0, 10)
    assert RelativeVitConfig().model.position == Relative(type="2d", init_std=0.02, learnable=True)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"window": [7, 7]}, r"the window \[7, 7\] does not fit: images of 8 x 8 in patches of 2 make a .* \[4, 4\]"),
        ({"patch": 3}, "patches of 3 pixels do not fill images of 8 x 8"),
        ({"width": 50}, r"width \(50\) must be a multiple of heads \(4\)"),
    ],
)
def test_what_does_not_fit_is_refused(model, words):
    with pytest.raises(ValidationError, match=words):
        RelativeVitConfig.model_validate({"model": model})


def test_a_window_that_does_not_fit_is_shown_in_the_file(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(RPB_CONFIG.replace("[7, 7]", "[7, 14]"))
    with pytest.raises(HpsearchError, match=r"mine.yaml:6:1: .*the window \[7, 14\] does not fit: images of 112 x 112"):
        load_space(path)


@pytest.mark.parametrize("position", ["absolute", "relative"])
def test_bias_tables_positions_norms_and_biases_do_not_decay(position):
    """The seed leaves out what is called bias or norm; that forgets the positions and the class token."""
    config = RelativeVitConfig.model_validate({"model": {"position": position, "pool": "class_token"}})
    _, task = opened(config)
    model = task.build_model()
    groups = parameter_groups(task, model, config.train)
    decayed = {id(parameter) for group in groups if group["weight_decay"] for parameter in group["params"]}
    names = {name for name, parameter in model.named_parameters() if id(parameter) in decayed}
    inner = ("attention.queries_keys_values", "attention.output", "mlp.0", "mlp.3")
    blocks = {f"blocks.{number}.{part}.weight" for number in range(3) for part in inner}
    assert names == blocks | {"patches.weight", "head.weight"}
