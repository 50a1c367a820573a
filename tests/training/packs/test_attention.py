"""Attention that drops weights is packed, too: each lane draws what the training alone draws."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from hpsearch.seeds import Seeds
from hpsearch.testing.families import Recorder, SpaceCase, numbers
from hpsearch.training.loop import fit
from hpsearch.training.packs.candidate import Candidate
from hpsearch.training.packs.losses import attention_by_hand
from hpsearch.training.packs.together import fit_together
from hpsearch.training.settings import TrainSettings
from tests.contracts.family_shelf import SMALLER, SPACES, load_space
from tests.training.toy import MONITOR, LineTask, line_splits

WAYS = {
    "layer": {},
    "no mask": {},
    "causal": {"is_causal": True},
    "seen": {"attn_mask": torch.tensor([[True, False, False], [True, True, False], [False, False, False]])},
    "bias": {"attn_mask": torch.tensor([[0.5, -1.0, 0.0]]), "scale": 1.0},
}


class Attentive(nn.Module):
    """A number as three tokens, which attend to one another."""

    def __init__(self, way, dropout):
        super().__init__()
        self.way = way
        self.entrance, self.output = nn.Linear(1, 12), nn.Linear(12, 1)
        self.layer = nn.MultiheadAttention(4, 2, dropout=dropout, batch_first=True) if way == "layer" else None
        self.dropout, self.after = nn.Dropout(dropout), nn.Dropout(0.0)

    def forward(self, inputs):
        tokens = self.entrance(inputs).unflatten(-1, (3, 4))
        if self.layer is not None:
            attended = self.layer(tokens, tokens, tokens, need_weights=False)[0]
        else:
            heads = tokens.unflatten(-1, (2, 2)).transpose(1, 2)
            probability = self.dropout.p if self.training else 0.0
            attended = functional.scaled_dot_product_attention(
                heads, heads, heads, dropout_p=probability, **WAYS[self.way]
            )
            attended = attended.transpose(1, 2).flatten(2)
        return self.output(self.after(attended.flatten(1)))


class AttentiveTask(LineTask):
    def __init__(self, way, dropout):
        self.way, self.dropout = way, dropout

    def build_model(self):
        return Attentive(self.way, self.dropout)


@pytest.mark.parametrize("way", WAYS)
def test_a_lane_with_dropped_weights_is_the_training_alone(way):
    settings, at = TrainSettings(epochs=3, batch_size=4, learning_rate=0.01), {"monitor": MONITOR, "device": "cpu"}
    candidates = [
        Candidate(AttentiveTask(way, p), line_splits(), settings, Seeds.for_trial(0, number), MONITOR, Recorder())
        for number, p in enumerate((0.3, 0.0, 0.6))
    ]
    ended = {each.candidate: each for each in fit_together(candidates, lanes=3, device="cpu")}
    for each in candidates:
        assert ended[each].alone is None
        alone = fit(each.task, each.splits, settings, seeds=each.seeds, report=Recorder(), **at)
        found = numbers(ended[each].result.evaluations)
        for (step, own), (same, wanted) in zip(found, numbers(alone.evaluations), strict=True):
            assert step == same
            assert own == pytest.approx(wanted, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("way", [way for way in WAYS if way != "layer"])
def test_attention_by_hand_is_torchs_own(way):
    query, key, value = torch.randn(3, 2, 2, 3, 4, generator=torch.Generator().manual_seed(0)).unbind()
    by_hand = attention_by_hand(lambda shape, _: torch.ones(shape), query, key, value, dropout_p=0.5, **WAYS[way])
    expected = functional.scaled_dot_product_attention(query, key, value, **WAYS[way])
    assert torch.allclose(by_hand, expected, rtol=1e-5, atol=1e-6)
    assert all(math.isfinite(each) for each in by_hand.flatten().tolist())


FAMILIES = {
    "deepsif": ["model.temporal={transformer: {layers: 1, width: 32, heads: 2, dropout: 0.2}}"],
    "text_classifier": [
        "model.architecture={transformer: {width: 48, layers: 1, heads: 2, dropout: 0.1, attention_dropout: 0.2}}"
    ],
    "char_lm": ["model.dropout=0.2"],
    "relative_vit": ["model.dropout=0.1", "model.attention_dropout=0.2"],
}


SLOW = {"deepsif", "text_classifier"}


@pytest.mark.parametrize("name", [pytest.param(each, marks=[pytest.mark.slow] * (each in SLOW)) for each in FAMILIES])
def test_the_families_attend_in_packs(name):
    overrides = [*SMALLER.get(name, []), *FAMILIES[name], "start=[]"]
    case = SpaceCase(load_space(SPACES / f"{name}.yaml", quick=True, overrides=overrides))
    seeds = [Seeds.for_trial(0, number) for number in range(2)]
    for each, ended in zip(seeds, case.train_together(seeds), strict=True):
        assert ended.alone is None
        for (_, found), (_, wanted) in zip(
            numbers(ended.result.evaluations), numbers(case.train(seeds=each).evaluations), strict=True
        ):
            assert found == pytest.approx(wanted, rel=1e-3, abs=1e-5)
