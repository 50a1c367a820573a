"""Varied text, dropped connections and scheduled dropout."""

import pytest
import torch
from torch import nn

from hpsearch.families.char_lm.family import CharLM
from hpsearch.families.char_lm.network import CharTransformer, DropConnect
from hpsearch.families.char_lm.settings import CharLMConfig, ModelSettings
from hpsearch.families.char_lm.task import IGNORED, TextWindows
from hpsearch.training.task import Splits

CONTEXT, VOCABULARY = 20, 1000
WINDOWS = TextWindows(torch.arange(1, 2001).numpy() % 997 + 1, VOCABULARY, context=CONTEXT)
"""Each token is the one before plus one, so that what was left out or put in can be told."""


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def varied(**settings):
    batch = WINDOWS.batch(range(40))
    return batch, WINDOWS.varied(batch, generator(), **{"deletion": 0.0, "insertion": 0.0, **settings})


def is_subsequence(part, whole):
    left = iter(whole)
    return all(token in left for token in part)


def test_without_chances_the_text_stays():
    batch, same = varied()
    assert all(torch.equal(batch[name], same[name]) for name in batch)


def test_deletions_leave_a_subsequence_of_the_text_and_windows_as_long_as_before():
    batch, shorter = varied(deletion=0.1)
    consumed = 0
    for start, window, last in zip(batch["start"], shorter["input"], shorter["target"][:, -1], strict=True):
        text = [*window.tolist(), int(last)]
        source = WINDOWS.tokens[start : start + 2 * (CONTEXT + 1)].tolist()
        assert is_subsequence(text, source)
        consumed += source.index(text[-1]) + 1
    assert 40 * (CONTEXT + 1) / consumed == pytest.approx(0.9, abs=0.03)


def test_insertions_keep_every_character_of_the_text_in_order():
    batch, longer = varied(insertion=0.1)
    own = 0
    for start, window in zip(batch["start"], longer["input"], strict=True):
        source = WINDOWS.tokens[start : start + CONTEXT].tolist()
        kept = [token for token in window.tolist() if token in source]
        assert is_subsequence(source[: len(kept) - 2], window.tolist())
        own += len(kept)
    assert 40 * CONTEXT / own == pytest.approx(1.1, abs=0.03)


def test_targets_are_the_next_characters_of_the_varied_text():
    _, changed = varied(deletion=0.2, insertion=0.2)
    assert torch.equal(changed["target"][:, :-1], changed["input"][:, 1:])


def test_behind_the_end_of_the_text_nothing_is_predicted():
    last = WINDOWS.batch([len(WINDOWS) - 1])
    shorter = WINDOWS.varied(last, generator(), deletion=0.5, insertion=0.0)
    predicted = shorter["target"][shorter["target"] != IGNORED]
    assert 0 < len(predicted) < CONTEXT
    assert is_subsequence(predicted.tolist(), WINDOWS.tokens[int(last["start"]) :].tolist())


def task(**sections):
    config = CharLMConfig.model_validate({"data": {"context": CONTEXT}, **sections})
    return CharLM().task(config, Splits(lambda split: WINDOWS, sealed=True))


def test_the_settings_vary_training_batches():
    batch = WINDOWS.batch(range(8))
    assert not torch.equal(task(augmentation={"deletion": 0.2}).augment(batch, generator())["input"], batch["input"])
    assert torch.equal(task().augment(batch, generator())["input"], batch["input"])


def test_dropconnect_keeps_the_expected_output_and_drops_single_weights():
    torch.manual_seed(0)
    layer = DropConnect(50, 4, bias=True, dropped=0.3)
    inputs = torch.eye(50)  # the output is the weights themselves
    draws = torch.stack([layer(inputs) - layer.bias for _ in range(2000)])
    torch.testing.assert_close(draws.mean(0), layer.weight.T, atol=0.02, rtol=0)
    assert (draws == 0).float().mean() == pytest.approx(0.3, abs=0.01)
    kept = draws[0] != 0
    torch.testing.assert_close(draws[0][kept], (layer.weight.T / 0.7)[kept])
    torch.testing.assert_close(layer.eval()(inputs) - layer.bias, layer.weight.T)


def test_dropconnect_stands_where_branches_add_to_the_stream():
    settings = ModelSettings(layers=2, width=16, heads=2, dropconnect=0.5)
    model = CharTransformer(settings, vocabulary=10, context=4)
    assert [module.dropped for module in model.modules() if isinstance(module, DropConnect)] == [0.5] * 4


@pytest.mark.parametrize(("epoch", "dropout"), [(0, 0.1), (2, 0.2), (4, 0.3)])
def test_dropout_goes_in_a_straight_line_from_the_first_epoch_to_the_last(epoch, dropout):
    each = task(model={"layers": 1, "width": 16, "heads": 2, "dropout_start": 0.1, "dropout": 0.3})
    model = each.build_model()
    each.begin_epoch(model, epoch, 5)
    found = [module.p for module in model.modules() if isinstance(module, nn.Dropout)]
    assert found == pytest.approx([dropout] * len(found))
    assert len(found) == 4


def test_without_a_start_dropout_stays():
    each = task(model={"layers": 1, "width": 16, "heads": 2, "dropout": 0.3})
    model = each.build_model()
    each.begin_epoch(model, 0, 5)
    assert model.dropout.p == 0.3


def test_the_seeds_final_training_can_be_written():
    config = CharLMConfig.model_validate(
        {
            "model": {"width": 512, "layers": 8, "heads": 8, "dropout": 0.1},
            "train": {
                "learning_rate": 1e-3, "epochs": 50, "batch_size": 64, "schedule": "cosine", "warmup": {"steps": 2000},
                "clip_norm": 1.0, "precision": "fp16", "early_stopping": {"patience": 10},
            },
        }
    )  # fmt: skip
    assert config.train.warmup.steps == 2000
