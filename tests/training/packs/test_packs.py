"""A lane is what the training is alone: its numbers, its end, its checkpoint; and no lane concerns another."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from hpsearch.errors import DivergedError
from hpsearch.experiment.layout import BEST, CHECKPOINT
from hpsearch.records import Decision
from hpsearch.seeds import Seeds
from hpsearch.testing.families import KilledError, Recorder, numbers
from hpsearch.training.checkpoint import load
from hpsearch.training.loop import fit
from hpsearch.training.optimizer_settings import Lion
from hpsearch.training.packs.together import Candidate, fit_together
from hpsearch.training.settings import (
    SGD,
    Adam,
    AdamW,
    Cosine,
    EarlyStopping,
    Evaluate,
    FreezeParts,
    Histograms,
    Linear,
    Lookahead,
    TrainSettings,
)
from tests.training.toy import MONITOR, NetTask, draw, line_splits

PLAIN = TrainSettings(epochs=3, batch_size=4, learning_rate=0.01)


class Net(NetTask):
    """The network of the toys without batch normalisation, with a penalty of its own."""

    def __init__(self, penalty=0.01, **named):
        super().__init__(norm=False, **named)
        self.scalars = {"penalty": penalty}


def candidate(number=0, settings=PLAIN, task=None, *, report=None, folder=None):
    seeds = Seeds.for_trial(0, number)
    return Candidate(task or Net(), line_splits(), settings, seeds, MONITOR, report or Recorder(), folder)


def alone(each, **named):
    fresh = {"report": each.report, "folder": each.folder, **named}
    return fit(each.task, each.splits, each.settings, seeds=each.seeds, monitor=MONITOR, device="cpu", **fresh)


def together(candidates, *, lanes=3):
    """Return how each ended, in the order of the candidates."""
    ended = {each.candidate: each for each in fit_together(candidates, lanes=lanes, device="cpu")}
    return [ended[each] for each in candidates]


def assert_equal(result, expected):
    assert [step for step, _ in numbers(result)] == [step for step, _ in numbers(expected)]
    for (_, found), (_, wanted) in zip(numbers(result), numbers(expected), strict=True):
        assert found == pytest.approx(wanted, rel=1e-4, abs=1e-6)


CASES = {
    "adamw": [
        PLAIN.model_copy(update={"learning_rate": rate, "weight_decay": 10 * rate}) for rate in (1e-3, 0.01, 0.1)
    ],
    "no decay": [PLAIN],
    "betas": [PLAIN.model_copy(update={"optimizer": AdamW(beta1=b, beta2=1 - 0.1 * b)}) for b in (0.5, 0.9)],
    "adam, L2": [PLAIN.model_copy(update={"optimizer": Adam(), "weight_decay": decay}) for decay in (0, 0.3)],
    "sgd": [PLAIN.model_copy(update={"optimizer": SGD(momentum=m), "weight_decay": 0.1}) for m in (0, 0.5, 0.9)],
    "nesterov": [PLAIN.model_copy(update={"optimizer": SGD(momentum=m, nesterov=True)}) for m in (0.5, 0.9)],
    "clipped": [PLAIN.model_copy(update={"clip_norm": norm}) for norm in (None, 0.1, 1.0)],
    "lengths in steps": [PLAIN.model_copy(update={"steps": steps, "schedule": Linear()}) for steps in (4, 9, 15)],
    "schedules": [PLAIN.model_copy(update={"schedule": schedule}) for schedule in (Cosine(), Linear())],
    "lengths": [PLAIN.model_copy(update={"epochs": n, "optimizer": AdamW(beta1=0.2 * n)}) for n in (1, 2, 4)],
    "windows": [PLAIN.model_copy(update={"accumulate": 2})],
    "steps": [PLAIN.model_copy(update={"evaluate": Evaluate(steps=steps)}) for steps in (2, 4, 7)],
    "histograms": [PLAIN.model_copy(update={"histograms": Histograms()})],
    "early stopping": [PLAIN.model_copy(update={"early_stopping": EarlyStopping(patience=1), "learning_rate": 0.3})],
}


@pytest.mark.parametrize("settings", CASES.values(), ids=CASES)
def test_a_lane_is_the_training_alone(settings, tmp_path):
    candidates = [
        candidate(number, each, Net(0.02 * number, augmented=True, dropout=0.1 * number), folder=tmp_path / f"{number}")
        for number, each in enumerate([*settings, *settings, settings[0]])
    ]
    for ended in together(candidates):
        expected = alone(ended.candidate, folder=None, report=Recorder())
        assert ended.alone is None
        assert_equal(ended.result.evaluations, expected.evaluations)
        assert_equal(ended.candidate.report.seen, expected.evaluations)
        assert (ended.result.best_step, ended.result.stopped_early) == (expected.best_step, expected.stopped_early)
        for own, other in zip(ended.result.model.parameters(), expected.model.parameters(), strict=True):
            assert torch.allclose(own, other, rtol=1e-4, atol=1e-6)


def test_steps_are_shared(monkeypatch):
    calls = []
    loss = Net.loss
    monkeypatch.setattr(Net, "loss", lambda self, *args: calls.append(1) or loss(self, *args))
    together([candidate(number) for number in range(6)])
    shapes, lanes, steps, fillings = 2, 6, 18, 2
    # each lane looks for its dropout in every shape of batch, and at its own loss; a pack with new lanes at its network
    assert len(calls) == 2 * steps + shapes * lanes + lanes + fillings


def test_a_lane_that_diverges_ends_as_alone_and_harms_no_other():
    wild = candidate(1, PLAIN.model_copy(update={"learning_rate": 1e30}))
    ended = together([candidate(0), wild, candidate(2)])
    with pytest.raises(DivergedError) as expected:
        alone(wild)
    assert isinstance(ended[1].result, DivergedError)
    assert str(ended[1].result) == str(expected.value)
    for each in (ended[0], ended[2]):
        assert_equal(each.result.evaluations, alone(each.candidate).evaluations)


def test_a_report_that_raises_ends_its_own_training_only():
    ended = together([candidate(0), candidate(1, report=Recorder({2: KilledError("away")}))])
    assert isinstance(ended[1].result, KilledError)
    assert_equal(ended[0].result.evaluations, alone(candidate(0)).evaluations)


class Broken(Net):
    """Its loss raises after some calls."""

    def __init__(self, error):
        super().__init__()
        self.error, self.left = error, 8

    def loss(self, *given):
        self.left -= 1
        if self.left < 0:
            raise self.error
        return super().loss(*given)


@pytest.mark.parametrize("error", [TypeError("a mistake"), OSError("a file"), SystemExit(3)])
def test_what_a_step_raises_ends_the_training_that_raises_it(error):
    ended = together([candidate(0), candidate(1, task=Broken(error))])
    assert ended[1].result is error
    assert_equal(ended[0].result.evaluations, alone(candidate(0)).evaluations)


def test_a_pruned_lane_is_handed_to_the_next():
    first = candidate(0, report=Recorder({1: Decision.PRUNE}))
    ended = together([first, *(candidate(number) for number in (1, 2, 3))], lanes=2)
    assert (ended[0].result.decision, ended[0].result.step) == (Decision.PRUNE, 1)
    for each in ended[1:]:
        assert_equal(each.result.evaluations, alone(each.candidate, report=Recorder()).evaluations)


OPTIMIZERS = {"adamw": AdamW(), "sgd": SGD(), "sgd without momentum": SGD(momentum=0)}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("packed_first", [True, False])
def test_a_training_goes_on_from_a_lane_and_a_lane_from_a_training(tmp_path, optimizer, packed_first):
    settings = PLAIN.model_copy(update={"optimizer": optimizer, "evaluate": Evaluate(steps=4)})
    task = Net(augmented=True)
    whole = alone(candidate(1, settings, task, folder=tmp_path / "whole"))
    pausing = candidate(1, settings, task, report=Recorder({2: Decision.PAUSE}), folder=tmp_path / "broken")
    others = [candidate(0, settings, task), candidate(2, settings, task)]
    if packed_first:
        assert together([pausing, *others])[0].result.decision is Decision.PAUSE
        result = alone(replace(pausing, report=Recorder()))
    else:
        assert alone(pausing).decision is Decision.PAUSE
        result = together([*others, replace(pausing, report=Recorder())])[2].result
    assert_equal(result.evaluations, whole.evaluations)
    for name in (CHECKPOINT, BEST):
        assert_alike(load(tmp_path / "broken" / name), load(tmp_path / "whole" / name))


def assert_alike(found, wanted):
    """Hold two checkpoints against each other: the same entries, generators bit for bit, numbers nearly."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for key in wanted.keys() - {"seconds", "examples_per_second"}:
            assert_alike(found[key], wanted[key])
    elif isinstance(wanted, list | tuple):
        assert len(found) == len(wanted)
        for own, other in zip(found, wanted, strict=True):
            assert_alike(own, other)
    elif isinstance(wanted, torch.Tensor):
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
        assert torch.allclose(found.double(), wanted.double(), rtol=1e-4, atol=1e-6)
    else:
        assert found == (pytest.approx(wanted, rel=1e-4, abs=1e-6) if isinstance(wanted, float) else wanted)


def test_a_checkpoint_is_as_large_as_that_of_a_training_alone(tmp_path):
    together([candidate(number, folder=tmp_path / f"{number}") for number in range(6)], lanes=6)
    alone(candidate(0, folder=tmp_path / "alone"))
    sizes = {folder: (tmp_path / folder / CHECKPOINT).stat().st_size for folder in ("0", "alone")}
    assert sizes["0"] == pytest.approx(sizes["alone"], rel=0.05)


def test_shapes_are_trained_side_by_side():
    wide = [candidate(number, task=Wide()) for number in range(2)]
    narrow = [candidate(number) for number in range(2)]
    for each in together([wide[0], narrow[0], wide[1], narrow[1]], lanes=4):
        assert each.alone is None
        assert_equal(each.result.evaluations, alone(each.candidate).evaluations)


class Wide(Net):
    def build_model(self):
        return nn.Sequential(nn.Linear(1, 11), nn.Tanh(), nn.Linear(11, 1))


class Smoothed(Net):
    """Has a number in its loss that is not among its scalars, against the contract."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def loss(self, forward, batch, scalars):
        return {name: self.factor * part for name, part in super().loss(forward, batch, scalars).items()}


def test_a_lane_whose_loss_is_not_that_of_the_pack_is_trained_alone():
    candidates = [candidate(number, task=Smoothed(factor)) for number, factor in enumerate((1.0, 1.0, 1.1))]
    ended = together(candidates)
    assert [each.alone is None for each in ended] == [True, True, False]
    for each in ended:
        assert_equal(each.result.evaluations, alone(each.candidate, report=Recorder()).evaluations)


class Branching(Net):
    def loss(self, forward, batch, scalars):
        loss = super().loss(forward, batch, scalars)
        return {name: 2 * part if loss["error"] > 0.5 else part for name, part in loss.items()}


class Global(Net):
    def augment(self, batch, generator):
        return {**batch, "x": batch["x"] + 0.01 * draw()[0]}


class Scheduled(Net):
    def begin_epoch(self, model, epoch, epochs):
        model[3].p = 0.1 * epoch


REASONS = {
    "batch normalisation": (PLAIN, NetTask(norm=True)),
    "data-dependent control flow": (PLAIN, Branching()),
    "draw from the generators": (PLAIN, Global()),
    "from epoch to epoch": (PLAIN, Scheduled()),
    "train.ema": (PLAIN.model_copy(update={"ema": 0.9}), Net()),
    "train.freeze": (PLAIN.model_copy(update={"freeze": FreezeParts(names=("0",), epochs=1)}), Net()),
    "train.lookahead": (PLAIN.model_copy(update={"lookahead": Lookahead()}), Net()),
    "only adamw": (PLAIN.model_copy(update={"optimizer": Lion()}), Net()),
    "fp32": (PLAIN.model_copy(update={"precision": "bf16"}), Net()),
}


@pytest.mark.parametrize("reason", REASONS)
def test_what_cannot_be_packed_says_why_and_is_trained_alone(reason):
    settings, task = REASONS[reason]
    candidates = [candidate(0, settings, task), candidate(1, settings, task)]
    for each in together(candidates):
        assert reason in each.alone
        assert numbers(each.result.evaluations) == numbers(alone(each.candidate, report=Recorder()).evaluations)


def test_the_process_is_afterwards_as_before():
    torch.manual_seed(3)
    state = torch.get_rng_state()
    together([candidate(number) for number in range(3)])
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled()
