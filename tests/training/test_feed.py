"""Batches that worker processes fetch are those that the training would have fetched, and the processes end with it."""

import multiprocessing
import os
import signal
import time

import pytest
import torch

from hpsearch.errors import DataError
from hpsearch.records import Decision
from hpsearch.training.batches import Feed, Order
from hpsearch.training.loop import fit
from hpsearch.training.settings import Evaluate, Loading, TrainSettings
from hpsearch.training.task import TensorData
from tests.training.test_resume import KilledError, assert_same_ending
from tests.training.toy import MONITOR, SEEDS, NetTask, Recorder, draw, line_splits, numbers

CPU = torch.device("cpu")
PERSISTENT, FRESH = {"workers": 2}, {"workers": 2, "persistent": False, "prefetch": 1}


class DrawingData(TensorData):
    """Breaks the contract: its batches hold draws from every global generator, and the process that made them."""

    def batch(self, indices):
        return {"x": torch.tensor(draw()), "process": torch.tensor(os.getpid()), **super().batch(indices)}


class BadData(TensorData):
    def batch(self, indices):
        if 3 in indices:
            raise self.error
        return super().batch(indices)


class ParticularError(Exception):
    """Cannot be made from its message, as a pickle would."""

    def __init__(self, place, reason):
        super().__init__(f"{place}: {reason}")


def train(folder, loading, *, report=None, **settings):
    settings = TrainSettings(epochs=3, batch_size=4, accumulate=2, loading=loading, **settings)
    arguments = {"seeds": SEEDS, "monitor": MONITOR, "report": report or Recorder(), "folder": folder, "device": "cpu"}
    return fit(NetTask(augmented=True), line_splits(), settings, **arguments)


def windows(loading, data, start=(0, 0)):
    order = Order(examples=len(data), epochs=3, batch_size=2, accumulate=2, seed=5)
    feed = Feed(data, order, Loading(**loading), seed=7, device=CPU)
    places = [(epoch, first) for epoch in range(3) for first in range(0, order.batches(epoch), 2)]
    try:
        return [batch for place in places if place >= start for batch in feed.window(*place)]
    finally:
        feed.close()


@pytest.mark.parametrize("loading", [PERSISTENT, FRESH])
def test_the_training_is_bit_for_bit_the_same(tmp_path, loading):
    alone = train(tmp_path / "alone", {})
    before = torch.get_rng_state()
    helped = train(tmp_path / "helped", loading)
    assert numbers(helped.evaluations) == numbers(alone.evaluations)
    assert_same_ending(tmp_path / "alone", tmp_path / "helped")
    assert torch.equal(torch.get_rng_state(), before)
    assert multiprocessing.active_children() == []


def test_gone_on_in_the_midst_of_an_epoch_and_with_another_number_of_processes(tmp_path):
    evaluate = Evaluate(steps=2)
    whole = train(tmp_path / "whole", {}, evaluate=evaluate)
    paused = train(tmp_path / "paused", PERSISTENT, evaluate=evaluate, report=Recorder({1: Decision.PAUSE}))
    assert paused.epochs % 1 != 0
    assert numbers(train(tmp_path / "paused", FRESH, evaluate=evaluate).evaluations) == numbers(whole.evaluations)


def test_a_dataset_that_draws_gets_the_same_numbers_from_any_number_of_processes():
    data = DrawingData(y=torch.arange(9.0))
    two, three = windows(PERSISTENT, data), windows({"workers": 1}, data)
    later = windows(FRESH, data, start=(1, 2))
    assert [batch["x"].tolist() for batch in two] == [batch["x"].tolist() for batch in three]
    assert [batch["x"].tolist() for batch in later] == [batch["x"].tolist() for batch in two][-len(later) :]
    assert len({tuple(batch["x"].tolist()) for batch in two}) == len(two)


def test_processes_stay_from_epoch_to_epoch_when_they_are_persistent():
    data = DrawingData(y=torch.arange(9.0))
    assert len({int(batch["process"]) for batch in windows(PERSISTENT, data)} - {os.getpid()}) == 2
    assert len({int(batch["process"]) for batch in windows(FRESH, data)} - {os.getpid()}) == 6


@pytest.mark.parametrize(
    ("error", "raised", "text"),
    [
        (DataError("image 3 is torn"), DataError, "image 3 is torn"),
        (KeyError("label"), KeyError, "'label'"),
        (ParticularError("row 3", "empty"), RuntimeError, "ParticularError: row 3: empty"),
    ],
)
def test_an_error_in_a_process_is_the_real_one(error, raised, text):
    data = BadData(x=torch.arange(9.0))
    data.error = error
    with pytest.raises(raised) as caught:
        windows(PERSISTENT, data)
    assert str(caught.value) == text
    assert "raise self.error" in caught.value.__notes__[0]
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("error", [KilledError(), KeyboardInterrupt()])
def test_no_process_outlives_a_training_that_fails(tmp_path, error):
    def report(_):
        assert len(multiprocessing.active_children()) == 2
        raise error

    with pytest.raises(type(error)):
        train(tmp_path, PERSISTENT, report=report)
    assert multiprocessing.active_children() == []


def test_ctrl_c_at_the_terminal_leaves_the_processes_to_the_training(tmp_path):
    def report(evaluation):
        for child in multiprocessing.active_children():
            os.kill(child.pid, signal.SIGINT)
        return Decision.CONTINUE

    assert train(tmp_path / "hit", PERSISTENT, report=report).epochs == 3


def test_a_process_that_dies_is_an_error_and_not_a_wait(tmp_path):
    def report(_):
        for child in multiprocessing.active_children():
            os.kill(child.pid, signal.SIGKILL)
        return Decision.CONTINUE

    with pytest.raises(RuntimeError, match="DataLoader worker"):
        train(tmp_path, PERSISTENT, report=report)


@pytest.mark.slow
def test_ctrl_c_while_the_training_waits_for_a_batch():
    class Slow(TensorData):
        def batch(self, indices):
            time.sleep(0.5)  # the training has begun to wait
            os.kill(os.getppid(), signal.SIGINT)
            time.sleep(60)
            return super().batch(indices)

    with pytest.raises(KeyboardInterrupt):
        windows({"workers": 1}, Slow(x=torch.arange(9.0)))
    assert multiprocessing.active_children() == []


def test_auto_is_at_most_four():
    assert Loading(workers="auto").processes == min(4, len(os.sched_getaffinity(0)))
    assert Loading().processes == 0
    with pytest.raises(ValueError, match="cannot be negative"):
        Loading(workers=-1)
