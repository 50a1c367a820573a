"""Freezing plans: what trains when, that what is frozen stays as it is, and that an interruption changes nothing."""

import pytest
import torch
from torch import nn

from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.training.freezing import Freezing
from hpsearch.training.settings import Evaluate, FreezeAllBut, FreezeParts, Gradual, Lookahead, TrainSettings
from tests.training.test_resume import assert_resumes, train
from tests.training.toy import NetTask


class DeepTask(NetTask):
    """An embedding, a block with batch normalisation and dropout, and a head."""

    def build_model(self):
        return Deep()


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        block = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.2))
        self.embedding = nn.Linear(1, 4)
        self.blocks = nn.ModuleList([block])
        self.head = nn.Linear(4, 1)

    def forward(self, x):
        return self.head(self.blocks[0](self.embedding(x)))


def moved(plan, **settings):
    """Return the parts whose parameters changed in each epoch, and the rates."""
    before, found = [], []

    class Watching(DeepTask):
        def evaluate(self, forward, batches):
            state = {name: each.detach().clone() for name, each in forward.named_parameters()}
            found.append({name.partition(".")[0] for name in state if not torch.equal(state[name], before[-1][name])})
            before.append(state)
            return super().evaluate(forward, batches)

        def begin_epoch(self, model, epoch, epochs):
            if not before:
                before.append({name: each.detach().clone() for name, each in model.named_parameters()})

    settings = TrainSettings(epochs=4, batch_size=11, freeze=plan, weight_decay=0.5, **settings)
    _, report = train(Watching(), settings, None)
    return found, [item.metrics["learning_rate"] for item in report.seen]


EVERYTHING = {"embedding", "blocks", "head"}


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "lion"])
def test_parts_for_some_epochs_then_everything_with_a_lower_rate(optimizer):
    found, rates = moved(FreezeParts(names=("embedding", "blocks.0"), epochs=2, rate_after=0.1), optimizer=optimizer)
    assert found == [{"head"}, {"head"}, EVERYTHING, EVERYTHING]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4])


def test_parts_for_ever():
    found, rates = moved(FreezeParts(names=("embedding",), rate_after=0.1))
    assert found == [{"blocks", "head"}] * 4
    assert rates == [1e-3] * 4


def test_only_the_head_then_all():
    assert moved(FreezeAllBut(names=("head",), epochs=1))[0] == [{"head"}, *[EVERYTHING] * 3]


def test_gradual_from_the_top_and_the_rest_after_the_last():
    found, rates = moved(Gradual(names=("head", "blocks"), rate_after=0.5))
    assert found == [{"head"}, {"head", "blocks"}, EVERYTHING, EVERYTHING]
    assert rates == pytest.approx([1e-3, 1e-3, 5e-4, 5e-4])
    assert moved(Gradual(names=("head", "blocks"), every=2))[0] == [{"head"}] * 2 + [{"head", "blocks"}] * 2


def modes(plan, epoch, *, already=None):
    model = DeepTask().build_model()
    if already:
        model.get_submodule(already).eval()
    freezing = Freezing(plan, model)
    for each in range(epoch + 1):
        freezing.begin_epoch(each)
    return {name for name, module in model.named_modules() if not module.training}


def test_frozen_parts_are_in_eval_mode_when_asked():
    block = {f"blocks.0{part}" for part in ("", ".0", ".1", ".2", ".3")}
    assert modes(FreezeParts(names=("blocks.0",), epochs=2), 0) == set()
    assert modes(FreezeParts(names=("blocks.0",), epochs=2, eval_mode=True), 1) == block
    assert modes(FreezeParts(names=("blocks.0",), epochs=2, eval_mode=True), 2) == set()
    assert modes(FreezeAllBut(names=("head",), eval_mode=True), 0) == {"embedding", "blocks", *block}
    assert modes(Gradual(names=("head", "blocks.0.1"), eval_mode=True), 1) == {"embedding", *block} - {
        "blocks.0",
        "blocks.0.1",
    }


def test_what_the_task_froze_or_put_into_eval_mode_stays_so():
    assert modes(FreezeParts(names=("blocks",), epochs=1, eval_mode=True), 1, already="blocks.0.1") == {"blocks.0.1"}
    model = DeepTask().build_model()
    model.embedding.requires_grad_(requires_grad=False)
    freezing = Freezing(FreezeParts(names=("embedding", "blocks"), epochs=1), model)
    for epoch in (0, 1):
        freezing.begin_epoch(epoch)
    assert [name for name, each in model.named_parameters() if not each.requires_grad] == [
        "embedding.weight",
        "embedding.bias",
    ]


def test_unknown_parts_and_a_model_that_cannot_train():
    model = DeepTask().build_model()
    with pytest.raises(UnknownNameError, match=r"in train.freeze 'block', did you mean 'blocks'\?; known: blocks, blo"):
        Freezing(FreezeParts(names=("block",)), model)
    with pytest.raises(HpsearchError, match="nothing is left to train"):
        Freezing(FreezeParts(names=("embedding", "blocks", "head")), model)


PLANS = [
    FreezeParts(names=("embedding", "blocks.0"), epochs=2, rate_after=0.1, eval_mode=True),
    FreezeAllBut(names=("head",), epochs=1),
    Gradual(names=("head", "blocks"), eval_mode=True),
]


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize(("evaluate", "at"), [(Evaluate(epochs=1), 1), (Evaluate(epochs=1), 2), (Evaluate(steps=2), 4)])
def test_resume_in_each_stage(plan, evaluate, at, tmp_path):
    settings = TrainSettings(
        epochs=4, batch_size=8, freeze=plan, evaluate=evaluate, weight_decay=0.1, ema=0.9, optimizer="radam"
    )
    settings = settings.model_copy(update={"lookahead": Lookahead(steps=2)})
    assert_resumes(DeepTask(augmented=True), settings, tmp_path, interrupted_at=at)
