"""The range test and the overfitted batch, on problems whose course is known in closed form."""

import math
from collections.abc import Iterable, Mapping

import pytest
import torch
from torch import Tensor, nn

from hpsearch.errors import DivergedError, HpsearchError
from hpsearch.seeds import Seeds
from hpsearch.training.overfitting import overfit_batch
from hpsearch.training.range_test import range_test, summarise
from hpsearch.training.settings import SGD, TrainSettings
from hpsearch.training.task import Batch, Forward, Splits, Task, TensorData

SEEDS = Seeds.for_trial(0, 0)
SETTINGS = TrainSettings(batch_size=4, optimizer=SGD(momentum=0.0), learning_rate=0.02, device="cpu")


class Bowl(Task):
    """The loss 5 w²: a step at rate r makes w (1 - 10 r) of w, so that it diverges above 0.2."""

    dropout = 0.0
    learns = 1.0

    def build_model(self) -> nn.Module:
        model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Dropout(self.dropout))
        nn.init.constant_(model[0].weight, 2.0)  # type: ignore[arg-type]
        return model

    def loss(self, forward: Forward, batch: Batch, scalars: Mapping[str, float | Tensor]) -> Mapping[str, Tensor]:
        return {"loss": (forward(batch["x"]) ** 2).mean() * self.learns + 20.0 * (1.0 - self.learns)}

    def evaluate(self, forward: Forward, batches: Iterable[Batch]) -> Mapping[str, float]:
        raise AssertionError("nothing is evaluated")


def splits() -> Splits:
    return Splits(lambda _: TensorData(x=torch.full((16, 1), math.sqrt(5.0))), sealed=True)


def test_the_losses_are_those_of_the_closed_form() -> None:
    found = range_test(Bowl(), splits(), SETTINGS, seeds=SEEDS, start=1e-4, end=0.15, steps=40)
    weight, expected = 2.0, []
    for rate in found.rates:
        expected.append(5 * weight**2)
        weight *= 1 - 10 * rate
    assert found.losses == pytest.approx(expected, rel=1e-4)
    assert found.rates[0] == pytest.approx(1e-4)
    assert found.rates[-1] == pytest.approx(0.15)
    assert not found.diverged


def test_it_stops_above_the_rate_at_which_the_training_becomes_unstable() -> None:
    found = range_test(Bowl(), splits(), SETTINGS, seeds=SEEDS, start=1e-3, end=100.0, steps=200)
    assert found.diverged
    assert found.rates[-1] > 0.2
    assert found.steepest is not None
    assert found.tenth is not None
    assert 1e-3 < found.steepest < 0.2


def test_what_it_suggests_for_a_known_curve() -> None:
    """A loss that falls like a logistic curve around 1e-3 falls most steeply there; the average lags a little."""
    rates = [10 ** (-6 + 6 * step / 99) for step in range(100)]
    losses = [1 + 3 / (1 + math.exp(6 * (math.log10(rate) + 3))) + (50 * rate if rate > 0.1 else 0) for rate in rates]
    found = summarise(rates, losses, diverged=True)
    assert found.steepest is not None
    assert found.tenth is not None
    assert 1e-3 < found.steepest < 1e-2
    assert found.tenth == pytest.approx(found.rates[found.smoothed.index(min(found.smoothed))] / 10)


def test_a_loss_that_never_falls_suggests_nothing() -> None:
    found = summarise([10.0**-k for k in range(20, 0, -1)], [float(k) for k in range(1, 21)], diverged=False)
    assert (found.steepest, found.tenth) == (None, None)


def test_the_random_state_is_afterwards_as_before() -> None:
    before = torch.get_rng_state()
    first = range_test(Bowl(), splits(), SETTINGS, seeds=SEEDS, steps=5)
    assert torch.equal(torch.get_rng_state(), before)
    assert range_test(Bowl(), splits(), SETTINGS, seeds=SEEDS, steps=5) == first


@pytest.mark.parametrize("bad", [{"start": 0.0}, {"start": 2.0}, {"steps": 1}])
def test_an_impossible_range_is_refused(bad: Mapping[str, float]) -> None:
    with pytest.raises(HpsearchError, match="range test needs"):
        range_test(Bowl(), splits(), SETTINGS, seeds=SEEDS, **bad)  # type: ignore[arg-type]


def test_a_batch_is_learned_in_the_steps_that_it_takes() -> None:
    """At rate 0.02 the loss shrinks by 0.8² a step: 0.64^11 is the first power below 0.01."""
    told: list[tuple[int, float]] = []
    found = overfit_batch(Bowl(), splits(), SETTINGS, seeds=SEEDS, tell=lambda *words: told.append(words))
    assert found.passed
    assert found.steps == 11
    assert found.first == pytest.approx(20.0)
    assert found.last == pytest.approx(20.0 * 0.64**11, rel=1e-3)
    assert told == [(0, pytest.approx(20.0))]


def test_dropout_is_switched_off() -> None:
    task = Bowl()
    task.dropout = 0.5
    assert overfit_batch(task, splits(), SETTINGS, seeds=SEEDS, tell=lambda *_: None).steps == 11


def test_what_cannot_learn_fails_after_all_steps() -> None:
    task = Bowl()
    task.learns = 0.0
    told: list[int] = []
    found = overfit_batch(task, splits(), SETTINGS, seeds=SEEDS, steps=300, tell=lambda step, _: told.append(step))
    assert (found.passed, found.steps, found.last) == (False, 300, 20.0)
    assert told == [0, 100, 200, 300]


def test_a_divergence_is_an_error_that_names_the_step() -> None:
    wild = SETTINGS.model_copy(update={"learning_rate": 1e10})
    with pytest.raises(DivergedError, match="at step"):
        overfit_batch(Bowl(), splits(), wild, seeds=SEEDS, tell=lambda *_: None)
