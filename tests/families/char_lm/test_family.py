"""The family: settings, splits, windows, task and scores."""

import math
import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from hpsearch.data.text import UNKNOWN, Vocabulary
from hpsearch.errors import DataError
from hpsearch.families.char_lm.family import FAMILY, CharLM
from hpsearch.families.char_lm.settings import CharLMConfig, RotaryPositions
from hpsearch.families.char_lm.task import IGNORED, TextWindows
from hpsearch.training.settings import AdamW, Cosine
from hpsearch.training.task import Splits

PARTS = ("train", "val", "test")


@pytest.fixture(autouse=True)
def _one_thread_and_one_seed():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def text_file(tmp_path):
    """A text of 1,000 characters in which every character's place can be told; its last 50 have capitals."""
    text = "".join(f"{number:04d} " for number in range(200))
    path = tmp_path / "numbers.txt"
    path.write_text(text[:950] + "ABCDEFGHIJ" * 5)
    return path


def configuration(path, **sections):
    model = {"layers": 1, "width": 16, "heads": 2, "dropout": 0.0} | sections.pop("model", {})
    return CharLMConfig.model_validate({"data": {"path": str(path), "context": 8} | sections, "model": model})


def opened(config):
    family = CharLM()
    splits = Splits(lambda split: family.load(config.data, split, seed=0), sealed=False)
    return splits, family.task(config, splits)


def text_of(windows, vocabulary):
    return "".join("?" if token == UNKNOWN else vocabulary.characters[token - 1] for token in windows.tokens)


def test_nothing_imports_torch_until_data_are_asked_for():
    code = "import sys, hpsearch.families.char_lm.family as f; f.FAMILY.Config(); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_defaults_are_nanogpts():
    train = CharLMConfig().train
    assert FAMILY is CharLM
    assert train.optimizer == AdamW(beta2=0.99)
    assert train.schedule == Cosine(floor=0.1)
    assert (train.learning_rate, train.weight_decay, train.clip_norm) == (1e-3, 0.1, 1.0)


def test_a_branch_can_be_named_or_given_with_its_settings():
    assert CharLMConfig.model_validate({"model": {"position": "rope"}}).model.position == RotaryPositions(base=1e4)
    given = CharLMConfig.model_validate({"model": {"position": {"rope": {"base": 500}}}})
    assert given.model.position == RotaryPositions(base=500)


@pytest.mark.parametrize(
    ("section", "settings", "words"),
    [
        ("model", {"width": 64, "heads": 3}, r"width \(64\) must be a multiple of heads \(3\)"),
        ("model", {"width": 12, "heads": 4, "position": "rope"}, "must be even, not 3"),
        ("data", {"val_fraction": 0.5, "test_fraction": 0.5}, "must be below 1"),
        ("data", {"corpus": "shakespeare"}, "pydoc"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(section, settings, words):
    with pytest.raises(ValidationError, match=words):
        CharLMConfig.model_validate({section: settings})


def test_the_parts_are_neighbours_without_overlap_and_the_vocabulary_is_that_of_training(text_file):
    splits, _ = opened(configuration(text_file))
    text = text_file.read_text()
    vocabulary = Vocabulary.of(text[:800])
    assert vocabulary.characters == " 0123456789"
    assert [len(splits[part].tokens) for part in PARTS] == [800, 100, 100]
    whole = "".join(text_of(splits[part], vocabulary) for part in PARTS)
    assert whole == text[:950] + "?" * 50
    assert {splits[part].vocabulary for part in PARTS} == {12}


def test_the_split_does_not_depend_on_the_seed(text_file):
    data = configuration(text_file).data
    assert torch.equal(CharLM().load(data, "val", seed=0).tokens, CharLM().load(data, "val", seed=1).tokens)


def test_a_text_that_is_too_short_for_the_context_is_refused(text_file):
    with pytest.raises(DataError, match="the val part gets 100, and it needs 101"):
        opened(configuration(text_file, context=100))[0]["train"]


@pytest.mark.parametrize("length", [9, 16, 17, 18, 100])
def test_every_token_but_the_first_is_a_target_once_and_follows_its_input(length):
    tokens = torch.randperm(1000)[:length]
    windows = TextWindows(tokens.numpy(), 1000, context=8)
    batch = windows.batch(range(len(windows)))
    assert batch["input"].shape == batch["target"].shape == (len(windows), 8)
    kept = batch["target"] != IGNORED
    assert torch.equal(batch["target"][kept], tokens[1:])
    assert torch.equal(batch["input"][kept], tokens[:-1])


def test_random_offsets_move_windows_within_the_text_and_keep_targets_behind_inputs(text_file):
    config = configuration(text_file, offset="random")
    splits, task = opened(config)
    train = splits["train"]
    generator = torch.Generator().manual_seed(0)
    starts = set()
    for _ in range(50):
        batch = task.augment(train.batch([0, 5, len(train) - 1]), generator)
        assert (batch["target"] != IGNORED).all()
        assert torch.equal(batch["input"][:, 1:], batch["target"][:, :-1])
        assert torch.equal(batch["input"][:, 0], train.tokens[batch["start"]])
        starts.add(int(batch["start"][1]))
    assert starts == set(range(40, 48))
    fixed = opened(configuration(text_file))[1]
    plain = train.batch([0, 1])
    assert fixed.augment(plain, generator) is plain


class FixedLogits(nn.Module):
    """Answers every token with its row of a table."""

    def __init__(self, table):
        super().__init__()
        self.table = table

    def forward(self, tokens):
        return self.table[tokens]


def test_scores_are_means_over_characters_and_agree_with_a_count_by_hand(text_file):
    splits, task = opened(configuration(text_file))
    test = splits["test"]
    model = FixedLogits(torch.randn(12, 12))
    chances = model.table.double().softmax(dim=1)
    pairs = list(zip(test.tokens[:-1].tolist(), test.tokens[1:].tolist(), strict=True))
    nats = [-math.log(chances[before, after]) for before, after in pairs]
    right = [int(chances[before].argmax()) == after for before, after in pairs]
    for sizes in ([13], [4, 4, 4, 1], [12, 1]):  # 99 targets: the last window has 3
        numbers = iter(range(13))
        batches = [test.batch([next(numbers) for _ in range(size)]) for size in sizes]
        scores = task.evaluate(model, batches)
        assert set(scores) == set(CharLM.metrics)
        assert scores["loss"] == pytest.approx(sum(nats) / 99)
        assert scores["bits_per_char"] == pytest.approx(sum(nats) / 99 / math.log(2))
        assert scores["perplexity"] == pytest.approx(math.exp(sum(nats) / 99))
        assert scores["accuracy"] == pytest.approx(sum(right) / 99)
        assert scores["unknown_fraction"] == pytest.approx(50 / 99)
        losses = [task.loss(model, batch, task.scalars)["loss"].item() * task.count(batch) for batch in batches]
        assert sum(losses) == pytest.approx(sum(nats), rel=1e-5)
        assert sum(map(task.count, batches)) == 99


def test_the_loss_works_as_a_pure_function_for_several_models_at_once(text_file):
    splits, task = opened(configuration(text_file, model={"position": "rope"}))
    models = [task.build_model() for _ in range(3)]
    batch = {name: tensor for name, tensor in splits["train"].batch([0, 3, 99]).items() if name != "start"}
    parameters, buffers = torch.func.stack_module_state(models)

    def loss(weights, constants):
        return task.loss(
            lambda tokens: torch.func.functional_call(models[0], (weights, constants), (tokens,)), batch, {}
        )["loss"]

    together = torch.vmap(loss)(parameters, buffers)
    alone = torch.stack([task.loss(model, batch, {})["loss"] for model in models])
    torch.testing.assert_close(together, alone)


def test_the_baselines_are_fitted_on_training_and_scored_in_the_same_units(text_file):
    config = configuration(text_file)
    splits, _ = opened(config)
    scores = CharLM().baselines(config, splits, "val")
    assert set(scores) == {"uniform", "unigram", "bigram", "witten_bell"}
    assert scores["uniform"]["bits_per_char"] == pytest.approx(math.log2(12))
    assert all(set(row) == {"loss", "bits_per_char", "perplexity"} for row in scores.values())
    with_unknown = CharLM().baselines(config, splits, "test")
    assert with_unknown["bigram"]["loss"] > scores["bigram"]["loss"]


def test_layer_wise_rates_cover_every_parameter(text_file):
    model = {"layers": 3, "layer_decay": 0.9, "embedding_rate": 0.1}
    _, task = opened(configuration(text_file, model=model))
    rates = {name: task.rate_scale(name) for name, _ in task.build_model().named_parameters()}
    assert rates["embedding.weight"] == rates["positions.weight"] == 0.1
    assert rates["norm.weight"] == 1.0
    for layer, rate in enumerate((0.81, 0.9, 1.0)):
        assert rates[f"blocks.{layer}.attention.output.weight"] == pytest.approx(rate)


def steps(task, batch, *, count, learning_rate):
    """Train on one batch and return the loss before each step."""
    model = task.build_model().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    losses = []
    for _ in range(count):
        loss = task.loss(model, batch, task.scalars)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("position", ["learned", "sinusoidal", "rope"])
def test_two_steps_on_one_batch_lower_its_loss(text_file, position):
    splits, task = opened(configuration(text_file, model={"position": position}))
    losses = steps(task, splits["train"].batch(range(16)), count=3, learning_rate=1e-3)
    assert losses[0] > losses[1] > losses[2]


@pytest.mark.slow
@pytest.mark.parametrize("position", ["learned", "sinusoidal", "rope"])
def test_a_single_batch_can_be_learned_by_heart(position):
    """Random text of 4 windows can only be remembered, and a window's first token says which one it is."""
    tokens = torch.randint(1, 30, (33,)).numpy()
    config = CharLMConfig.model_validate(
        {"model": {"layers": 2, "width": 32, "heads": 2, "dropout": 0, "position": position}}
    )
    windows = TextWindows(tokens, 30, context=8)
    task = CharLM().task(config, Splits(lambda split: windows, sealed=True))
    losses = steps(task, windows.batch(range(4)), count=400, learning_rate=1e-2)
    assert losses[-1] < 0.02
