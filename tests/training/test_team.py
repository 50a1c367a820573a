"""Several processes train what one would: real ones, over gloo (the plan of `training/team.py`)."""

import functools
import os
import signal

import accelerate.state
import pytest
import torch
from torch import nn
from torch.nn import functional

from hpsearch.errors import DivergedError, PeerLostError
from hpsearch.experiment.layout import BEST, CHECKPOINT
from hpsearch.records import Decision
from hpsearch.training.checkpoint import load
from hpsearch.training.loop import fit
from hpsearch.training.settings import SGD, Evaluate, FreezeParts, Lookahead, TrainSettings
from hpsearch.training.task import Splits, TensorData
from hpsearch.training.team import ALONE, Ranks, smallest_slice
from tests.training.teams import together
from tests.training.test_resume import TIMES, differences
from tests.training.toy import MONITOR, SEEDS, LineTask, NetTask, Recorder, line_splits, numbers

PLAIN = functools.partial(NetTask, augmented=True, dropout=0.0, norm=False)


def train(task, settings, team=ALONE, *, report=None, folder=None, splits=None):
    result = fit(
        task,
        splits or line_splits(),
        settings,
        seeds=SEEDS,
        monitor=MONITOR,
        report=report or Recorder(),
        folder=folder,
        device="cpu",
        team=team,
    )
    return result.decision, numbers(result.evaluations), result.model.state_dict()


def assert_trains_as_one(task, settings, *, size=2, splits=None):
    _, expected, weights = train(task, settings, splits=splits)
    answers = together(size, lambda team: train(task, settings, team, splits=splits))
    for _, found, theirs in answers:
        assert [step for step, _ in found] == [step for step, _ in expected]
        for (_, ours), (_, one) in zip(found, expected, strict=True):
            assert ours == pytest.approx(one, rel=1e-4, abs=1e-6)
        torch.testing.assert_close(theirs, weights, rtol=1e-4, atol=1e-6)
        assert differences(theirs, answers[0][2]) == []  # bit for bit among the processes


def settings(**more):
    """Return settings whose last batch of 22 examples has two."""
    return TrainSettings(**{"epochs": 2, "batch_size": 5, "learning_rate": 0.03, **more})


@pytest.mark.parametrize(
    "more",
    [
        {"accumulate": 2, "clip_norm": 0.5},
        {"optimizer": SGD(momentum=0.9), "ema": 0.9, "schedule": "plateau", "evaluate": Evaluate(steps=3)},
        {"lookahead": Lookahead(steps=2), "freeze": FreezeParts(names=("0",), epochs=1)},
    ],
)
def test_two_processes_are_one_with_the_same_batches(more):
    assert_trains_as_one(PLAIN(), settings(**more))


def test_a_process_whose_slice_is_empty_does_no_harm():
    assert_trains_as_one(PLAIN(), settings(accumulate=2), size=3)  # the last batch has two examples


def test_what_another_library_found_before_the_processes_met_is_not_believed():
    accelerate.state.PartialState(cpu=True)  # as transformers' TrainingArguments does
    try:
        assert together(2, lambda team: (team.rank, team.size)) == [(0, 2), (1, 2)]
    finally:
        accelerate.state.PartialState._reset_state()


class Tokens(LineTask):
    """The loss is a mean over the unmasked items, which some slices lack; it has a part only where there are many."""

    def loss(self, forward, batch, scalars):
        error = (forward(batch["x"]) - batch["y"]).square() * batch["mask"]
        loss = error.sum() / batch["mask"].sum()
        return {"loss": loss, "often": loss} if batch["mask"].sum() > 1 else {"loss": loss}

    def count(self, batch):
        return int(batch["mask"].sum())


def test_items_weigh_not_slices():
    def load(split):
        data = line_splits()[split].tensors
        mask = torch.ones_like(data["x"])
        mask[::2] = 0.0
        return TensorData(**data, mask=mask)

    def losses(team):
        return [metrics["train/loss"] for _, metrics in train(Tokens(), settings(), team, splits=masked)[1]]

    masked = Splits(load, sealed=True)
    expected = losses(ALONE)
    for found in together(2, losses):
        assert found == pytest.approx(expected, rel=1e-5)


class Heads(LineTask):
    """Two heads, of which an example trains one, by its sign; nothing trains the third."""

    def build_model(self):
        return nn.ModuleList(nn.Linear(1, 1) for _ in range(3))

    def loss(self, forward, batch, scalars):
        x, y = batch["x"], batch["y"]
        chosen = [(forward[head], side) for head, side in enumerate((x[:, 0] > 0, x[:, 0] <= 0)) if side.any()]
        return {"loss": sum((head(x[side]) - y[side]).square().sum() for head, side in chosen) / len(x)}

    def evaluate(self, forward, batches):
        return {"loss": sum(float(functional.mse_loss(forward[0](batch["x"]), batch["y"])) for batch in batches)}


def test_a_parameter_without_gradient_in_one_process():
    decayed = settings(batch_size=4, weight_decay=0.5, decay_norms_and_biases=True)
    assert_trains_as_one(Heads(), decayed)  # weight decay would change the third head if it had a gradient of zeros


class Counted(NetTask):
    """Knows how often it was scored."""

    scored = 0

    def evaluate(self, forward, batches):
        self.scored += 1
        return super().evaluate(forward, batches)


def test_rank_0_alone_scores_writes_and_reports_and_all_do_as_it_is_told(tmp_path):
    def work(team):
        task, report = Counted(), Recorder({2: Decision.PRUNE})
        decision, found, _ = train(task, settings(epochs=4), team, report=report, folder=tmp_path / str(team.rank))
        return decision, [step for step, _ in found], task.scored, len(report.seen)

    assert together(2, work) == [(Decision.PRUNE, [1, 2], 2, 2), (Decision.PRUNE, [1, 2], 0, 0)]
    assert [path.name for path in tmp_path.iterdir()] == ["0"]


def test_a_loss_that_one_process_cannot_compute_has_diverged_for_all():
    class Wild(LineTask):
        def loss(self, forward, batch, scalars):
            parts = super().loss(forward, batch, scalars)
            return {**parts, "loss": parts["loss"] / float("nan" if os.environ.get("RANK") == "1" else 1.0)}

    for error in together(2, lambda team: train(Wild(), settings(), team)):
        assert isinstance(error, DivergedError)
        assert "the loss became nan at optimizer step 1" in str(error)


def test_an_error_of_one_process_ends_the_others():
    class Broken(LineTask):
        def loss(self, forward, batch, scalars):
            if os.environ.get("RANK") == "1":
                raise ValueError("the second process stumbles")
            return super().loss(forward, batch, scalars)

    first, second = together(2, lambda team: train(Broken(), settings(), team))
    assert isinstance(first, PeerLostError)
    assert str(second) == "the second process stumbles"


def test_a_killed_process_ends_the_others():
    class Killed(LineTask):
        def evaluate(self, forward, batches):
            os.kill(os.getpid(), signal.SIGKILL)

    first, second = together(2, lambda team: train(Killed(), settings(), team))
    assert first is None
    assert isinstance(second, PeerLostError)


@pytest.mark.parametrize("evaluate", [Evaluate(epochs=1), Evaluate(steps=3)])
def test_a_paused_training_goes_on_as_if_it_had_not_been(evaluate, tmp_path):
    task = NetTask(augmented=True)  # with dropout and batch normalisation
    chosen = settings(epochs=3, ema=0.9, lookahead=Lookahead(steps=2), evaluate=evaluate)

    def unbroken(team):
        return train(task, chosen, team, folder=tmp_path / "unbroken")

    def broken(team):
        decision, _, _ = train(task, chosen, team, folder=tmp_path / "resumed", report=Recorder({2: Decision.PAUSE}))
        assert decision is Decision.PAUSE
        torch.manual_seed(5)
        return train(task, chosen, team, folder=tmp_path / "resumed")

    (_, expected, _), (_, found, _) = together(2, unbroken)[0], together(2, broken)[0]
    assert found == expected
    for name in (CHECKPOINT, BEST):
        places = differences(load(tmp_path / "unbroken" / name), load(tmp_path / "resumed" / name))
        assert [place for place in places if not place.endswith(TIMES)] == []


def test_processes_draw_different_random_numbers():
    class Noisy(LineTask):
        def __init__(self):
            self.drawn = []

        def loss(self, forward, batch, scalars):
            self.drawn.append(float(torch.rand(())))
            return super().loss(forward, batch, scalars)

    def drawn(team):
        task = Noisy()
        train(task, settings(), team)
        return task.drawn

    first, second = together(2, drawn)
    assert first == drawn(ALONE)  # rank 0 draws as one process does
    assert len({*first, *second}) == len(first) + len(second)


@pytest.mark.parametrize(("examples", "least"), [(5, 1), (2, 1), (1, 1), (9, 2), (3, 2), (4, 2), (64, 2)])
@pytest.mark.parametrize("size", [2, 3, 8])
def test_slices_are_the_batch_and_none_is_too_small(size, examples, least):
    batch = {"x": torch.arange(examples)}
    slices = [Ranks(rank, size, torch.device("cpu")).slice(batch, least) for rank in range(size)]
    given = [part["x"] for part in slices if part is not None]
    assert torch.equal(torch.cat(given), batch["x"])
    lengths = [len(part) for part in given]
    assert min(lengths) >= min(least, examples)
    assert max(lengths) - min(lengths) <= 1
    assert len(given) == max(1, min(size, examples // least))


def test_batch_normalisation_needs_two_examples():
    assert smallest_slice(NetTask().build_model()) == 2
    assert smallest_slice(NetTask(norm=False).build_model()) == 1
