"""quick and --set."""

import pytest

from hpsearch.errors import SpaceError
from hpsearch.running.loading import load_space
from hpsearch.space import Float, Int, differences
from tests.space.toy import DATA, HEAD, read

MODEL = """\
model:
  layers: {int: [2, 6]}
  sizes: [1, 2, 3]
  stack: [{width: 4}, {width: 5}]
  position: {choice: {learned: {}, rope: {base: {log: [1e3, 1e5]}}}}
  feed: {mixture: {experts: 3, router: {gate: {bias: 1.0}}}}
train: {learning_rate: {log: [1e-4, 1e-2]}, stopping: {choice: [null, {patience: 3}]}}
"""
TEXT = HEAD + DATA + MODEL


def changes(folder, *overrides, text=TEXT):
    before, after = read(folder, text), read(folder, text, overrides=overrides)
    return differences(before.resolved(), after.resolved())


@pytest.mark.parametrize(
    ("override", "change"),
    [
        ("search.trials=7", "search.trials: 50 -> 7"),
        ("search.sampler=gp", "search.sampler.gp.startup: (not set) -> 10"),
        ("search.sampler.auto.startup=4", "search.sampler.auto.startup: 10 -> 4"),
        ("confirm.seeds=3", "confirm.seeds: (not set) -> 3"),
        ("model.layers=2", "model.layers: {int: [2, 6]} -> 2"),
        ("model.layers={int: [1, 3]}", "model.layers: {int: [2, 6]} -> {int: [1, 3]}"),
        ("model.layers.int=[1, 3]", "model.layers: {int: [2, 6]} -> {int: [1, 3]}"),
        ("model.layers.step=2", "model.layers: {int: [2, 6]} -> {int: [2, 6], step: 2}"),
        ("model.sizes.1=9", "model.sizes: [1, 2, 3] -> [1, 9, 3]"),
        ("model.stack.0.width=5", "model.stack: [{width: 4}, {width: 5}] -> [{width: 5}, {width: 5}]"),
        ("model.width=64", "model.width: (not set) -> 64"),
        ("model.position.rope.base=5", "model.position.rope.base: {log: [1000.0, 100000.0]} -> 5"),
        ("model.position.rope.partial=0.5", "model.position.rope.partial: (not set) -> 0.5"),
        ("model.feed.mixture.router.gate.bias=2", "model.feed.mixture.router.gate.bias: 1.0 -> 2"),
        ("model.feed.mixture.experts={choice: [2, 8]}", "model.feed.mixture.experts: 3 -> {choice: [2, 8]}"),
        ("train.stopping={patience: 2}", "train.stopping.patience: (not set) -> 2"),
        ("train.stopping.patience=2", "train.stopping.patience: (not set) -> 2"),
        ("train.epochs=1e1", "train.epochs: (not set) -> 10.0"),
        ("data.corpus='1e1'", "data.corpus: 'tiny' -> '1e1'"),
        ("require=['model.layers > 1']", "require: [] -> ['model.layers > 1']"),
    ],
)  # fmt: skip
def test_an_override_changes_its_setting(tmp_path, override, change):
    assert change in changes(tmp_path, override)


def test_an_override_changes_nothing_else(tmp_path):
    assert changes(tmp_path, "model.position.rope.base=5") == [
        "model.position.rope.base: {log: [1000.0, 100000.0]} -> 5"
    ]


def test_a_fixed_branch_can_be_fixed_to_another_option(tmp_path):
    text = HEAD + DATA + "model: {position: learned}\n"
    space = read(tmp_path, text, overrides=["model.position.rope.base={log: [1, 9]}"])
    assert [parameter.path for parameter in space.parameters] == ["model.position.rope.base"]
    assert space.configuration({"model.position.rope.base": 2.0})["model"]["position"] == {"kind": "rope", "base": 2.0}


def test_a_branch_written_with_kind_keeps_its_other_settings(tmp_path):
    text = HEAD + DATA + "model: {position: {kind: rope, base: 3.0, partial: 0.5}}\n"
    space = read(tmp_path, text, overrides=["model.position.rope.base=7"])
    assert space.configuration({})["model"]["position"] == {"kind": "rope", "base": 7, "partial": 0.5}


def test_a_choice_of_names_can_be_given_settings(tmp_path):
    text = HEAD + DATA + "model: {position: {choice: [learned, rope]}}\n"
    space = read(tmp_path, text, overrides=["model.position.rope.base={log: [1, 9]}"])
    assert space.parameters[1].range == Float(1.0, 9.0, log=True)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epochs.x=1", "train.epochs is a single value, it holds no 'x'"),
        ("model.feed.dens.x=1", "unknown option 'dens' of model.feed, did you mean 'dense'?; known: dense, mixture"),
        ("model.sizes.9=1", "model.sizes has no item '9'; it has 3, counted from 0"),
        ("quick=1", "'quick' cannot be replaced"),
        ("data.korpus=1", "unknown setting 'korpus' in data, did you mean 'corpus'?; known: corpus, size, shuffle"),
    ],
)  # fmt: skip
def test_an_override_that_leads_nowhere(tmp_path, override, message):
    with pytest.raises(SpaceError) as caught:
        read(tmp_path, TEXT, overrides=[override])
    assert str(caught.value) == f"--set {override}: {message}"


def test_an_override_of_an_option_that_is_not_offered(tmp_path):
    text = HEAD + DATA + "model: {position: {choice: [learned]}}\n"
    with pytest.raises(SpaceError, match=r"'rope' is not among the choices of model\.position: learned"):
        read(tmp_path, text, overrides=["model.position.rope.base=1"])


QUICK = TEXT + "quick: {search.trials: 8, model.layers: {int: [1, 2]}, train.learning_rate: 1e-3}\n"


def test_quick_is_laid_over_only_when_asked_for(tmp_path):
    assert read(tmp_path, QUICK).search.trials == 50
    space = read(tmp_path, QUICK, quick=True)
    assert space.search.trials == 8
    assert space.parameters[0].range == Int(1, 2)
    assert space.text == QUICK


def test_an_override_comes_after_quick(tmp_path):
    assert read(tmp_path, QUICK, quick=True, overrides=["search.trials=9"]).search.trials == 9


START = "start: [{train.learning_rate: 1e-3, model.layers: 6}, {model.position.rope.base: 2e3}]\n"


def test_start_loses_what_quick_and_overrides_have_replaced(tmp_path):
    assert read(tmp_path, QUICK + START).start == (
        {"train.learning_rate": 1e-3, "model.layers": 6},
        {"model.position": "rope", "model.position.rope.base": 2e3},
    )
    quick = read(tmp_path, QUICK + START, quick=True, overrides=["model.position=learned"])
    assert quick.start == ()


def test_a_start_in_quick_must_fit_quick(tmp_path):
    text = TEXT + "quick:\n  start: [{model.layers: 6}]\n  model.layers: {int: [1, 2]}\n"
    with pytest.raises(SpaceError, match=r"x\.yaml:12:26: start: model.layers 6 is not in \{int: \[1, 2\]\}"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("train", "override", "expected"),
    [
        ("{epochs: 20}", "train.steps=2000", {"steps": 2000}),
        ("{steps: 2000}", "train.epochs=3", {"epochs": 3}),
        ("{steps: {int: [10, 20]}}", "train.epochs={int: [1, 2]}", {"epochs": {"int": [1, 2]}}),
        ("{evaluate: {epochs: 1}}", "train.evaluate.steps=250", {"evaluate": {"steps": 250}}),
        ("{warmup: {fraction: 0.1}}", "train.warmup.steps=100", {"warmup": {"steps": 100}}),
    ],
)
def test_of_two_lengths_the_override_takes_the_place_of_the_other(tmp_path, train, override, expected):
    file = tmp_path / "space.yaml"
    file.write_text(f"family: char_lm\nobjective: {{metric: val/loss}}\ntrain: {train}\n")
    train = load_space(file, overrides=[override]).resolved()["train"]
    assert {name: train[name] for name in expected} == expected
    assert ("steps" in train) + ("epochs" in train) <= 1


def test_nanogpts_two_thousand_iterations_can_be_written_down(tmp_path):
    file = tmp_path / "nano.yaml"
    text = "family: char_lm\nobjective: {metric: val/loss}\ntrain: {steps: 2000, evaluate: {steps: 250}}\n"
    file.write_text(text)
    train = load_space(file).config({}).train
    assert (train.steps, train.evaluate.steps) == (2000, 250)
    file.write_text(text.replace("steps: 2000", "steps: 2000, epochs: 3"))
    with pytest.raises(SpaceError, match=r"nano.yaml:3:.*train: give epochs or steps, not both"):
        load_space(file)
