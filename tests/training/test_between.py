"""Between two evaluations: what is told, a pause at the next step, and checkpoints where an epoch is long."""

import pytest
import torch

from hpsearch.errors import DivergedError
from hpsearch.experiment.layout import CHECKPOINT
from hpsearch.records import Decision
from hpsearch.testing.families import KilledError, assert_same_ending
from hpsearch.training.checkpoint import load
from hpsearch.training.generations import newest
from hpsearch.training.loop import fit
from hpsearch.training.measurements import Measurements
from hpsearch.training.packs.candidate import Candidate
from hpsearch.training.packs.together import fit_together
from hpsearch.training.settings import EarlyStopping, Evaluate, Loading, TrainSettings
from tests.training.test_resume import WildTask
from tests.training.toy import MONITOR, SEEDS, LineTask, NetTask, Recorder, line_splits, numbers


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class WritingClock(Clock):
    """Goes on by a second whenever a file has been written, which is a checkpoint."""

    def __init__(self, file):
        super().__init__()
        self.file, self.known, self.saved = file, None, []

    def __call__(self):
        written = self.file.stat().st_ino if self.file.exists() else None
        if written != self.known:
            self.known = written
            self.saved.append(load(self.file)["progress"]["step"])
            self.now += 1.0
        return super().__call__()


def slow(kind, clock, *, dies_at=None):
    """Return a task whose steps take a second each on the clock; the process of one `dies_at` a step."""

    class Slow(kind):
        steps = 0

        def loss(self, forward, batch, scalars):
            clock.now += 1.0
            self.steps += 1
            if self.steps == dies_at:
                raise KilledError
            return super().loss(forward, batch, scalars)

    return Slow


class Teller:
    """Hears of a training between its evaluations, and pauses it at a step."""

    def __init__(self, pause_at=None):
        self.pause_at, self.heard = pause_at, []

    def __call__(self, moment):
        self.heard.append(moment)
        return Decision.PAUSE if self.pause_at and moment.done >= self.pause_at else Decision.CONTINUE


SETTINGS = {
    "batch_size": 4,
    "learning_rate": 0.01,
    "ema": 0.9,
    "schedule": "plateau",
    "early_stopping": EarlyStopping(patience=30),
    "checkpoint_seconds": 5.0,
}
"""With six steps of a second in an epoch of the line's 22 examples."""


def train(folder, *, tell=None, dies_at=None, kind=WildTask, **settings):
    clock, report = Clock(), Recorder()
    arguments = {"seeds": SEEDS, "monitor": MONITOR, "folder": folder, "device": "cpu", "clock": clock}
    task = slow(kind, clock, dies_at=dies_at)(augmented=True)
    settings = TrainSettings(**{"epochs": 4, **SETTINGS, **settings})
    return fit(task, line_splits(), settings, report=report, tell=tell, **arguments), report


@pytest.mark.parametrize("pause_at", [1, 4, 14, 23])
@pytest.mark.parametrize(
    "settings", [{}, {"evaluate": Evaluate(steps=4)}, {"accumulate": 4}, {"loading": Loading(workers=1)}]
)
def test_paused_at_any_step_and_gone_on_is_the_unbroken_training(pause_at, settings, tmp_path):
    pause_at = -(-pause_at // settings.get("accumulate", 1))
    unbroken, whole = train(tmp_path / "unbroken", **settings)
    teller = Teller(pause_at)
    paused, before = train(tmp_path / "resumed", tell=teller, **settings)
    assert paused.decision is Decision.PAUSE
    assert load(tmp_path / "resumed" / CHECKPOINT)["progress"]["step"] == teller.heard[-1].done
    assert (
        newest(tmp_path / "resumed", SEEDS.model_dump()).step
        == paused.step
        == (before.seen[-1].step if before.seen else 0)
    )
    torch.manual_seed(7)
    resumed, after = train(tmp_path / "resumed", **settings)
    assert numbers(after.seen) == numbers(whole.seen)
    assert (resumed.best_step, resumed.best_value) == (unbroken.best_step, unbroken.best_value)
    assert_same_ending(tmp_path / "unbroken", tmp_path / "resumed")


def test_a_training_that_is_paused_again_and_again_comes_to_the_same_end(tmp_path):
    train(tmp_path / "unbroken")
    for step in (2, 3, 11, 13, 20):
        assert train(tmp_path / "resumed", tell=Teller(step))[0].decision is Decision.PAUSE
    train(tmp_path / "resumed")
    assert_same_ending(tmp_path / "unbroken", tmp_path / "resumed")


@pytest.mark.parametrize(("dies_at", "saved"), [(3, None), (6, 5), (9, 5), (14, 11), (24, 23)])
def test_a_crash_in_a_long_epoch_costs_seconds(dies_at, saved, tmp_path):
    """Six seconds of an epoch are more than the five from one checkpoint to the next."""
    train(tmp_path / "unbroken")
    with pytest.raises(KilledError):
        train(tmp_path / "killed", dies_at=dies_at)
    left = load(tmp_path / "killed" / CHECKPOINT)["progress"]["step"] if saved else None
    assert left == saved
    train(tmp_path / "killed")
    assert_same_ending(tmp_path / "unbroken", tmp_path / "killed")


@pytest.mark.parametrize("settings", [{"checkpoint_seconds": 0.0}, {"checkpoint_seconds": 6.0}])
def test_there_are_none_in_between_where_evaluations_come_in_time(settings, tmp_path):
    with pytest.raises(KilledError):
        train(tmp_path, dies_at=12, **settings)
    assert load(tmp_path / CHECKPOINT)["progress"]["batch"] == 0


def test_checkpoints_take_a_small_part_of_the_time(tmp_path):
    """One that takes a second comes every twenty seconds at the most."""
    clock = WritingClock(tmp_path / CHECKPOINT)
    task = slow(LineTask, clock)()
    settings = TrainSettings(steps=60, batch_size=4, evaluate=Evaluate(steps=100), checkpoint_seconds=5.0)
    arguments = {"seeds": SEEDS, "monitor": MONITOR, "folder": tmp_path, "device": "cpu", "clock": clock}
    fit(task, line_splits(), settings, report=Recorder(), **arguments)
    assert clock.saved[:3] == [5, 25, 45]


def test_what_is_told_is_what_the_next_evaluation_says():
    """The mean loss so far, the step of all, the rate, the pace and what is left of it."""
    told = Teller()
    train(None, tell=told, kind=NetTask, evaluate=Evaluate(steps=12), schedule="linear")
    assert [moment.done for moment in told.heard] == [*range(1, 12), *range(13, 24)]
    moment = told.heard[-1]
    assert (moment.total, moment.epoch, moment.seconds_left) == (24, pytest.approx(23 / 6), pytest.approx(1.0))
    assert moment.learning_rate == pytest.approx(0.01 * 2 / 24)
    assert moment.examples_per_second == pytest.approx(4 * 10 / 11 + 2 / 11, rel=0.1)
    once = Teller()
    _, report = train(None, tell=once, kind=NetTask, steps=12, epochs=None, evaluate=Evaluate(steps=11))
    assert once.heard[9].loss != once.heard[8].loss
    assert report.seen[0].metrics["train/loss"] == pytest.approx(once.heard[9].loss, rel=0.5)


def test_numbers_on_an_accelerator_are_not_waited_for():
    """What was read is told; the rest stays where it is until it is due."""

    class Device:
        type = "cuda"

    found = Measurements(torch.nn.Linear(1, 1), device=Device(), scaled=False)
    for step in range(1, 33 + 1):
        assert found.mean_loss == (None if step <= 32 else pytest.approx(16.5))
        found.add(step, {"loss": torch.tensor(float(step))}, torch.tensor(1.0), 1)
    assert found.mean_loss == pytest.approx(16.5)
    state = found.state_dict()
    assert state["sums"] == {"loss": pytest.approx(33 * 34 / 2)}
    found.add(34, {"loss": torch.tensor(float("nan"))}, torch.tensor(1.0), 1)
    with pytest.raises(DivergedError):
        found.state_dict()


def candidate(folder, clock, tell=None, seed=SEEDS):
    settings = TrainSettings(epochs=3, batch_size=4, learning_rate=0.01, checkpoint_seconds=5.0)
    task = slow(LineTask, clock)()
    return Candidate(task, line_splits(), settings, seed, MONITOR, Recorder(), folder, tell=tell)


def test_a_pack_is_paused_at_a_step_and_goes_on_from_there(tmp_path):
    """Told of one lane, all of them stop, each with its checkpoint; alone or packed, the rest follows."""

    def run(name, teller=None):
        clock = Clock()
        found = [candidate(tmp_path / name / str(number), clock, teller) for number in range(3)]
        return {each.candidate.folder.name: each for each in fit_together(found, lanes=3, device="cpu", clock=clock)}

    unbroken = run("unbroken")
    paused = run("resumed", Teller(8))
    assert {each.result.decision for each in paused.values()} == {Decision.PAUSE}
    assert {load(tmp_path / "resumed" / lane / CHECKPOINT)["progress"]["step"] for lane in paused} == {8}
    resumed = run("resumed")
    for lane, each in resumed.items():
        assert numbers(each.result.evaluations) == numbers(unbroken[lane].result.evaluations)
